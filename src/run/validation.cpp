#include "run/validation.hpp"

#include <fmt/format.h>

#include <optional>
#include <string>

#include "comm/host_memory.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "plan/mapping.hpp"
#include "run/checkpoint_queue.hpp"
#include "run/ensemble.hpp"
#include "run/memory_check.hpp"
#include "run/sweep_outlook.hpp"
#include "run/training_outlook.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "setup/start_point.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::run {

namespace {

/// Throws StoreError unless all members of an ensemble are intact and score the same data. On rank 0.
void check_members(const setup::Context& context, std::size_t features) {
  for (const std::string& file : context.ensemble()) {
    const store::Checkpoint checkpoint = store::Checkpoint::read(file);
    config::RunConfig config = context.config();
    config.model = model_of_member(checkpoint.header().config_yaml, file, context.config().model.num_classes);
    check_fits(config, checkpoint, features);
  }
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
    check_members(context, features);
    if (context.is_ensemble())
      return say_row(context, "checkpoints", "{}, an ensemble", context.ensemble().size());
    say_row(context, "checkpoints", "{}",
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
  say_row(context, "data", "{}", data::to_string(shape));
  say_row(context, "samples", "{} would be scored, {} by each of {} ranks, all layers on each",
          mapping.samples, span_text(mapping.rank_samples), context.ranks());
  say_row(context, "memory of a rank", "{} besides program and MPI", bytes_text(mapping.private_memory));
  say_row(context, "shared by a node", "{}: data and weights", bytes_text(mapping.shared_on_a_node));
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
  const std::string& forecast_file = context.arguments().forecast_file;
  const config::Mode mode = context.config().run.mode;
  if (!forecast_file.empty() && mode != config::Mode::train && mode != config::Mode::train_and_eval) {
    throw UsageError(fmt::format("--forecast_file {} with a mode that is not one training", forecast_file),
                     "leave it out, or give --mode train");
  }
  switch (mode) {
    case config::Mode::train:
    case config::Mode::train_and_eval:
      describe_training(context);
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
  context.log().info("valid; nothing was run, and nothing was written{}",
                     forecast_file.empty() ? "" : fmt::format(" but {}", forecast_file));
}

}  // namespace fcmnist::run
