#include "run/validation.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "model/layer_placement.hpp"
#include "plan/forecast.hpp"
#include "plan/mapping.hpp"
#include "plan/rates.hpp"
#include "plan/rehearsal.hpp"
#include "run/evaluation.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "setup/plan_in_effect.hpp"
#include "setup/settle.hpp"
#include "setup/start_point.hpp"
#include "store/model_dir.hpp"
#include "train/shared_dataset.hpp"
#include "train/stage_placement.hpp"

namespace fcmnist::run {

namespace {

template <class... Values>
void row(const setup::RunContext& context, const char* name, fmt::format_string<Values...> text,
         Values&&... values) {
  context.log->info("{:<18}{}", name, fmt::format(text, std::forward<Values>(values)...));
}

/// Data that are missing would be fetched by the run; here they are an error, since nothing is written.
void forbid_download(config::RunConfig& config) {
  config.train_input.download = false;
  config.eval_input.download = false;
}

/// `check` may throw the CommError of a node that has too little memory.
template <class Check>
void as_usage_error(Check check) {
  try {
    check();
  } catch (const Error& error) {
    if (!error.agreed() || error.code() != ExitCode::communication) throw;
    throw Error(ExitCode::usage, error.what()).as_agreed();
  }
}

void check_host_memory(const setup::RunContext& context, std::size_t node_bytes) {
  comm::collectively(context.world(), [&] {
    if (node_bytes <= comm::host_memory()) return;
    const std::string found = fmt::format("a node with the most ranks needs {}, this one has {}",
                                          bytes_text(node_bytes), bytes_text(comm::host_memory()));
    throw UsageError(found,
                     "fewer ranks per node, a smaller microbatch, or runconfig.execution layer_pipelined");
  });
}

/// Of nodes that are not there, this host says only what it would be like if they were like it.
void warn_of_planned_memory(const setup::RunContext& context, std::size_t shared, std::size_t all) {
  if (const auto available = comm::free_shared_memory(); available && *available < shared) {
    context.log->warn(
        "shared windows of a node take {}, but /dev/shm of this one has {}: on such nodes the run "
        "ends with exit 5",
        bytes_text(shared), bytes_text(*available));
  }
  if (comm::host_memory() < all) {
    context.log->warn("a node needs {} of memory, this one has {}: on such nodes the run is killed",
                      bytes_text(all), bytes_text(comm::host_memory()));
  }
}

void describe_stage(const setup::RunContext& context, std::size_t s, const plan::StageMapping& stage,
                    std::span<const double> costs) {
  row(context, fmt::format("stage {}", s).c_str(),
      "{}, {:.0f} % of the work, {} on {} node{}, {} parameters in {} blocks, {} updated by each rank",
      first_to_last("layer", "layers", stage.layers.begin, stage.layers.end - 1),
      100.0 * model::share_of_cost(costs, stage.layers),
      first_to_last("rank", "ranks", stage.ranks.begin, stage.ranks.end - 1), stage.nodes,
      plural(static_cast<std::size_t>(stage.nodes)), stage.parameters, stage.blocks,
      span_text(stage.least_owned, stage.most_owned));
}

void describe_mapping(const setup::RunContext& context, const plan::Mapping& mapping,
                      std::span<const double> costs) {
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
      context.config.model.precision == model::Precision::float32 ? "" : ", master weights",
      bytes_text(own.windows), bytes_text(own.other));
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

void describe_speed(const setup::RunContext& context, const plan::Mapping& mapping, double step_s,
                    std::int64_t steps) {
  row(context, "step time", "{} predicted, {:.0f} samples/s; {} steps in {}, without evaluations and files",
      time_text(step_s), static_cast<double>(mapping.step_samples) / step_s, steps,
      format_duration(step_s * static_cast<double>(steps)));
}

void rehearse_here(const setup::RunContext& context, const train::Shapes& shapes,
                   const plan::Mapping& mapping, std::span<const model::LayerRange> stages,
                   const model::GemmChoice& gemms, std::int64_t steps) {
  const plan::Rehearsed rehearsed =
      plan::rehearse(context.config, context.grid(), shapes.train, stages, gemms, context.give_way);
  describe_speed(context, mapping, rehearsed.step_s, steps);
  row(context, "", "of rank 0: compute {}, exchange {}, data {}; timed on made-up data",
      time_text(rehearsed.time.compute_s), time_text(rehearsed.time.exchange_s),
      time_text(rehearsed.time.data_s));
  if (!rehearsed.pipeline.busy_s.empty()) row(context, "", "{}", format_pipeline_time(rehearsed.pipeline));
}

void forecast_elsewhere(const setup::RunContext& context, const train::Shapes& shapes,
                        const plan::Mapping& mapping, std::int64_t steps) {
  const auto most = std::ranges::max_element(mapping.stages, {}, &plan::StageMapping::numbers);
  const std::size_t bytes = mapping.private_memory.total() + most->numbers * sizeof(float);
  if (bytes > comm::host_memory() / 2) {
    row(context, "step time", "not predicted: with {} a rank is too large to be timed here",
        bytes_text(bytes));
    return;
  }
  const plan::Rates rates = plan::measure_rates(context.config, mapping, shapes.train, context.topology);
  const plan::Forecast expected = plan::forecast(context.config, mapping, rates);
  describe_speed(context, mapping, expected.step_s(), steps);
  row(context, "", "compute {}, update {}, data {}, network {}, waits of stages {} (bubble {:.0f} %)",
      time_text(expected.compute_s), time_text(expected.update_s), time_text(expected.data_s),
      time_text(expected.network_s), time_text(expected.pipeline_s), 100.0 * expected.bubble_fraction);
  row(context, "", "by the speed of one rank alone here; ranks that share caches and memory are slower");
  if (mapping.nodes > 1) {
    row(context, "", "assumed between nodes: {:.0f} Gbit/s, {:.0f} us",
        rates.between_nodes.bytes_per_s * 8e-9, rates.between_nodes.latency_s * 1e6);
  }
}

/// Whether the weights are those of this model, by the check of the run itself.
void check_fits(const setup::RunContext& context, const store::Checkpoint& checkpoint, std::size_t features) {
  const model::Mlp mlp(model::widths_of(context.config.model, features), context.config.model,
                       context.config.kernels.gemm);
  const Arena<float> weights(mlp.layout());
  checkpoint.load_weights(weights.view());
}

/// Where the run would begin, which also finds out whether it may. On rank 0.
setup::StartPoint describe_start_point(const setup::RunContext& context, std::size_t features,
                                       std::int64_t steps) {
  setup::StartPoint start;
  setup::on_root(context, [&] {
    const store::ModelDir model_dir(context.config.run.model_dir);
    start = setup::find_start_point(context, model_dir);
    if (start.checkpoint) check_fits(context, *start.checkpoint, features);
    std::string from = "initial weights";
    if (start.checkpoint && start.weights_only) from = "the weights of " + context.arguments->checkpoint_path;
    if (start.checkpoint && !start.weights_only) {
      from = fmt::format("a checkpoint of step {}", start.checkpoint->header().state.step);
    }
    row(context, "start", "{}, {} steps in all; model_dir {}", from, steps, model_dir.path().string());
  });
  return start;
}

/// The plan that the run would use. A world that is not there has none of its own.
std::optional<config::Plan> plan_of_run(setup::RunContext& context, const setup::StartPoint& start,
                                        const train::Shapes& shapes) {
  const setup::GivenPlan given = setup::read_given_plan(context);
  if (!context.is_planned())
    return setup::settle_plan(context, start, given, setup::plan_target(context, shapes.train));
  if (given.unreadable) throw *given.unreadable;
  if (given.plan) {
    row(context, "plan", "{} is not used here: whether it holds, only the world itself can tell",
        given.plan->name);
  }
  return std::nullopt;
}

void validate_training(setup::RunContext& context) {
  const train::Shapes shapes = setup::find_datasets(context);
  const data::EpochPlan plan = setup::make_plan(context, shapes.train);
  const std::int64_t steps = setup::training_length(context.config.run, plan.steps_per_epoch());
  const auto widths = model::widths_of(context.config.model, shapes.train.features());
  row(context, "model", "{}", fmt::join(widths, "-"));
  row(context, "data", "{}{}", data::to_string(shapes.train),
      shapes.eval ? "; to evaluate: " + data::to_string(*shapes.eval) : "");
  const setup::StartPoint start = describe_start_point(context, shapes.train.features(), steps);
  setup::settle_arithmetic(context, start);
  const std::optional<config::Plan> execution = plan_of_run(context, start, shapes);
  const auto stages = train::place_stages(widths, context.stages, execution);
  const plan::Mapping mapping = plan::map_training(context.config, shapes, stages, context.placement);
  describe_mapping(context, mapping, model::layer_costs(widths));
  if (context.is_planned()) {
    warn_of_planned_memory(context, mapping.shared_on_a_node, mapping.memory_on_a_node);
    forecast_elsewhere(context, shapes, mapping, steps);
    return;
  }
  const auto stage = static_cast<std::size_t>(context.grid().stage());
  check_host_memory(context, mapping.memory_on_a_node);
  as_usage_error([&] {
    setup::check_memory(context, shapes,
                        model::Mlp(widths, context.config.model, context.config.kernels.gemm, stages[stage]));
  });
  rehearse_here(context, shapes, mapping, stages, train::gemms_of(context.config, execution), steps);
}

void validate_evaluation(setup::RunContext& context) {
  const config::RunConfig& config = context.config;
  const data::DatasetShape shape = setup::find_dataset(context.topology, config.eval_input, *context.log);
  const bool all = config.run.mode == config::Mode::eval_all;
  std::optional<store::Checkpoint> checkpoint;  // on rank 0
  setup::on_root(context, [&] {
    const store::ModelDir model_dir(config.run.model_dir);
    const std::string& given = context.arguments->checkpoint_path;
    const bool one_is_given = !all && !given.empty();
    if (one_is_given) {
      checkpoint = store::Checkpoint::read(given);
    } else {
      checkpoint = setup::newest_intact_checkpoint(model_dir, *context.log);
    }
    if (!checkpoint) throw no_checkpoint(model_dir);
    check_fits(context, *checkpoint, shape.features());
    row(context, "checkpoints", "{}",
        one_is_given ? given
                     : fmt::format("{} of {} in {}", all ? "all" : "the newest intact one",
                                   model_dir.checkpoint_steps().size(), model_dir.path().string()));
  });
  setup::settle_precision(context, checkpoint ? &*checkpoint : nullptr);
  const plan::EvaluationMapping mapping = plan::map_evaluation(config, shape, context.placement);
  row(context, "data", "{}", data::to_string(shape));
  row(context, "samples", "{} would be scored, {} by each of {} ranks, all layers on each", mapping.samples,
      span_text(mapping.rank_samples), context.ranks());
  row(context, "memory of a rank", "{} besides program and MPI", bytes_text(mapping.private_memory));
  row(context, "shared by a node", "{}: data and weights", bytes_text(mapping.shared_on_a_node));
  if (context.is_planned()) {
    warn_of_planned_memory(context, mapping.shared_on_a_node, mapping.memory_on_a_node);
    return;
  }
  check_host_memory(context, mapping.memory_on_a_node);
  const std::size_t mine = context.topology.is_leader() ? mapping.shared_on_a_node : 0;
  as_usage_error([&] { comm::check_shared_memory(context.topology, mine); });
}

}  // namespace

UsageError nothing_to_validate() {
  return UsageError("--validate_only with the mode prepare_data: there is no world to map it onto",
                    "leave out one of the two");
}

void run_validation(setup::RunContext& context) {
  forbid_download(context.config);
  switch (context.config.run.mode) {
    case config::Mode::train:
    case config::Mode::train_and_eval:
      validate_training(context);
      break;
    case config::Mode::eval:
    case config::Mode::eval_all:
      validate_evaluation(context);
      break;
    case config::Mode::prepare_data:
      throw nothing_to_validate().as_agreed();
  }
  context.log->info("valid; nothing was run, and nothing was written");
}

}  // namespace fcmnist::run
