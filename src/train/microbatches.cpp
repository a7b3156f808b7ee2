#include "train/microbatches.hpp"

#include <algorithm>

#include "core/fixed_point.hpp"
#include "data/epoch_plan.hpp"

namespace fcmnist::train {

namespace {

constexpr std::size_t wanted_per_stage =
    4;  // microbatches for each stage: the bubble is then a fifth or less

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

}  // namespace

Microbatches::Microbatches(std::size_t size, std::size_t per_replica, int replicas)
    : size_(size), per_replica_(per_replica), replicas_(static_cast<std::size_t>(replicas)) {}

Microbatches Microbatches::of_fixed_size(std::size_t size, int replicas) { return {size, 0, replicas}; }

Microbatches Microbatches::shared_evenly(std::size_t per_replica, int replicas) {
  return {0, per_replica, replicas};
}

Range Microbatches::share(std::size_t items, int replica) const {
  return share_of(items, replicas_, static_cast<std::size_t>(replica));
}

std::size_t Microbatches::in_all(std::size_t samples) const { return ceil_div(samples, size_); }

std::size_t Microbatches::count(std::size_t samples, int replica) const {
  if (size_ == 0) return per_replica_;
  return std::max<std::size_t>(share(in_all(samples), replica).size(), 1);
}

Range Microbatches::of(std::size_t samples, int replica, std::size_t n) const {
  if (size_ == 0) {
    const Range mine = share(samples, replica);
    const Range part = share_of(mine.size(), per_replica_, n);
    return {mine.begin + part.begin, mine.begin + part.end};
  }
  const Range mine = share(in_all(samples), replica);
  const std::size_t begin = std::min((mine.begin + n) * size_, samples);
  return {begin, mine.size() == 0 ? begin : std::min(begin + size_, samples)};
}

Range Microbatches::samples_of(std::size_t samples, int replica) const {
  return {of(samples, replica, 0).begin, of(samples, replica, count(samples, replica) - 1).end};
}

std::size_t Microbatches::most(std::size_t samples) const {
  return size_ > 0 ? std::max<std::size_t>(ceil_div(in_all(samples), replicas_), 1) : per_replica_;
}

std::size_t Microbatches::largest(std::size_t samples) const {
  return size_ > 0 ? std::min(size_, samples) : ceil_div(ceil_div(samples, replicas_), per_replica_);
}

std::size_t step_batch(const config::RunConfig& config, int replicas) {
  return data::global_batch(config.train_input, replicas) *
         static_cast<std::size_t>(config.optimizer.grad_accum_steps);
}

std::size_t largest_step(const config::RunConfig& config, int replicas, std::size_t available) {
  return std::min(step_batch(config, replicas), available);
}

Microbatches training_microbatches(const config::RunConfig& config, int replicas, int stages) {
  constexpr std::size_t least_samples = 16;
  const std::size_t fixed = config::microbatch_size(config);
  if (fixed > 0) return Microbatches::of_fixed_size(fixed, replicas);
  const auto batches = static_cast<std::size_t>(config.optimizer.grad_accum_steps);
  if (stages == 1) return Microbatches::shared_evenly(batches, replicas);
  const std::size_t share = step_batch(config, replicas) / static_cast<std::size_t>(replicas);
  const std::size_t wanted =
      std::min(wanted_per_stage * static_cast<std::size_t>(stages), share / least_samples);
  return Microbatches::shared_evenly(std::max(batches, wanted), replicas);
}

std::size_t most_training_microbatches(const config::RunConfig& config, int replicas, int stages) {
  return training_microbatches(config, replicas, stages).most(step_batch(config, replicas));
}

Microbatches evaluation_microbatches(const config::RunConfig& config, int replicas, int stages,
                                     std::size_t samples) {
  constexpr std::size_t least_size = 64;  // smaller ones are slower, and here the size is free
  const auto most =
      static_cast<std::size_t>(FixedPoint::most_terms);  // so that the sum of the losses is exact
  const std::size_t batch = std::min(data::global_batch(config.eval_input, replicas), samples);
  const std::size_t fixed = config::microbatch_size(config);
  const std::size_t share = ceil_div(batch, static_cast<std::size_t>(replicas));
  const std::size_t in_pipeline = ceil_div(share, wanted_per_stage * static_cast<std::size_t>(stages));
  const std::size_t size = fixed > 0     ? std::max(fixed, least_size)
                           : stages == 1 ? share
                                         : std::min(share, std::max(in_pipeline, least_size));
  return Microbatches::of_fixed_size(std::max({size, ceil_div(samples, most), std::size_t{1}}), replicas);
}

}  // namespace fcmnist::train
