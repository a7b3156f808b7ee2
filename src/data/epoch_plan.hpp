#pragma once

#include <cstddef>
#include <cstdint>

#include "core/share.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

/// What one optimizer step takes from the data: positions in the order of an epoch.
struct StepSamples {
  std::uint64_t epoch = 0;
  Range positions;  ///< places in EpochOrder::order(epoch)
  bool operator==(const StepSamples&) const = default;
};

/// The number of samples of one batch, all replicas together.
std::size_t global_batch(const InputOptions& input, int replicas);

/// Which samples each step takes. This is pure arithmetic, so that a run can resume at any step without
/// repeating those before it.
///
/// How the samples of a step are dealt to replicas is another matter (train/microbatches.hpp).
class EpochPlan {
 public:
  ///   step_batch       samples of one step, > 0: global batch x grad_accum_steps
  ///   drop_last_batch  leave out the tail of an epoch that fills no step; otherwise the last step of an
  ///                    epoch is shorter
  ///   max_steps        > 0: an epoch ends after so many steps, if the data has as many; 0: no such limit
  /// Throws UsageError if an epoch would have no step: drop_last_batch and fewer samples than step_batch.
  EpochPlan(std::size_t samples, std::size_t step_batch, bool drop_last_batch, std::uint64_t max_steps = 0);

  [[nodiscard]] std::uint64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// The number of samples that one epoch uses.
  [[nodiscard]] std::size_t samples_per_epoch() const;
  /// What step `step` takes; step 0 is the first step of epoch 0.
  [[nodiscard]] StepSamples at(std::uint64_t step) const;

 private:
  std::size_t samples_;
  std::size_t step_batch_;
  std::uint64_t steps_per_epoch_;
};

}  // namespace fcmnist::data
