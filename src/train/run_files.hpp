#pragma once

#include <cstdint>
#include <optional>

#include "store/checkpoint.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"
#include "train/model_state.hpp"
#include "train/run_context.hpp"

namespace fcmnist::train {

/// The files of a training run in its model_dir. Rank 0 alone has them. Throws StoreError.
class RunFiles {
 public:
  /// Opens the run's files for a run that stands at `step`: moves an old run aside (--restart), puts damaged
  /// checkpoints and left-overs of dead runs out of the way, forgets metrics of later steps, writes
  /// params.yaml. Nothing that the user asked for may be wrong any more when this is called.
  RunFiles(const RunContext& context, std::size_t classes, std::int64_t step);

  [[nodiscard]] store::MetricsFile& metrics() { return metrics_; }
  /// Training time of the processes before this one.
  [[nodiscard]] double elapsed_before_s() const { return elapsed_before_s_; }

  /// Writes the metrics when the last time is a while ago, for who looks on.
  void write_metrics_now_and_then();
  /// Writes the metrics. A failure loses nothing and is a warning: the next write holds the same rows.
  void keep_metrics();
  /// Metrics first, so that a checkpoint never knows more than they do; then the checkpoint; then old ones
  /// are deleted.
  void save(const store::TrainState& position, const ModelState& state);
  /// Accuracy of these weights, if the last evaluation was of this step.
  [[nodiscard]] std::optional<store::Evaluation> evaluation_of(std::int64_t step) const;

 private:
  [[nodiscard]] std::optional<std::int64_t> best_step() const;

  const RunContext* context_;
  store::ModelDir model_dir_;
  store::MetricsFile metrics_;
  double elapsed_before_s_ = 0.0;
  double last_metrics_write_s_ = comm::now_s();
};

}  // namespace fcmnist::train
