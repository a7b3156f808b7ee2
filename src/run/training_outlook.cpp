#include "run/training_outlook.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "comm/host_memory.hpp"
#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "model/layer_placement.hpp"
#include "plan/forecast.hpp"
#include "plan/forecast_text.hpp"
#include "plan/mapping.hpp"
#include "plan/rates.hpp"
#include "plan/rehearsal.hpp"
#include "run/memory_check.hpp"
#include "run/progress.hpp"
#include "setup/settle.hpp"
#include "setup/start_point.hpp"
#include "store/write_file.hpp"
#include "train/shared_dataset.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::run {

void warn_of_planned_memory(const setup::Context& context, std::size_t shared, std::size_t all) {
  if (const auto available = comm::free_shared_memory(); available && *available < shared) {
    context.log().warn(
        "shared windows of a node take {}, but /dev/shm of this one has {}: on such nodes the run "
        "ends with exit 5",
        bytes_text(shared), bytes_text(*available));
  }
  if (const comm::HostMemory here = comm::host_memory(); here.bytes < all) {
    context.log().warn("a node needs {} of memory, this one has {}: on such nodes the run ends with exit 5",
                       bytes_text(all), to_string(here));
  }
}

void check_fits(const config::RunConfig& config, const store::Checkpoint& checkpoint, std::size_t features) {
  const model::Mlp mlp(model::widths_of(config.model, features), config.model, config.kernels.gemm);
  const Arena<float> weights(mlp.layout());
  checkpoint.load_weights(weights.view());
}

namespace {

void describe_stage(const setup::Context& context, std::size_t s, const plan::StageMapping& stage,
                    std::span<const double> costs) {
  say_row(context, fmt::format("stage {}", s).c_str(),
          "{}, {:.0f} % of the work, {} on {} node{}, {} parameters in {} blocks, {} updated by each rank",
          first_to_last("layer", "layers", stage.layers.begin, stage.layers.end - 1),
          100.0 * model::share_of_cost(costs, stage.layers),
          first_to_last("rank", "ranks", stage.ranks.begin, stage.ranks.end - 1), stage.nodes,
          plural(static_cast<std::size_t>(stage.nodes)), stage.parameters, stage.blocks,
          span_text(stage.least_owned, stage.most_owned));
}

void describe_mapping(const setup::Context& context, const plan::Mapping& mapping,
                      std::span<const double> costs, model::Precision precision) {
  const std::size_t stages = mapping.stages.size(), microbatches = mapping.replica_microbatches.end;
  say_row(context, "grid", "{} replica{} x {} stage{}", mapping.replicas,
          plural(static_cast<std::size_t>(mapping.replicas)), stages, plural(stages));
  say_row(context, "step", "{} samples, {} per replica in {} microbatch{} of at most {}",
          mapping.step_samples, span_text(mapping.replica_samples), span_text(mapping.replica_microbatches),
          plural(microbatches, "es"), mapping.microbatch_samples);
  for (std::size_t s = 0; s < stages; ++s) describe_stage(context, s, mapping.stages[s], costs);
  const plan::PrivateMemory& own = mapping.private_memory;
  say_row(
      context, "memory of a rank",
      "{} besides program and MPI: weights {}, activations {}, messages {}, gradient{} and optimizer state "
      "{}, "
      "other {}",
      bytes_text(own.total()), bytes_text(own.weights), bytes_text(own.activations), bytes_text(own.messages),
      precision == model::Precision::float32 ? "" : ", master weights", bytes_text(own.windows),
      bytes_text(own.other));
  say_row(context, "", "on rank 0 {} more while it saves", bytes_text(mapping.saving_on_rank_0));
  say_row(context, "shared by a node",
          "{}: data and what ranks of one stage share there: gradients, weights, optimizer state",
          bytes_text(mapping.shared_on_a_node));
  if (mapping.nodes > 1)
    say_row(context, "sent per step", "{} by a node to others", bytes_text(mapping.sent_between_nodes));
  if (stages > 1) {
    say_row(context, "sent per step", "{} between the stages of a replica",
            bytes_text(mapping.sent_between_stages));
  }
}

void describe_speed(const setup::Context& context, const plan::Mapping& mapping, double step_s,
                    std::int64_t steps) {
  say_row(context, "step time",
          "{} predicted, {:.0f} samples/s; {} steps in {}, without evaluations and files", time_text(step_s),
          static_cast<double>(mapping.step_samples) / step_s, steps,
          format_duration(step_s * static_cast<double>(steps)));
}

double rehearse_here(const setup::Context& context, const setup::Settled& settled,
                     const plan::Mapping& mapping) {
  const plan::Rehearsed rehearsed =
      plan::rehearse(settled.config, context.grid(), settled.shapes.train, settled.stages,
                     train::gemms_of(settled.config, settled.plan), context.give_way());
  describe_speed(context, mapping, rehearsed.step_s, settled.total_steps);
  say_row(context, "", "of rank 0: compute {}, exchange {}, data {}; timed on made-up data",
          time_text(rehearsed.time.compute_s), time_text(rehearsed.time.exchange_s),
          time_text(rehearsed.time.data_s));
  if (!rehearsed.pipeline.busy_s.empty())
    say_row(context, "", "{}", format_pipeline_time(rehearsed.pipeline));
  return rehearsed.step_s;
}

std::optional<double> forecast_elsewhere(const setup::Context& context, const setup::Settled& settled,
                                         const plan::Mapping& mapping) {
  const std::string& file = context.arguments().forecast_file;
  if (!file.empty() && (mapping.stages.size() > 1 || mapping.sums_integers())) {
    throw UsageError(
        fmt::format("--forecast_file {} with {}", file,
                    mapping.sums_integers() ? "sums of integers (runconfig.reproducible)" : "stages"),
        "it describes runs that have neither");
  }
  const auto most = std::ranges::max_element(mapping.stages, {}, &plan::StageMapping::numbers);
  const std::size_t bytes = mapping.private_memory.total() + most->numbers * sizeof(float);
  if (bytes > comm::host_memory().bytes / 2) {
    say_row(context, "step time", "not predicted: with {} a rank is too large to be timed here",
            bytes_text(bytes));
    if (!file.empty()) throw UsageError(fmt::format("--forecast_file {}: there is no forecast", file));
    return std::nullopt;
  }
  const plan::Rates rates =
      plan::measure_rates(settled.config, mapping, settled.shapes.train, context.topology());
  const plan::Forecast expected = plan::forecast(settled.config, mapping, rates);
  describe_speed(context, mapping, expected.step_s(), settled.total_steps);
  say_row(context, "", "compute {}, update {}, data {}, network {}, waits of stages {} (bubble {:.0f} %)",
          time_text(expected.compute_s), time_text(expected.update_s), time_text(expected.data_s),
          time_text(expected.network_s), time_text(expected.pipeline_s), 100.0 * expected.bubble_fraction);
  say_row(context, "", "by the speed of one rank alone here; ranks that share caches and memory are slower");
  if (mapping.nodes > 1) {
    say_row(context, "", "assumed between nodes: {:g} Gbit/s, {:g} us",
            rates.between_nodes.bytes_per_s * 8e-9, rates.between_nodes.latency_s * 1e6);
  }
  if (!file.empty()) {
    store::write_atomically(file, plan::forecast_text(settled.config, mapping, rates, expected));
  }
  return expected.step_s();
}

/// Where the run would begin, once it is clear that it can. Collective.
void describe_start_point(const setup::Context& context, const setup::Settled& settled) {
  setup::on_root(context.world(), [&] {
    const setup::StartPoint& start = settled.start;
    if (start.checkpoint) check_fits(settled.config, *start.checkpoint, settled.shapes.train.features());
    std::string from = "initial weights";
    if (start.checkpoint && start.weights_only) {
      from = "the weights of " + context.arguments().checkpoint_path;
    } else if (start.checkpoint) {
      from = fmt::format("a checkpoint of step {}", start.checkpoint->header().state.step);
    }
    say_row(context, "start", "{}, {} steps in all; model_dir {}", from, settled.total_steps,
            settled.config.run.model_dir);
  });
}

}  // namespace

