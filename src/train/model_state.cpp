#include "train/model_state.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "core/error.hpp"
#include "optim/update.hpp"

namespace fcmnist::train {

namespace {

/// Whether a rank takes part when stages give their numbers to rank 0, or get them from it.
bool carries_files(const comm::Grid& grid) { return grid.stages() > 1 && grid.replica() == 0; }

/// Numbers of master weights beside the working weights.
std::size_t separate_masters(const Layout& layout, model::Precision precision) {
  return precision == model::Precision::float32 ? 0 : layout.size();
}

Range range_of(const Block& block) { return {block.offset, block.offset + block.count}; }

}  // namespace

ModelState::ModelState(const comm::Grid& grid, const model::Mlp& mlp,
                       std::span<const std::string_view> optimizer_arrays)
    : grid_(&grid),
      mlp_(&mlp),
      working_(grid.of_stage(), mlp.layout().size(), model::number_bytes(mlp.precision())),
      masters_(grid.of_stage().node(), separate_masters(mlp.layout(), mlp.precision())) {
  for (const std::string_view name : optimizer_arrays) {
    const auto& window = optimizer_windows_.emplace_back(grid.of_stage().node(), mlp.layout().size());
    optimizer_arrays_.push_back({name, {mlp.layout(), window.data()}});
  }
  const auto average = std::ranges::find(optimizer_arrays_, optim::weight_average, &OptimizerArray::name);
  if (average == optimizer_arrays_.end()) return;
  average_ = &*average;
  if (!has_separate_masters()) trained_ = AlignedArray<float>(mlp.layout().size());
}

model::WorkingWeights ModelState::working_weights() const {
  return {mlp_->layout(), mlp_->precision(), working_.mine()};
}

ArenaView<float> ModelState::weights() const {
  if (!has_separate_masters()) return working_weights().as<float>();
  return {mlp_->layout(), masters_.data()};
}

void ModelState::publish(const Block& block) const {
  if (has_separate_masters()) working_weights().round(range_of(block), weights());
  working_.offer(range_of(block));
}

void ModelState::take(const Block& block) const { working_.take(range_of(block)); }

void ModelState::use_average() {
  FCMNIST_CHECK(keeps_average(), "no average of the weights");
  if (has_separate_masters()) return working_weights().round({0, mlp_->layout().size()}, average_->values);
  std::ranges::copy(weights().all(), trained_.data());
  std::ranges::copy(average_->values.all(), weights().all().begin());
}

void ModelState::use_trained() {
  if (has_separate_masters()) return working_weights().round({0, mlp_->layout().size()}, weights());
  std::ranges::copy(std::span(trained_.data(), trained_.size()), weights().all().begin());
}

void ModelState::initialize(std::uint64_t seed) {
  if (grid_->replica() == 0) mlp_->initialize(seed, weights());
  spread_weights();
  begin_average();
}

/// So steps that are skipped before the first update count with the weights that they left.
void ModelState::begin_average() {
  if (!keeps_average()) return;
  if (grid_->of_stage().is_leader()) std::ranges::copy(weights().all(), average_->values.all().begin());
  grid_->world().world().barrier();
}

/// From the stage's first rank to all copies.
void ModelState::spread_weights() {
  if (!has_separate_masters()) return working_.spread();
  spread_to_nodes(weights());
  working_weights().round({0, mlp_->layout().size()}, weights());
  grid_->world().world().barrier();
}

/// What the ranks of a node share: from the stage's first node to the others.
void ModelState::spread_to_nodes(ArenaView<float> of_node) const {
  const comm::Topology& stage = grid_->of_stage();
  if (stage.is_leader()) stage.peers().broadcast(of_node.all(), 0);
  grid_->world().world().barrier();
}

std::size_t ModelState::private_bytes(const Layout& layout, model::Precision precision, bool keeps_average) {
  const bool restores_trained = keeps_average && separate_masters(layout, precision) == 0;
  return layout.size() * (model::number_bytes(precision) + (restores_trained ? sizeof(float) : 0));
}

std::size_t ModelState::gathered_bytes(int stages, const Layout& network, std::size_t optimizer_arrays) {
  return stages > 1 ? (1 + optimizer_arrays) * network.size() * sizeof(float) : 0;
}

std::size_t ModelState::shared_bytes(const comm::Seat& stage, const Layout& layout,
                                     model::Precision precision, std::size_t optimizer_arrays) {
  const std::size_t in_float = separate_masters(layout, precision) + optimizer_arrays * layout.size();
  return comm::WeightCopies::shared_bytes(stage, layout.size(), model::number_bytes(precision)) +
         in_float * sizeof(float);
}

/// Not empty on rank 0 of several stages.
AlignedArray<float> ModelState::room_for_network() const {
  const bool is_needed = carries_files(*grid_) && grid_->is_first_stage();
  return AlignedArray<float>(is_needed ? mlp_->network_layout().size() : 0);
}

/// On rank 0: where numbers of all layers are, `mine` being those of this stage.
ArenaView<float> ModelState::whole(const AlignedArray<float>& numbers, ArenaView<float> mine) const {
  if (grid_->stages() == 1) return mine;
  return {mlp_->network_layout(), numbers.data()};
}

AlignedArray<float> ModelState::gather(ArenaView<const float> mine) const {
  AlignedArray<float> all = room_for_network();
  if (carries_files(*grid_)) grid_->of_replica().gather(mine.all(), {all.data(), all.size()}, 0);
  return all;
}

void ModelState::scatter(const AlignedArray<float>& all, ArenaView<float> mine) const {
  if (carries_files(*grid_)) grid_->of_replica().scatter({all.data(), all.size()}, mine.all(), 0);
}

/// `load` fills the whole network, on rank 0.
template <class Load>
void ModelState::load_weights_by(Load load) {
  const AlignedArray<float> all = room_for_network();
  comm::collectively(grid_->world().world(), [&] { load(whole(all, weights())); });
  scatter(all, weights());
  spread_weights();
}

void ModelState::load_weights(const store::Checkpoint* checkpoint) {
  load_weights_by([&](ArenaView<float> network) {
    if (checkpoint != nullptr) checkpoint->load_weights(network);
  });
  begin_average();
}

void ModelState::load_average(const store::Checkpoint* checkpoint) {
  load_weights_by([&](ArenaView<float> network) {
    if (checkpoint != nullptr) checkpoint->load_optimizer(optim::weight_average, network);
  });
}

void ModelState::load_weights_and_optimizer(const store::Checkpoint* checkpoint) {
  load_weights(checkpoint);
  for (const auto& [name, values] : optimizer_arrays_) {
    const AlignedArray<float> all = room_for_network();
    comm::collectively(grid_->world().world(), [&, &name = name, &values = values] {
      if (checkpoint != nullptr) checkpoint->load_optimizer(name, whole(all, values));
    });
    scatter(all, values);
    spread_to_nodes(values);
  }
}

std::optional<ModelState::Network> ModelState::gather() const {
  const bool is_root = grid_->world().world().rank() == 0;
  std::vector<AlignedArray<float>> gathered;
  gathered.push_back(gather(weights()));
  Network network{{}, whole(gathered.front(), weights()), {}};
  for (const auto& [name, values] : optimizer_arrays_) {
    gathered.push_back(gather(values));
    if (is_root) network.optimizer.push_back({std::string(name), whole(gathered.back(), values)});
  }
  if (!is_root) return std::nullopt;
  network.gathered = std::move(gathered);
  return network;
}

}  // namespace fcmnist::train
