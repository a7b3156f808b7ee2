#include "plan/forecast.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "optim/update.hpp"
#include "train/verdict.hpp"
#include "train/weight_update.hpp"

namespace fcmnist::plan {

namespace {

/// The times of the stages in this world: ranks that share a core take turns, and sums in integers add a pass
/// over the gradient of each microbatch.
std::vector<StageTime> times_of_stages(const Mapping& mapping, const Rates& rates) {
  std::vector<StageTime> times = rates.stages;
  for (std::size_t s = 0; s < times.size(); ++s) {
    StageTime& time = times[s];
    if (mapping.sums_integers()) {
      time.weights_s += static_cast<double>(mapping.stages[s].numbers) * rates.fixed_point_s;
    }
    const double turns = rates.turns();
    time = {time.data_s * turns, time.forward_s * turns, time.deltas_s * turns, time.weights_s * turns};
  }
  return times;
}

/// Seconds of a message between each stage and the one before it, by the places of the first replica.
std::vector<double> times_of_links(const config::RunConfig& config, const Mapping& mapping,
                                   const Rates& rates) {
  const auto node_of = [&](const StageMapping& stage) { return mapping.placement[stage.ranks.begin].node; };
  std::vector<double> link_s;
  for (std::size_t s = 1; s < mapping.stages.size(); ++s) {
    const StageMapping &before = mapping.stages[s - 1], &stage = mapping.stages[s];
    const std::size_t bytes =
        mapping.microbatch_samples * stage.inputs * model::number_bytes(config.model.precision);
    const LinkRate& link = node_of(before) == node_of(stage) ? rates.within_node : rates.between_nodes;
    link_s.push_back(link.seconds(static_cast<double>(bytes)));
  }
  return link_s;
}

/// Seconds in which the ranks of a node add gradients, update the blocks that they own, and copy those that
/// others own.
double update_seconds(const config::RunConfig& config, const Mapping& mapping, const StageMapping& stage,
                      const Rates& rates) {
  const bool norm_first = train::needs_norm_first(config);
  const auto numbers = static_cast<double>(stage.numbers);
  const double owned = numbers * static_cast<double>(stage.most_owned) /
                       static_cast<double>(std::max<std::size_t>(stage.blocks, 1));
  // Owners that add floats for reproducible sums round each of them.
  const bool owners_round = config.run.reproducible && !mapping.sums_integers();
  const double floats_per_number = static_cast<double>(mapping.number_bytes) / sizeof(float);
  const double add_s = owners_round ? rates.fixed_point_s : floats_per_number * rates.add_s;
  const double additions = train::additions_of_block(norm_first, stage.nodes, stage.most_node_ranks);
  const double seconds = owned * (rates.update_s + additions * add_s);
  if (stage.most_node_ranks == 1) return seconds;
  const int waits_of_rank = train::waits_of_step(norm_first, optim::has_two_phases(config.optimizer));
  const double waits = waits_of_rank * stage.most_node_ranks;
  return seconds + numbers * rates.copy_s + waits * rates.wait_s;
}

}  // namespace

PartSchedule part_schedule(const Mapping& mapping, std::size_t number, const Rates& rates) {
  FCMNIST_CHECK(number < mapping.stages.size(), fmt::format("stage {}", number));
  const StageMapping& stage = mapping.stages[number];
  const double weights_s = times_of_stages(mapping, rates)[number].weights_s;
  PartSchedule schedule;
  double numbers = 0.0;
  for (const Range& part : stage.parts) {
    numbers += static_cast<double>(part.size());
    const double still_to_come = 1.0 - numbers / static_cast<double>(stage.numbers);
    schedule.written_s.push_back(mapping.sums_integers() ? 0.0 : -weights_s * still_to_come);
    schedule.bytes.push_back(static_cast<double>(part.size() * mapping.wire_bytes));
  }
  return schedule;
}

Forecast forecast(const config::RunConfig& config, const Mapping& mapping, const Rates& rates) {
  FCMNIST_CHECK(rates.stages.size() == mapping.stages.size(), fmt::format("{} stages", rates.stages.size()));
  const std::vector<StageTime> times = times_of_stages(mapping, rates);
  const std::size_t microbatches = mapping.replica_microbatches.end;
  const PipelineForecast pipeline =
      simulate_pipeline(times, times_of_links(config, mapping, rates), microbatches);

  std::vector<Forecast> of_stages;
  for (std::size_t s = 0; s < times.size(); ++s) {
    const StageMapping& stage = mapping.stages[s];
    const double data_s = static_cast<double>(microbatches) * times[s].data_s;
    const PartSchedule parts = part_schedule(mapping, s, rates);
    const double busy_s = static_cast<double>(microbatches) * times[s].total_s();
    of_stages.push_back(
        {.data_s = data_s,
         .compute_s = busy_s - data_s,
         .pipeline_s = pipeline.end_s[s] - busy_s,
         .network_s = simulate_exchange(parts.written_s, parts.bytes, stage.nodes, rates.between_nodes),
         .update_s = rates.turns() * update_seconds(config, mapping, stage, rates),
         .bubble_fraction = pipeline.bubble_fraction});
  }
  return *std::ranges::max_element(of_stages, {}, &Forecast::step_s);
}

}  // namespace fcmnist::plan
