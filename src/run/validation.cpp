#include "run/validation.hpp"

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
#include "plan/mapping.hpp"
#include "plan/rates.hpp"
#include "plan/rehearsal.hpp"
#include "run/checkpoint_queue.hpp"
#include "run/memory_check.hpp"
#include "run/progress.hpp"
#include "run/sweep.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "setup/settle.hpp"
#include "setup/start_point.hpp"
#include "store/model_dir.hpp"
#include "train/shared_dataset.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::run {

namespace {

template <class... Values>
void row(const setup::Context& context, const char* name, fmt::format_string<Values...> text,
         Values&&... values) {
  context.log().info("{:<18}{}", name, fmt::format(text, std::forward<Values>(values)...));
}

/// Calls `check`, and turns its CommError, which says that a node has too little memory, into a UsageError.
template <class Check>
void as_usage_error(Check check) {
  try {
    check();
  } catch (const Error& error) {
    if (!error.agreed() || error.code() != ExitCode::communication) throw;
    throw Error(ExitCode::usage, error.what()).as_agreed();
  }
}

/// The nodes of a planned world cannot be asked. So this says what would happen if they were like this host.
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

void describe_stage(const setup::Context& context, std::size_t s, const plan::StageMapping& stage,
                    std::span<const double> costs) {
  row(context, fmt::format("stage {}", s).c_str(),
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
  row(context, "grid", "{} replica{} x {} stage{}", mapping.replicas,
      plural(static_cast<std::size_t>(mapping.replicas)), stages, plural(stages));
  row(context, "step", "{} samples, {} per replica in {} microbatch{} of at most {}", mapping.step_samples,
      span_text(mapping.replica_samples), span_text(mapping.replica_microbatches), plural(microbatches, "es"),
      mapping.microbatch_samples);
  for (std::size_t s = 0; s < stages; ++s) describe_stage(context, s, mapping.stages[s], costs);
  const plan::PrivateMemory& own = mapping.private_memory;
  row(context, "memory of a rank",
      "{} besides program and MPI: weights {}, activations {}, messages {}, gradient{} and optimizer state "
      "{}, "
      "other {}",
      bytes_text(own.total()), bytes_text(own.weights), bytes_text(own.activations), bytes_text(own.messages),
      precision == model::Precision::float32 ? "" : ", master weights", bytes_text(own.windows),
      bytes_text(own.other));
  row(context, "", "on rank 0 {} more while it saves", bytes_text(mapping.saving_on_rank_0));
  row(context, "shared by a node",
      "{}: data and what ranks of one stage share there: gradients, weights, optimizer state",
      bytes_text(mapping.shared_on_a_node));
  if (mapping.nodes > 1)
    row(context, "sent per step", "{} by a node to others", bytes_text(mapping.sent_between_nodes));
  if (stages > 1) {
    row(context, "sent per step", "{} between the stages of a replica",
        bytes_text(mapping.sent_between_stages));
  }
}

void describe_speed(const setup::Context& context, const plan::Mapping& mapping, double step_s,
                    std::int64_t steps) {
  row(context, "step time", "{} predicted, {:.0f} samples/s; {} steps in {}, without evaluations and files",
      time_text(step_s), static_cast<double>(mapping.step_samples) / step_s, steps,
      format_duration(step_s * static_cast<double>(steps)));
}

void rehearse_here(const setup::Context& context, const setup::Settled& settled,
                   const plan::Mapping& mapping) {
  const plan::Rehearsed rehearsed =
      plan::rehearse(settled.config, context.grid(), settled.shapes.train, settled.stages,
                     train::gemms_of(settled.config, settled.plan), context.give_way());
  describe_speed(context, mapping, rehearsed.step_s, settled.total_steps);
  row(context, "", "of rank 0: compute {}, exchange {}, data {}; timed on made-up data",
      time_text(rehearsed.time.compute_s), time_text(rehearsed.time.exchange_s),
      time_text(rehearsed.time.data_s));
  if (!rehearsed.pipeline.busy_s.empty()) row(context, "", "{}", format_pipeline_time(rehearsed.pipeline));
}

void forecast_elsewhere(const setup::Context& context, const setup::Settled& settled,
                        const plan::Mapping& mapping) {
  const auto most = std::ranges::max_element(mapping.stages, {}, &plan::StageMapping::numbers);
  const std::size_t bytes = mapping.private_memory.total() + most->numbers * sizeof(float);
  if (bytes > comm::host_memory().bytes / 2) {
    row(context, "step time", "not predicted: with {} a rank is too large to be timed here",
        bytes_text(bytes));
    return;
  }
  const plan::Rates rates =
      plan::measure_rates(settled.config, mapping, settled.shapes.train, context.topology());
  const plan::Forecast expected = plan::forecast(settled.config, mapping, rates);
  describe_speed(context, mapping, expected.step_s(), settled.total_steps);
  row(context, "", "compute {}, update {}, data {}, network {}, waits of stages {} (bubble {:.0f} %)",
      time_text(expected.compute_s), time_text(expected.update_s), time_text(expected.data_s),
      time_text(expected.network_s), time_text(expected.pipeline_s), 100.0 * expected.bubble_fraction);
  row(context, "", "by the speed of one rank alone here; ranks that share caches and memory are slower");
  if (mapping.nodes > 1) {
    row(context, "", "assumed between nodes: {:.0f} Gbit/s, {:.0f} us",
        rates.between_nodes.bytes_per_s * 8e-9, rates.between_nodes.latency_s * 1e6);
  }
}

/// Throws StoreError unless the weights are those of this model, by the check of the run itself.
void check_fits(const config::RunConfig& config, const store::Checkpoint& checkpoint, std::size_t features) {
  const model::Mlp mlp(model::widths_of(config.model, features), config.model, config.kernels.gemm);
  const Arena<float> weights(mlp.layout());
  checkpoint.load_weights(weights.view());
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
    row(context, "start", "{}, {} steps in all; model_dir {}", from, settled.total_steps,
        settled.config.run.model_dir);
  });
}

