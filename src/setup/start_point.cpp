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

/// The checkpoint's batch_size_per_replica times its replicas may be given as batch_size, so that a run can go
/// on with another number of replicas.
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

/// The configuration of the checkpoint, without what a run that goes on may change or takes from there anyway.
config::RunConfig comparable_config(const store::CheckpointHeader& header, const config::RunConfig& now) {
  config::Sources sources;
  sources.yaml = header.config_yaml;
  sources.yaml_name = "configuration in the checkpoint";
  config::RunConfig saved = config::load(sources).config;
  accept_same_global_batch(header.manifest, saved.train_input, now.train_input);
  saved.model.mixed_precision = now.model.mixed_precision;  // see settle_arithmetic()
  saved.model.half_type = now.model.half_type;
  if (!now.optimizer.loss_scale.factor) saved.optimizer.loss_scale = now.optimizer.loss_scale;
  saved.run.plan = now.run.plan;  // the plan in effect is that of the checkpoint: settle_plan()
  return saved;
}

/// A run that goes on must be the run that was begun.
void check_same_run(const store::CheckpointHeader& header, const config::RunConfig& config,
                    const store::Manifest& now, Logger& log) {
  for (const std::string& line : config::check_resume(comparable_config(header, config), config)) {
    log.info("{}", line);
  }
  if (const auto changes = manifest_changes(header.manifest, now, noted_entries); !changes.empty()) {
    log.info("since the checkpoint: {}", changes);
  }
  if (const auto changes = manifest_changes(header.manifest, now, bit_entries); !changes.empty()) {
    log.warn("since the checkpoint: {}: results go on equal to rounding, not to the bit", changes);
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

StartPoint find_start_point(const config::CommandLine& arguments, const config::RunConfig& config,
                            const store::Manifest& now, Logger& log) {
  const store::ModelDir model_dir(config.run.model_dir);
  std::optional<store::Checkpoint> given;
  if (!arguments.checkpoint_path.empty()) given = store::Checkpoint::read(arguments.checkpoint_path);

  std::optional<store::Checkpoint> own;
  if (!arguments.restart) own = newest_intact_checkpoint(model_dir, log);
  if (own && given && !arguments.is_pretrained_checkpoint &&
      lies_in(arguments.checkpoint_path, model_dir.path())) {
    check_not_older(*given, arguments.checkpoint_path, own->header().state.step, model_dir);
  }
  if (own) {
    if (given) {
      log.info("the run in {} goes on; --checkpoint_path was where it began", model_dir.path().string());
    }
    check_same_run(own->header(), config, now, log);
    return {std::move(own), false};
  }
  if (given && !arguments.is_pretrained_checkpoint) check_same_run(given->header(), config, now, log);
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

LockedStart lock_start_point(const Context& context) {
  const store::ModelDir model_dir(context.config().run.model_dir);
  double lock_s = 0.0;  // the lock of a node that has died is waited for
  on_root(context.world(), [&] {
    model_dir.ensure_writable();
    lock_s = std::chrono::duration<double>(store::ModelDirLock::longest_wait(model_dir)).count();
  });
  LockedStart start;
  on_root(
      context.world(),
      [&] {
        start.lock = std::make_unique<store::ModelDirLock>(model_dir, context.log());
        start.point =
            find_start_point(context.arguments(), context.config(), context.manifest(), context.log());
      },
      context.world().max(lock_s));
  return start;
}

}  // namespace fcmnist::setup
