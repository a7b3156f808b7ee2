#include "train/run_files.hpp"

#include <algorithm>
#include <vector>

#include "core/error.hpp"
#include "store/atomic_file.hpp"

namespace fcmnist::train {

namespace {

constexpr double metrics_write_interval_s = 10.0;

/// Everything that must be out of the way before the metrics are opened.
store::MetricsFile open_metrics(const RunContext& context, const store::ModelDir& model_dir,
                                std::size_t classes, std::int64_t step) {
  Logger& log = *context.log;
  for (const std::string& name : store::remove_stale_temporaries(model_dir.path())) {
    log.info("removed {}, left by a run that died while writing it", name);
  }
  if (context.arguments->restart) {
    if (const auto place = model_dir.move_aside()) {
      log.info("--restart: the files of the old run are now in {}", place->string());
    }
  }
  model_dir.set_damaged_aside(step, log);
  return store::MetricsFile::open_or_create(model_dir.metrics_file(), classes, context.config_yaml,
                                            context.manifest, log);
}

}  // namespace

RunFiles::RunFiles(const RunContext& context, std::size_t classes, std::int64_t step)
    : context_(&context),
      model_dir_(context.config.run.model_dir),
      metrics_(open_metrics(context, model_dir_, classes, step)) {
  store::write_atomically(model_dir_.params_file(), context.config_yaml);
  metrics_.truncate_after(step);
  if (!metrics_.train().empty()) elapsed_before_s_ = metrics_.train().back().elapsed_s;
}

void RunFiles::write_metrics_now_and_then() {
  if (comm::now_s() - last_metrics_write_s_ > metrics_write_interval_s) keep_metrics();
}

void RunFiles::keep_metrics() {
  last_metrics_write_s_ = comm::now_s();
  try {
    metrics_.write();
  } catch (const StoreError& error) {
    context_->log->warn("{}; tried again later", error.what());
  }
}

void RunFiles::save(const store::TrainState& position, const ModelState& state) {
  metrics_.write();
  last_metrics_write_s_ = comm::now_s();
  const store::CheckpointHeader header{position, evaluation_of(position.step), context_->config_yaml,
                                       context_->manifest};
  const store::OptimizerArray optimizer[] = {{"momentum_buffer", state.momentum_buffer()}};
  const auto path = model_dir_.checkpoint_file(position.step);
  store::write_checkpoint(path, header, state.weights(), optimizer);
  context_->log->info("saved {}", path.string());
  model_dir_.prune(context_->config.checkpoint.keep_checkpoints, best_step(), *context_->log);
}

std::optional<store::Evaluation> RunFiles::evaluation_of(std::int64_t step) const {
  const auto& evaluations = metrics_.eval();
  if (evaluations.empty() || evaluations.back().step != step) return std::nullopt;
  return store::Evaluation{evaluations.back().loss, evaluations.back().accuracy};
}

/// The checkpoint with the best test accuracy, the latest of equals.
std::optional<std::int64_t> RunFiles::best_step() const {
  const std::vector<std::int64_t> saved = model_dir_.checkpoint_steps();
  const store::EvalRow* best = nullptr;
  for (const store::EvalRow& row : metrics_.eval()) {
    if (!std::ranges::binary_search(saved, row.step)) continue;
    if (best == nullptr || row.accuracy >= best->accuracy) best = &row;
  }
  return best != nullptr ? std::optional(best->step) : std::nullopt;
}

}  // namespace fcmnist::train