void validate_training(const setup::Context& context) {
  const setup::Settled settled = setup::settle(context, setup::Intent::validate);
  const config::RunConfig& config = settled.config;
  const train::Shapes& shapes = settled.shapes;
  const auto widths = model::widths_of(config.model, shapes.train.features());
  row(context, "model", "{}", fmt::join(widths, "-"));
  const int held_out = config.train_input.validation_size;
  row(context, "data", "{}{}{}", data::to_string(shapes.train),
      held_out > 0 ? fmt::format(", {} of them held out for validation", held_out) : "",
      shapes.eval ? "; to evaluate: " + data::to_string(*shapes.eval) : "");
  describe_start_point(context, settled);
  const plan::Mapping mapping = plan::map_training(config, shapes, settled.stages, context.placement());
  describe_mapping(context, mapping, model::layer_costs(widths), config.model.precision);
  if (context.is_planned()) {
    warn_of_planned_memory(context, mapping.shared_on_a_node, mapping.memory_on_a_node);
    forecast_elsewhere(context, settled, mapping);
    return;
  }
  as_usage_error([&] { check_host_memory(context, mapping.memory_on_a_node); });
  as_usage_error([&] { setup::check_memory(context, config, shapes, settled.mlp); });
  rehearse_here(context, settled, mapping);
}

/// Says which checkpoints would be scored, once it is clear that they can, and returns the first of them on
/// rank 0. Collective.
std::optional<store::Checkpoint> describe_checkpoints(const setup::Context& context, std::size_t features) {
  const config::RunConfig& config = context.config();
  const bool all = config.run.mode == config::Mode::eval_all;
  std::optional<store::Checkpoint> checkpoint;
  setup::on_root(context.world(), [&] {
    const store::ModelDir model_dir(config.run.model_dir);
    const std::string& given = context.arguments().checkpoint_path;
    const bool one_is_given = !all && !given.empty();
    if (one_is_given) {
      checkpoint = store::Checkpoint::read(given);
    } else {
      checkpoint = setup::newest_intact_checkpoint(model_dir, context.log());
    }
    if (!checkpoint) throw no_checkpoint(model_dir);
    check_fits(config, *checkpoint, features);
    row(context, "checkpoints", "{}",
        one_is_given ? given
                     : fmt::format("{} of {} in {}", all ? "all" : "the newest intact one",
                                   model_dir.checkpoint_steps().size(), model_dir.path().string()));
  });
  return checkpoint;
}

/// The configuration of an evaluation, with the precision of its first checkpoint. Collective.
config::RunConfig settle_evaluation(const setup::Context& context,
                                    const std::optional<store::Checkpoint>& checkpoint) {
  config::RunConfig config = context.config();
  const auto checkpointed = setup::arithmetic_of(context.world(), checkpoint ? &*checkpoint : nullptr);
  const auto arithmetic = setup::settle_arithmetic(context.world(), config.model, checkpointed);
  setup::say_arithmetic(arithmetic, config.model, context.log());
  config.model.precision = arithmetic.precision;
  return config;
}

void validate_evaluation(const setup::Context& context) {
  data::InputOptions input = context.config().eval_input;
  input.download = false;  // data that are missing are an error here, since nothing is written
  const data::DatasetShape shape = setup::find_dataset(context.topology(), input, context.log());
  const config::RunConfig config =
      settle_evaluation(context, describe_checkpoints(context, shape.features()));
  const plan::EvaluationMapping mapping = plan::map_evaluation(config, shape, context.placement());
  row(context, "data", "{}", data::to_string(shape));
  row(context, "samples", "{} would be scored, {} by each of {} ranks, all layers on each", mapping.samples,
      span_text(mapping.rank_samples), context.ranks());
  row(context, "memory of a rank", "{} besides program and MPI", bytes_text(mapping.private_memory));
  row(context, "shared by a node", "{}: data and weights", bytes_text(mapping.shared_on_a_node));
  if (context.is_planned()) {
    warn_of_planned_memory(context, mapping.shared_on_a_node, mapping.memory_on_a_node);
    return;
  }
  as_usage_error([&] { check_host_memory(context, mapping.memory_on_a_node); });
  const std::size_t mine = context.topology().is_leader() ? mapping.shared_on_a_node : 0;
  as_usage_error([&] { comm::check_shared_memory(context.topology(), mine); });
}

}  // namespace

UsageError nothing_to_validate() {
  return UsageError("--validate_only with the mode prepare_data: there is no world to map it onto",
                    "leave out one of the two");
}

void run_validation(const setup::Context& context) {
  switch (context.config().run.mode) {
    case config::Mode::train:
    case config::Mode::train_and_eval:
      validate_training(context);
      break;
    case config::Mode::eval:
    case config::Mode::eval_all:
    case config::Mode::predict:
      validate_evaluation(context);
      break;
    case config::Mode::sweep:
      describe_sweep(context);
      break;
    case config::Mode::prepare_data:
      throw nothing_to_validate().as_agreed();
  }
  context.log().info("valid; nothing was run, and nothing was written");
}

}  // namespace fcmnist::run
