#include "train/model_state.hpp"

#include <type_traits>
#include <utility>

#include "core/convert.hpp"

namespace fcmnist::train {

namespace {

/// Whether a rank takes part when stages give their numbers to rank 0, or get them from it.
bool carries_files(const comm::Grid& grid) { return grid.stages() > 1 && grid.replica() == 0; }

ModelState::AnyReplica make_replica(const comm::Topology& stage, const model::Mlp& mlp) {
  return model::with_number_type(mlp.precision(), [&]<class T>() {
    return ModelState::AnyReplica(std::in_place_type<comm::BasicReplica<T>>, stage, mlp.layout());
  });
}

/// Numbers of master weights beside the working weights.
std::size_t separate_masters(const Layout& layout, model::Precision precision) {
  return precision == model::Precision::float32 ? 0 : layout.size();
}

}  // namespace

ModelState::ModelState(const comm::Grid& grid, const model::Mlp& mlp)
    : grid_(&grid),
      mlp_(&mlp),
      working_(make_replica(grid.of_stage(), mlp)),
      masters_(grid.of_stage().node(), separate_masters(mlp.layout(), mlp.precision())),
      momentum_buffer_(grid.of_stage().node(), mlp.layout().size()) {}

ArenaView<float> ModelState::weights() const {
  const auto* in_float = std::get_if<comm::Replica>(&working_);
  return in_float != nullptr ? in_float->mine() : ArenaView<float>(mlp_->layout(), masters_.data());
}

void ModelState::initialize(std::uint64_t seed) {
  if (grid_->replica() == 0) mlp_->initialize(seed, weights());
  spread_weights();
}

/// From the stage's first rank to all copies.
void ModelState::spread_weights() {
  if (auto* in_float = std::get_if<comm::Replica>(&working_)) return comm::spread(*in_float);
  spread(masters_);
  const auto round = [&](const auto& replica) {
    if constexpr (!std::is_same_v<std::remove_cvref_t<decltype(replica)>, comm::Replica>) {
      convert(std::span<const float>(masters_.all()), replica.mine().all());
    }
  };
  std::visit(round, working_);
  grid_->world().world().barrier();
}

/// From the stage's first node to the others.
void ModelState::spread(const comm::SharedArray<float>& of_node) const {
  const comm::Topology& stage = grid_->of_stage();
  if (stage.is_leader()) stage.peers().broadcast(of_node.all(), 0);
  grid_->world().world().barrier();
}

std::size_t ModelState::shared_bytes(const comm::Seat& stage, const Layout& layout,
                                     model::Precision precision) {
  const std::size_t working = precision == model::Precision::float32
                                  ? comm::Replica::shared_bytes(stage, layout)
                                  : comm::BasicReplica<BFloat16>::shared_bytes(stage, layout);
  return working + (separate_masters(layout, precision) + layout.size()) * sizeof(float);
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

void ModelState::load_weights(const store::Checkpoint* checkpoint) {
  const AlignedArray<float> all = room_for_network();
  comm::collectively(grid_->world().world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_weights(whole(all, weights()));
  });
  scatter(all, weights());
  spread_weights();
}

void ModelState::load_weights_and_optimizer(const store::Checkpoint* checkpoint) {
  load_weights(checkpoint);
  const AlignedArray<float> all = room_for_network();
  comm::collectively(grid_->world().world(), [&] {
    if (checkpoint != nullptr) checkpoint->load_optimizer("momentum_buffer", whole(all, momentum_buffer()));
  });
  scatter(all, momentum_buffer());
  spread(momentum_buffer_);
}

std::optional<ModelState::Network> ModelState::gather() const {
  AlignedArray<float> all_weights = gather(weights()), all_momentum = gather(momentum_buffer());
  if (grid_->world().world().rank() != 0) return std::nullopt;
  const ArenaView<const float> w = whole(all_weights, weights()), m = whole(all_momentum, momentum_buffer());
  return Network{std::move(all_weights), std::move(all_momentum), w, m};
}

}  // namespace fcmnist::train
