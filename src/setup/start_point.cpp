#include "setup/start_point.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "config/load.hpp"
#include "config/resume.hpp"
#include "core/error.hpp"
#include "setup/manifest.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::setup {

namespace {

/// batch_size_per_replica may become the batch_size that it was on the replicas of then, so that a run can go
/// on on another number of them.
void accept_same_global_batch(const store::Manifest& then, data::InputOptions& saved,
                              const data::InputOptions& now) {
  const store::ManifestValue* found = then.find("replicas");
  if (found == nullptr) found = then.find("world_size");  // written before there were stages
  const auto* replicas = found != nullptr ? std::get_if<std::int64_t>(found) : nullptr;
  if (replicas == nullptr || saved.batch_size_per_replica == 0 || now.batch_size_per_replica != 0) return;
  if (saved.batch_size_per_replica * *replicas != now.batch_size) return;
  saved.batch_size = now.batch_size;
  saved.batch_size_per_replica = 0;
}

/// A run that goes on must be the run that was begun.
void check_same_run(const RunContext& context, const store::Checkpoint& checkpoint) {
  config::Sources sources;
  sources.yaml = checkpoint.header().config_yaml;
  sources.yaml_name = "configuration in the checkpoint";
  config::RunConfig saved = config::load(sources).config;
  accept_same_global_batch(checkpoint.header().manifest, saved.train_input, context.config.train_input);
  saved.model.mixed_precision = context.config.model.mixed_precision;  // see settle_arithmetic()
  saved.model.half_type = context.config.model.half_type;
  if (!context.config.optimizer.loss_scale.factor) {
    saved.optimizer.loss_scale = context.config.optimizer.loss_scale;
  }
  saved.run.plan = context.config.run.plan;  // the plan in effect is that of the checkpoint: settle_plan()
  for (const std::string& line : config::check_resume(saved, context.config)) {
    context.log->info("{}", line);
  }
  const store::Manifest& then = checkpoint.header().manifest;
  if (const auto changes = manifest_changes(then, context.manifest, noted_entries); !changes.empty()) {
    context.log->info("since the checkpoint: {}", changes);
  }
  if (const auto changes = manifest_changes(then, context.manifest, bit_entries); !changes.empty()) {
    context.log->warn("since the checkpoint: {}: results go on equal to rounding, not to the bit", changes);
  }
}

/// Going back to an older checkpoint of a run would leave its newer ones in the way of the next resume.
void check_not_older(const store::Checkpoint& given, const std::string& path, std::int64_t newest,
                     const store::ModelDir& model_dir) {
  if (given.header().state.step >= newest) return;
  throw UsageError(
      fmt::format("--checkpoint_path {}: step {}, but {} has a newer {}", path, given.header().state.step,
                  model_dir.path().string(), model_dir.checkpoint_file(newest).filename().string()),
      "use another -o/--model_dir for a run that branches off, or --restart to move the old run aside");
}

bool lies_in(const std::filesystem::path& file, const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::equivalent(file.has_parent_path() ? file.parent_path() : ".", directory, ignored);
}

}  // namespace

StartPoint find_start_point(const RunContext& context, const store::ModelDir& model_dir) {
  const config::CommandLine& arguments = *context.arguments;
  std::optional<store::Checkpoint> given;
  if (!arguments.checkpoint_path.empty()) given = store::Checkpoint::read(arguments.checkpoint_path);

  std::optional<store::Checkpoint> own;
  if (!arguments.restart) own = newest_intact_checkpoint(model_dir, *context.log);
  if (own && given && !arguments.is_pretrained_checkpoint &&
      lies_in(arguments.checkpoint_path, model_dir.path())) {
    check_not_older(*given, arguments.checkpoint_path, own->header().state.step, model_dir);
  }
  if (own) {
    if (given)
      context.log->info("the run in {} goes on; --checkpoint_path was where it began",
                        model_dir.path().string());
    check_same_run(context, *own);
    return {std::move(own), false};
  }
  if (given && !arguments.is_pretrained_checkpoint) check_same_run(context, *given);
  return {std::move(given), arguments.is_pretrained_checkpoint};
}

std::optional<store::Checkpoint> newest_intact_checkpoint(const store::ModelDir& model_dir, Logger& log) {
  std::vector<std::int64_t> steps = model_dir.checkpoint_steps();
  std::ranges::reverse(steps);
  for (const std::int64_t step : steps) {
    try {
      store::Checkpoint checkpoint = store::Checkpoint::read(model_dir.checkpoint_file(step));
      if (checkpoint.header().state.step == step) return checkpoint;
      throw store::UnusableFileError(fmt::format("{}: found a checkpoint of step {}, expected one of step {}",
                                                 model_dir.checkpoint_file(step).string(),
                                                 checkpoint.header().state.step, step));
    } catch (const store::UnusableFileError& error) {
      log.warn("{}; the one before it is tried", error.what());
    }
  }
  if (steps.empty()) return std::nullopt;
  throw StoreError(
      fmt::format("{}: none of its {} checkpoints is intact", model_dir.path().string(), steps.size()),
      "--restart moves them aside and starts over");
}

Start::Start(const RunContext& context) {
  const store::ModelDir model_dir(context.config.run.model_dir);
  double lock_s = 0.0;  // the lock of a node that has died is waited for
  on_root(context, [&] {
    model_dir.ensure_writable();
    lock_s = std::chrono::duration<double>(store::ModelDirLock::longest_wait(model_dir)).count();
  });
  on_root(
      context,
      [&] {
        lock.emplace(model_dir, *context.log);
        point = find_start_point(context, model_dir);
      },
      context.world().max(lock_s));
}

}  // namespace fcmnist::setup
