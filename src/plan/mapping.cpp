#include "plan/mapping.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "comm/block_owners.hpp"
#include "comm/cross_node_sum.hpp"
#include "data/augmenter.hpp"
#include "data/epoch_order.hpp"
#include "data/mixer.hpp"
#include "data/validation_split.hpp"
#include "optim/update.hpp"
#include "store/checkpoint.hpp"
#include "train/evaluator.hpp"
#include "train/gradient_sum.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"
#include "train/shared_dataset.hpp"
#include "train/stage_work.hpp"
#include "train/trainer.hpp"
#include "train/window_bytes.hpp"

namespace fcmnist::plan {

namespace {

using Purpose = comm::StageLink::Purpose;

constexpr std::size_t program_bytes = std::size_t{20} << 20;  // one rank's program, libraries and MPI

/// How many of `ranks` each node has, by the number of the node.
std::map<int, int> ranks_by_node(std::span<const comm::RankPlacement> placement, Range ranks) {
  std::map<int, int> nodes;
  for (const comm::RankPlacement& rank : placement.subspan(ranks.begin, ranks.size())) ++nodes[rank.node];
  return nodes;
}

/// The least and the most of `count(replica)`.
template <class Count>
Range over_replicas(int replicas, Count count) {
  Range range{std::numeric_limits<std::size_t>::max(), 0};
  for (int replica = 0; replica < replicas; ++replica) {
    const std::size_t n = count(replica);
    range = {std::min(range.begin, n), std::max(range.end, n)};
  }
  return range;
}

Range samples_of_replicas(const train::Microbatches& microbatches, std::size_t samples, int replicas) {
  return over_replicas(replicas, [&](int r) { return microbatches.samples_of(samples, r).size(); });
}

/// What a node needs and sends.
struct NodeUse {
  std::size_t shared = 0;    ///< bytes of its windows
  std::size_t of_ranks = 0;  ///< bytes of its ranks, programs included
  std::size_t sent = 0;      ///< bytes per step
};

/// Maps a training run stage by stage. What a node needs grows from stage to stage.
class TrainingMapper {
 public:
  TrainingMapper(const config::RunConfig& config, const train::Shapes& shapes,
                 std::span<const model::LayerRange> stages, std::span<const comm::RankPlacement> placement)
      : config_(&config),
        shapes_(&shapes),
        widths_(model::widths_of(config.model, shapes.train.features())),
        stage_count_(static_cast<int>(stages.size())),
        optimizer_arrays_(optim::state_arrays(config.optimizer).size()),
        training_samples_(data::training_samples(config.train_input, shapes.train.samples)) {
    mapping_.placement.assign(placement.begin(), placement.end());
    mapping_.replicas = mapping_.ranks() / stage_count_;
    for (const comm::RankPlacement& rank : placement) {
      nodes_[rank.node].shared = train::shared_bytes_of_node(shapes);
    }
    mapping_.nodes = static_cast<int>(nodes_.size());
  }

  Mapping map(std::span<const model::LayerRange> stages) {
    map_step();
    for (const model::LayerRange& layers : stages) add_stage(layers);
    add_checkpoint();
    for (const auto& [node, use] : nodes_) {
      mapping_.shared_on_a_node = std::max(mapping_.shared_on_a_node, use.shared);
      mapping_.memory_on_a_node = std::max(mapping_.memory_on_a_node, use.shared + use.of_ranks);
      mapping_.sent_between_nodes = std::max(mapping_.sent_between_nodes, use.sent);
    }
    return std::move(mapping_);
  }

 private:
  void map_step();
  void add_stage(model::LayerRange layers);
  [[nodiscard]] StageMapping map_stage(const model::Mlp& mlp, model::LayerRange layers, Range ranks,
                                       const std::map<int, int>& nodes) const;
  [[nodiscard]] PrivateMemory private_memory_of(const model::Mlp& mlp, int stage) const;
  void add_node(int node, int ranks, std::size_t windows, PrivateMemory of_rank);
  [[nodiscard]] std::size_t window_bytes(const Layout& layout, int ranks, int nodes) const;
  void add_checkpoint();

