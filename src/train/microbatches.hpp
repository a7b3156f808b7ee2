#pragma once

#include <cstddef>

#include "config/run_config.hpp"
#include "core/share.hpp"

namespace fcmnist::train {

/// How samples are cut into microbatches, the work that is computed at once, and dealt to replicas.
///
/// With a fixed size, the cut depends on the samples alone: microbatch m holds the samples from m * size on,
/// the last one what is left, and each replica computes whole ones, as many as the others or one more. So it
/// is the same arithmetic on any number of replicas. Otherwise each replica computes its share of the samples
/// (core/share.hpp), in `per_replica` microbatches.
class Microbatches {
 public:
  static Microbatches of_fixed_size(std::size_t size, int replicas);
  static Microbatches shared_evenly(std::size_t per_replica, int replicas);

  /// Microbatches of `samples` samples that a replica computes; at least one, which may be empty.
  [[nodiscard]] std::size_t count(std::size_t samples, int replica) const;
  /// The samples of the n-th of them.
  [[nodiscard]] Range of(std::size_t samples, int replica, std::size_t n) const;
  /// The samples of all of them.
  [[nodiscard]] Range samples_of(std::size_t samples, int replica) const;
  /// Microbatches of the replica that computes the most.
  [[nodiscard]] std::size_t most(std::size_t samples) const;
  /// Samples of the largest one of any replica.
  [[nodiscard]] std::size_t largest(std::size_t samples) const;

 private:
  Microbatches(std::size_t size, std::size_t per_replica, int replicas);
  [[nodiscard]] Range share(std::size_t items, int replica) const;
  [[nodiscard]] std::size_t in_all(std::size_t samples) const;

  std::size_t size_;         ///< 0 if the size is not fixed
  std::size_t per_replica_;  ///< used if the size is not fixed
  std::size_t replicas_;
};

/// Samples of one step over all replicas: the global batch times grad_accum_steps.
std::size_t step_batch(const config::RunConfig& config, int replicas);
/// Samples of the largest step of a data set that has so many: a step is at most an epoch.
std::size_t largest_step(const config::RunConfig& config, int replicas, std::size_t available);

/// Those of a training step. Where their size is not fixed, a replica computes one for each accumulated
/// batch; with several stages up to 4 for each of these, so that the bubble is at most a fifth or so, as long
/// as they have 16 samples or more, since matrix products of fewer are slow.
Microbatches training_microbatches(const config::RunConfig& config, int replicas, int stages = 1);
/// Of a full step, how many the replica computes that computes the most.
std::size_t most_training_microbatches(const config::RunConfig& config, int replicas, int stages);
/// Those of an evaluation; of a fixed size, which does not depend on the world if that of training does not.
/// A batch is one for each replica; with several stages up to 4 for each of these, of 64 samples or more.
Microbatches evaluation_microbatches(const config::RunConfig& config, int replicas, int stages,
                                     std::size_t samples);

}  // namespace fcmnist::train
