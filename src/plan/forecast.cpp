#include "plan/forecast.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "comm/cross_node_sum.hpp"
#include "core/error.hpp"
#include "train/microbatch_schedule.hpp"

namespace fcmnist::plan {

namespace {

constexpr auto rings_at_once = static_cast<std::size_t>(comm::rings_at_once);

/// When each microbatch has arrived at a stage: its activations, and its gradient. Not yet: negative.
struct Arrivals {
  std::vector<double> forward_s, backward_s;
};

std::vector<double> part_bytes(const StageMapping& stage, std::size_t number_bytes) {
  std::vector<double> bytes;
  for (const Range& part : stage.parts) bytes.push_back(static_cast<double>(part.size() * number_bytes));
  return bytes;
}

/// When the parts are written, by the time of the last microbatch's weight gradients: each takes as long as
/// it has numbers. In integers all of them leave at the end.
std::vector<double> written_before_end(const StageMapping& stage, double weights_s, bool at_the_end) {
  std::vector<double> written_s;
  double numbers = 0.0;
  for (const Range& part : stage.parts) {
    numbers += static_cast<double>(part.size());
    written_s.push_back(at_the_end ? 0.0 : -weights_s * (1.0 - numbers / static_cast<double>(stage.numbers)));
  }
  return written_s;
}

/// Sums over the node's ranks, update, and the copies of the blocks that others own.
double node_seconds(const config::RunConfig& config, const Mapping& mapping, const StageMapping& stage,
                    const Rates& rates) {
  const auto ranks = static_cast<double>(stage.most_node_ranks);
  const auto numbers = static_cast<double>(stage.numbers);
  const double owned = numbers * static_cast<double>(stage.most_owned) /
                       static_cast<double>(std::max<std::size_t>(stage.blocks, 1));
  const bool scales = config.model.precision != model::Precision::float32 &&
                      config.optimizer.loss_scale.factor == optim::LossScaleOptions::dynamic;
  const bool norm_first = config.optimizer.max_gradient_norm > 0.0 || scales ||
                          config.run.nan_policy == config::NanPolicy::skip || config.run.reproducible;
  const bool several = stage.most_node_ranks > 1;
  const double wide = static_cast<double>(mapping.number_bytes) / sizeof(float);
  // The first gradient is read by the update itself, unless sums are formed before it.
  const bool sums_first = norm_first || stage.nodes > 1;
  const double sources = sums_first ? ranks : ranks - 1.0;
  const bool rounds = config.run.reproducible && mapping.number_bytes == sizeof(float);
  const double add_s = rounds ? rates.fixed_point_s : wide * rates.add_s;
  const double waits = norm_first ? 3.0 : 2.0;
  double seconds = owned * (rates.update_s + sources * add_s);
  if (several) seconds += numbers * rates.copy_s + waits * ranks * rates.wait_s;
  return seconds;
}

}  // namespace

PipelineForecast simulate_pipeline(std::span<const StageTime> stages, std::span<const double> link_s,
                                   std::size_t microbatches) {
  constexpr double not_yet = -1.0;
  const std::size_t count = stages.size();
  FCMNIST_CHECK(link_s.size() + 1 == count, fmt::format("{} links, {} stages", link_s.size(), count));
  std::vector<Arrivals> arrivals(
      count, {std::vector<double>(microbatches, not_yet), std::vector<double>(microbatches, not_yet)});
  std::ranges::fill(arrivals.front().forward_s, 0.0);
  std::ranges::fill(arrivals.back().backward_s, 0.0);
  std::vector<std::size_t> next(count, 0);
  PipelineForecast result;
  result.end_s.assign(count, 0.0);
  // A stage goes on as far as messages have arrived; then the others are looked at.
  for (bool moves = true; moves;) {
    moves = false;
    for (std::size_t s = 0; s < count; ++s) {
      const auto actions =
          train::microbatch_schedule(static_cast<int>(count), static_cast<int>(s), microbatches);
      double& now = result.end_s[s];
      for (; next[s] < 2 * microbatches; ++next[s]) {
        const train::MicrobatchAction action = actions[static_cast<std::ptrdiff_t>(next[s])];
        const bool is_forward = action.pass == train::Pass::forward;
        const auto& arrived_s = is_forward ? arrivals[s].forward_s : arrivals[s].backward_s;
        if (arrived_s[action.microbatch] == not_yet) break;
        now = std::max(now, arrived_s[action.microbatch]);
        moves = true;
        if (is_forward) {
          now += stages[s].data_s + stages[s].forward_s;
          if (s + 1 < count) arrivals[s + 1].forward_s[action.microbatch] = now + link_s[s];
        } else {
          now += stages[s].deltas_s;
          if (s > 0) arrivals[s - 1].backward_s[action.microbatch] = now + link_s[s - 1];
          now += stages[s].weights_s;
        }
      }
    }
  }
  result.total_s = std::ranges::max(result.end_s);
  const double busy_s =
      std::accumulate(stages.begin(), stages.end(), 0.0, [&](double sum, const StageTime& time) {
        return sum + static_cast<double>(microbatches) * time.total_s();
      });
  if (result.total_s > 0.0) {
    result.bubble_fraction = std::max(0.0, 1.0 - busy_s / (static_cast<double>(count) * result.total_s));
  }
  return result;
}

double simulate_rings(std::span<const double> written_s, std::span<const double> bytes, int nodes,
                      const LinkRate& link) {
  if (nodes == 1 || written_s.empty()) return 0.0;
  const auto p = static_cast<double>(nodes);
  const double latency_s = 2.0 * (p - 1.0) * link.latency_s;
  double wire_s = written_s.front();  // free from then on
  std::deque<double> done_s;          // of the parts before, the last rings_at_once of them
  for (std::size_t part = 0; part < written_s.size(); ++part) {
    const double start_s =
        done_s.size() < rings_at_once ? written_s[part] : std::max(written_s[part], done_s.front());
    wire_s = std::max(wire_s, start_s) + 2.0 * (p - 1.0) / p * bytes[part] / link.bytes_per_s;
    if (done_s.size() == rings_at_once) done_s.pop_front();
    done_s.push_back(wire_s + latency_s);
  }
  return std::max(0.0, done_s.back());
}

Forecast forecast(const config::RunConfig& config, const Mapping& mapping, const Rates& rates) {
  FCMNIST_CHECK(rates.stages.size() == mapping.stages.size(), fmt::format("{} stages", rates.stages.size()));
  const double turns = std::max(rates.ranks_per_core, 1.0);
  const bool integers = mapping.number_bytes > sizeof(float);
  const auto node_of = [&](std::size_t rank) { return mapping.placement[rank].node; };

  std::vector<StageTime> times = rates.stages;
  std::vector<double> link_s;
  for (std::size_t s = 0; s < times.size(); ++s) {
    const StageMapping& stage = mapping.stages[s];
    StageTime& time = times[s];
    if (integers) time.weights_s += static_cast<double>(stage.numbers) * rates.fixed_point_s;
    time = {time.data_s * turns, time.forward_s * turns, time.deltas_s * turns, time.weights_s * turns};
    if (s == 0) continue;
    const bool same_node = node_of(stage.ranks.begin) == node_of(mapping.stages[s - 1].ranks.begin);
    const auto bytes = static_cast<double>(mapping.microbatch_samples * stage.inputs *
                                           model::number_bytes(config.model.precision));
    link_s.push_back((same_node ? rates.within_node : rates.between_nodes).seconds(bytes));
  }
  const std::size_t microbatches = mapping.replica_microbatches.end;
  const PipelineForecast pipeline = simulate_pipeline(times, link_s, microbatches);

  Forecast slowest;
  for (std::size_t s = 0; s < times.size(); ++s) {
    const StageMapping& stage = mapping.stages[s];
    const auto count = static_cast<double>(microbatches);
    Forecast of_stage;
    of_stage.data_s = count * times[s].data_s;
    of_stage.compute_s = count * times[s].total_s() - of_stage.data_s;
    of_stage.pipeline_s = pipeline.end_s[s] - count * times[s].total_s();
    of_stage.network_s =
        simulate_rings(written_before_end(stage, times[s].weights_s, integers),
                       part_bytes(stage, mapping.wire_bytes), stage.nodes, rates.between_nodes);
    of_stage.update_s = turns * node_seconds(config, mapping, stage, rates);
    of_stage.bubble_fraction = pipeline.bubble_fraction;
    if (s == 0 || of_stage.step_s() > slowest.step_s()) slowest = of_stage;
  }
  return slowest;
}

}  // namespace fcmnist::plan
