#include "train/run_summary.hpp"

#include <fmt/format.h>

namespace fcmnist::train {

std::vector<std::string> done_lines(std::int64_t total_steps, const Progress& progress, double peak_bytes,
                                    const store::EvalRow* last_evaluation, const store::ModelDir& model_dir) {
  const TimeSplit& time = progress.total_time();
  std::vector<std::string> lines = {
      fmt::format("done: {} steps in {} of training, {:.0f} samples/s", total_steps,
                  format_duration(time.total_s()), progress.global_rate()),
      fmt::format("time of rank 0: {}", format_time_split(time)),
      fmt::format("peak memory of a rank: {:.0f} MB, data shared by its node included", peak_bytes / 1e6)};
  if (progress.recomputed() > 0) {
    lines.push_back(fmt::format("reproducible: {} gradients were computed again in another fixed-point unit",
                                progress.recomputed()));
  }
  if (last_evaluation != nullptr) {
    lines.push_back(fmt::format("test accuracy {:.4f} (error {:.2f} %), loss {:.5f}",
                                last_evaluation->accuracy, 100.0 * (1.0 - last_evaluation->accuracy),
                                last_evaluation->loss));
  }
  lines.push_back(fmt::format("files: {} {} {}", model_dir.checkpoint_file(total_steps).string(),
                              model_dir.metrics_file().string(), model_dir.params_file().string()));
  return lines;
}

std::string finished_line(std::int64_t steps_done, std::int64_t total_steps,
                          const store::ModelDir& model_dir) {
  return fmt::format(
      "the run in {} is finished: {} of {} steps are done; a larger --max_steps or --num_epochs goes on, "
      "--restart starts over",
      model_dir.path().string(), steps_done, total_steps);
}

}  // namespace fcmnist::train