TrainingOutlook describe_training(const setup::Context& context) {
  const setup::Settled settled = setup::settle(context, setup::Intent::validate);
  const config::RunConfig& config = settled.config;
  const train::Shapes& shapes = settled.shapes;
  const auto widths = model::widths_of(config.model, shapes.train.features());
  say_row(context, "model", "{}", fmt::join(widths, "-"));
  const int held_out = config.train_input.validation_size;
  say_row(context, "data", "{}{}{}", data::to_string(shapes.train),
          held_out > 0 ? fmt::format(", {} of them held out for validation", held_out) : "",
          shapes.eval ? "; to evaluate: " + data::to_string(*shapes.eval) : "");
  describe_start_point(context, settled);
  const plan::Mapping mapping = plan::map_training(config, shapes, settled.stages, context.placement());
  describe_mapping(context, mapping, model::layer_costs(widths), config.model.precision);
  TrainingOutlook outlook{.rank_bytes = mapping.private_memory.total(),
                          .shared_bytes = mapping.shared_on_a_node,
                          .step_s = std::nullopt,
                          .total_steps = settled.total_steps};
  if (context.is_planned()) {
    warn_of_planned_memory(context, mapping.shared_on_a_node, mapping.memory_on_a_node);
    outlook.step_s = forecast_elsewhere(context, settled, mapping);
    return outlook;
  }
  as_usage_error([&] { check_host_memory(context, mapping.memory_on_a_node); });
  as_usage_error([&] { setup::check_memory(context, config, shapes, settled.mlp); });
  outlook.step_s = rehearse_here(context, settled, mapping);
  return outlook;
}

}  // namespace fcmnist::run