  const config::RunConfig* config_;
  const train::Shapes* shapes_;
  std::vector<std::size_t> widths_;
  int stage_count_;
  std::size_t optimizer_arrays_;
  std::size_t training_samples_;
  std::size_t most_microbatches_ = 0;  ///< of a full step, on the replica that has the most
  Mapping mapping_;
  std::map<int, NodeUse> nodes_;
};

/// How the samples of a step are cut, and in which numbers its gradient is summed.
void TrainingMapper::map_step() {
  const int replicas = mapping_.replicas;
  const std::size_t samples = train::largest_step(*config_, replicas, training_samples_);
  const train::Microbatches microbatches = train::training_microbatches(*config_, replicas, stage_count_);
  most_microbatches_ = train::most_training_microbatches(*config_, replicas, stage_count_);
  mapping_.step_samples = samples;
  mapping_.replica_microbatches =
      over_replicas(replicas, [&](int r) { return microbatches.count(samples, r); });
  mapping_.replica_samples = samples_of_replicas(microbatches, samples, replicas);
  mapping_.microbatch_samples = microbatches.largest(samples);
  mapping_.number_bytes =
      train::gradient_number_bytes(config_->run.reproducible, most_microbatches_, mapping_.nodes);
  mapping_.wire_bytes = comm::wire_number_bytes(config_->comm.wire_type, mapping_.number_bytes);
}

void TrainingMapper::add_stage(model::LayerRange layers) {
  // Stages lie one after the other in rank order: stage s has the ranks from s * replicas on.
  const std::size_t s = mapping_.stages.size();
  const auto replicas = static_cast<std::size_t>(mapping_.replicas);
  const Range ranks{s * replicas, (s + 1) * replicas};
  const std::map<int, int> node_ranks = ranks_by_node(mapping_.placement, ranks);
  const model::Mlp mlp(widths_, config_->model, config_->kernels.gemm, layers);
  const StageMapping& stage = mapping_.stages.emplace_back(map_stage(mlp, layers, ranks, node_ranks));
  PrivateMemory of_rank = private_memory_of(mlp, static_cast<int>(s));
  of_rank.messages += comm::exchange_buffer_bytes(stage.parts, stage.nodes, mapping_.number_bytes);

  int place = 0;                       // of the node among those of the stage
  std::map<int, std::size_t> windows;  // by the ranks of the node, since nodes with as many ranks are alike
  for (const auto& [node, count] : node_ranks) {
    if (!windows.contains(count)) windows[count] = window_bytes(mlp.layout(), count, stage.nodes);
    add_node(node, count, windows[count], of_rank);
    nodes_[node].sent +=
        comm::bytes_sent_between_nodes(stage.parts, stage.nodes, place++, mapping_.wire_bytes);
  }
  if (s > 0) {
    // The activations come from the stage before, and their gradients go back.
    mapping_.sent_between_stages +=
        2 * mapping_.replica_samples.end * mlp.inputs() * model::number_bytes(mlp.precision());
  }
}

StageMapping TrainingMapper::map_stage(const model::Mlp& mlp, model::LayerRange layers, Range ranks,
                                       const std::map<int, int>& nodes) const {
  const auto by_ranks = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [smallest, largest] = std::minmax_element(nodes.begin(), nodes.end(), by_ranks);
  const int fewest = smallest->second, most = largest->second;
  StageMapping stage;
  stage.layers = layers;
  stage.ranks = ranks;
  stage.nodes = static_cast<int>(nodes.size());
  stage.most_node_ranks = most;
  stage.parameters = mlp.layout().parameter_count();
  stage.numbers = mlp.layout().size();
  stage.inputs = mlp.inputs();
  stage.outputs = mlp.outputs();
  stage.blocks = blocks_of(mlp.layout()).size();
  // Each node has all blocks: the fewer ranks it has, the more blocks each of them owns.
  stage.least_owned = comm::BlockOwners::owned_count(stage.blocks, most, most - 1);
  stage.most_owned = comm::BlockOwners::owned_count(stage.blocks, fewest, 0);
  stage.parts = train::ranges_of(train::gradient_parts(mlp, stage.nodes, config_->run.reproducible));
  return stage;
}

/// Without windows: whether they are private depends on the node.
PrivateMemory TrainingMapper::private_memory_of(const model::Mlp& mlp, int stage) const {
  PrivateMemory memory;
  const auto add_work = [&](Purpose purpose, std::size_t samples, int average_shifts = 0) {
    const train::StageWorkBytes bytes =
        train::stage_work_bytes(purpose, stage_count_, stage, mlp, samples, average_shifts);
    memory.activations += bytes.activations;
    memory.messages += bytes.messages;
  };
  const auto add_scored = [&](std::size_t samples, int average_shifts) {
    add_work(Purpose::evaluation,
             train::Evaluator::microbatch(*config_, mapping_.replicas, stage_count_, samples),
             average_shifts);
  };
  memory.weights = train::ModelState::private_bytes(mlp.layout(), mlp.precision(),
                                                    optim::keeps_average(config_->optimizer));
  add_work(Purpose::training, mapping_.microbatch_samples);
  if (shapes_->eval) {
    add_scored(train::Evaluator::samples_to_score(*config_, mapping_.replicas, shapes_->eval->samples),
               config_->eval_input.average_shifts);
  }
  if (config_->train_input.validation_size > 0) {
    add_scored(static_cast<std::size_t>(config_->train_input.validation_size), 0);
  }
  if (mlp.begins_network() && config_->train_input.augment.any()) {
    memory.activations += data::Augmenter::bytes(shapes_->train, mapping_.microbatch_samples);
  }
  if (config_->train_input.mixup > 0.0 && (mlp.begins_network() || mlp.ends_network())) {
    memory.activations +=
        data::Mixer::bytes(shapes_->train, config_->train_input, mapping_.microbatch_samples);
  }
  memory.other = data::EpochOrder::bytes(training_samples_) +
                 train::gradient_sum_private_bytes(config_->run.reproducible, most_microbatches_,
                                                   mapping_.nodes, mlp.layout());
  return memory;
}

/// Adds the ranks that a node has of a stage. The windows of a rank without others are memory of its own.
void TrainingMapper::add_node(int node, int ranks, std::size_t windows, PrivateMemory of_rank) {
  NodeUse& use = nodes_[node];
  if (ranks == 1) {
    of_rank.windows = windows;
  } else {
    use.shared += windows;
  }
  use.of_ranks += static_cast<std::size_t>(ranks) * (of_rank.total() + program_bytes);
  if (of_rank.total() > mapping_.private_memory.total()) mapping_.private_memory = of_rank;
}

/// The windows of a stage on a node that has `ranks` of its ranks, one of which is the leader.
///   nodes  how many nodes have ranks of the stage
std::size_t TrainingMapper::window_bytes(const Layout& layout, int ranks, int nodes) const {
  const auto of_rank = [&](bool is_leader) {
    return train::window_bytes_of_rank(*config_, mapping_.replicas, stage_count_, mapping_.nodes,
                                       {ranks, is_leader, nodes}, layout);
  };
  return of_rank(true) + static_cast<std::size_t>(ranks - 1) * of_rank(false);
}

/// Rank 0 makes the checkpoint of the whole network.
void TrainingMapper::add_checkpoint() {
  const model::Mlp network(widths_, config_->model, config_->kernels.gemm);
  mapping_.saving_on_rank_0 =
      train::ModelState::gathered_bytes(stage_count_, network.layout(), optimizer_arrays_) +
      store::checkpoint_image_bytes(network.layout(), optimizer_arrays_);
  nodes_[mapping_.placement.front().node].of_ranks += mapping_.saving_on_rank_0;
}

}  // namespace

Mapping map_training(const config::RunConfig& config, const train::Shapes& shapes,
                     std::span<const model::LayerRange> stages,
                     std::span<const comm::RankPlacement> placement) {
  return TrainingMapper(config, shapes, stages, placement).map(stages);
}

EvaluationMapping map_evaluation(const config::RunConfig& config, const data::DatasetShape& shape,
                                 std::span<const comm::RankPlacement> placement) {
  const auto ranks = static_cast<int>(placement.size());
  const auto widths = model::widths_of(config.model, shape.features());
  const model::Mlp mlp(widths, config.model, config.kernels.gemm);
  EvaluationMapping mapping;
  mapping.samples = train::Evaluator::samples_to_score(config, ranks, shape.samples);
  const train::Microbatches microbatches = train::evaluation_microbatches(config, ranks, 1, mapping.samples);
  mapping.rank_samples = samples_of_replicas(microbatches, mapping.samples, ranks);
  const train::StageWorkBytes work =
      train::stage_work_bytes(Purpose::evaluation, 1, 0, mlp, microbatches.largest(mapping.samples),
                              config.eval_input.average_shifts);
  mapping.private_memory =
      train::ModelState::private_bytes(mlp.layout(), mlp.precision(), false) + work.activations;
  for (const auto& [node, count] : ranks_by_node(placement, {0, placement.size()})) {
    const std::size_t shared = train::SharedDataset::bytes(shape) +
                               train::ModelState::shared_bytes({count}, mlp.layout(), mlp.precision(), 0);
    const std::size_t of_ranks = static_cast<std::size_t>(count) * (mapping.private_memory + program_bytes);
    mapping.shared_on_a_node = std::max(mapping.shared_on_a_node, shared);
    mapping.memory_on_a_node = std::max(mapping.memory_on_a_node, shared + of_ranks);
  }
  return mapping;
}

}  // namespace fcmnist::plan
