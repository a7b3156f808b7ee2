#include "plan/mapping.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "comm/stage_link.hpp"
#include "optim/update.hpp"
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

constexpr std::size_t program_bytes = std::size_t{20} << 20;  // of a rank: program, libraries, MPI

/// Ranks of a stage on each of its nodes.
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
  return over_replicas(replicas, [&](int replica) {
    const std::size_t count = microbatches.count(samples, replica);
    return microbatches.of(samples, replica, count - 1).end - microbatches.of(samples, replica, 0).begin;
  });
}

StageMapping map_stage(const model::Mlp& mlp, model::LayerRange layers, Range ranks,
                       const std::map<int, int>& nodes, bool reproducible) {
  const auto fewer = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto [least, most] = std::minmax_element(nodes.begin(), nodes.end(), fewer);
  const std::size_t blocks = blocks_of(mlp.layout()).size();
  const auto at_least = static_cast<std::size_t>(least->second);
  const auto at_most = static_cast<std::size_t>(most->second);
  StageMapping stage;
  stage.layers = layers;
  stage.ranks = ranks;
  stage.nodes = static_cast<int>(nodes.size());
  stage.most_node_ranks = most->second;
  stage.parameters = mlp.layout().parameter_count();
  stage.numbers = mlp.layout().size();
  stage.inputs = mlp.inputs();
  stage.outputs = mlp.outputs();
  stage.blocks = blocks;
  stage.least_owned = blocks / at_most;
  stage.most_owned = (blocks + at_least - 1) / at_least;
  stage.parts = train::ranges_of(train::gradient_parts(mlp, stage.nodes, reproducible));
  return stage;
}

/// Of a rank of stage `s`, its first one.
PrivateMemory private_memory_of(const config::RunConfig& config, const train::Shapes& shapes,
                                const Mapping& mapping, const model::Mlp& mlp, int s) {
  const auto stages = static_cast<int>(mapping.stages.size());
  using Purpose = comm::StageLink::Purpose;
  PrivateMemory memory;
  memory.weights = mlp.layout().size() * model::number_bytes(mlp.precision());
  const auto add_work = [&](Purpose purpose, std::size_t samples) {
    const train::StageWorkBytes bytes = train::stage_work_bytes(purpose, stages, s, mlp, samples);
    memory.activations += bytes.activations;
    memory.messages += bytes.messages;
  };
  add_work(Purpose::training, mapping.microbatch_samples);
  if (shapes.eval) {
    add_work(Purpose::evaluation,
             train::Evaluator::microbatch(config, mapping.replicas, stages, shapes.eval->samples));
  }
  memory.other = shapes.train.samples * sizeof(std::uint32_t);
  if (mapping.number_bytes > sizeof(float)) memory.other += mlp.layout().size() * sizeof(float);
  return memory;
}

/// What grows from node to node while stages are added.
struct NodeUse {
  std::size_t shared = 0, own = 0, sent = 0;
};

}  // namespace

Mapping map_training(const config::RunConfig& config, const train::Shapes& shapes,
                     std::span<const model::LayerRange> stages,
                     std::span<const comm::RankPlacement> placement) {
  const auto stage_count = static_cast<int>(stages.size());
  Mapping mapping;
  mapping.placement.assign(placement.begin(), placement.end());
  mapping.replicas = mapping.ranks() / stage_count;
  std::map<int, NodeUse> nodes;
  for (const comm::RankPlacement& rank : placement)
    nodes[rank.node].shared = train::shared_bytes_of_node(shapes);
  mapping.nodes = static_cast<int>(nodes.size());

  const std::size_t samples = std::min(train::step_batch(config, mapping.replicas), shapes.train.samples);
  const train::Microbatches microbatches =
      train::training_microbatches(config, mapping.replicas, stage_count);
  mapping.step_samples = samples;
  mapping.replica_microbatches =
      over_replicas(mapping.replicas, [&](int r) { return microbatches.count(samples, r); });
  mapping.replica_samples = samples_of_replicas(microbatches, samples, mapping.replicas);
  mapping.microbatch_samples = microbatches.largest(samples);
  mapping.number_bytes = train::gradient_number_bytes(
      config.run.reproducible, microbatches.most(train::step_batch(config, mapping.replicas)), mapping.nodes);
  mapping.wire_bytes =
      config.comm.wire_type == comm::WireType::bfloat16 ? sizeof(BFloat16) : mapping.number_bytes;

  const auto widths = model::widths_of(config.model, shapes.train.features());
  for (int s = 0; s < stage_count; ++s) mapping.stages.emplace_back();
  for (int s = 0; s < stage_count; ++s) {
    const auto index = static_cast<std::size_t>(s);
    const auto replicas = static_cast<std::size_t>(mapping.replicas);
    const Range ranks{index * replicas, (index + 1) * replicas};
    const std::map<int, int> of_stage = ranks_by_node(placement, ranks);
    const model::Mlp mlp(widths, config.model, config.kernels.gemm, stages[index]);
    mapping.stages[index] = map_stage(mlp, stages[index], ranks, of_stage, config.run.reproducible);

    PrivateMemory own = private_memory_of(config, shapes, mapping, mlp, s);
    const auto p = of_stage.size();
    const std::size_t sent = 2 * (p - 1) * mlp.layout().size() / p * mapping.wire_bytes;
    std::map<int, std::size_t> windows_by_ranks;  // nodes are alike
    for (const auto& [node, count] : of_stage) {
      auto [windows, is_new] = windows_by_ranks.try_emplace(count, 0);
      const auto bytes = [&](bool is_leader) {
        return train::window_bytes_of_rank(config, mapping.replicas, stage_count, mapping.nodes,
                                           {count, is_leader, static_cast<int>(p)}, mlp.layout());
      };
      const auto ranks_here = static_cast<std::size_t>(count);
      if (is_new) windows->second = bytes(true) + (ranks_here - 1) * bytes(false);
      own.windows = count == 1 ? windows->second : 0;
      if (count > 1) nodes[node].shared += windows->second;
      nodes[node].own += ranks_here * (own.total() + program_bytes);
      if (own.total() > mapping.private_memory.total()) mapping.private_memory = own;
      nodes[node].sent += sent;
    }
    if (s == 0) {
      // Weights and optimizer state: the image, a copy of it, and with stages what they are gathered in.
      const std::size_t arrays = 1 + optim::state_arrays(config.optimizer).size();
      mapping.saving_on_rank_0 =
          (stage_count > 1 ? 3U : 2U) * arrays * mlp.network_layout().size() * sizeof(float);
      nodes[placement.front().node].own += mapping.saving_on_rank_0;
    } else {
      mapping.sent_between_stages +=
          2 * mapping.replica_samples.end * mlp.inputs() * model::number_bytes(mlp.precision());
    }
  }
  for (const auto& [node, use] : nodes) {
    mapping.shared_on_a_node = std::max(mapping.shared_on_a_node, use.shared);
    mapping.memory_on_a_node = std::max(mapping.memory_on_a_node, use.shared + use.own);
    mapping.sent_between_nodes = std::max(mapping.sent_between_nodes, use.sent);
  }
  return mapping;
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
  mapping.private_memory = model::workspace_bytes(mlp, microbatches.largest(mapping.samples)) +
                           mlp.layout().size() * model::number_bytes(mlp.precision());
  for (const auto& [node, count] : ranks_by_node(placement, {0, placement.size()})) {
    const std::size_t bytes = train::SharedDataset::bytes(shape) +
                              train::ModelState::shared_bytes({count}, mlp.layout(), mlp.precision(), 0);
    mapping.shared_on_a_node = std::max(mapping.shared_on_a_node, bytes);
    const std::size_t own = static_cast<std::size_t>(count) * (mapping.private_memory + program_bytes);
    mapping.memory_on_a_node = std::max(mapping.memory_on_a_node, bytes + own);
  }
  return mapping;
}

}  // namespace fcmnist::plan
