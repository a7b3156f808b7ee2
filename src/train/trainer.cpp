#include "train/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "core/error.hpp"
#include "core/fixed_point.hpp"
#include "kernels/softmax_loss.hpp"
#include "optim/schedule.hpp"
#include "optim/sgd.hpp"
#include "train/divergence.hpp"

namespace fcmnist::train {

/// Numbers that all ranks need besides the gradient, summed over the world with it; the sums are exact.
struct Trainer::Sums {
  enum Index : std::size_t { correct, stop, save, give_up, loss, count = loss + ExactSum::part_count };
  std::array<double, count> numbers{};
  ExactSum total_loss;  ///< becomes the numbers from `loss` on
};

struct Trainer::Microbatch {
  std::span<const std::uint32_t> ids;
  bool first = false;  ///< of this replica's, in its step
  bool last = false;
};

std::vector<model::GradientPart> gradient_parts(const model::Mlp& mlp, const comm::Topology& topology,
                                                bool reproducible) {
  return mlp.gradient_parts(topology.node_count() > 1 && !reproducible ? 65'536 : 0);
}

std::vector<Range> ranges_of(std::span<const model::GradientPart> parts) {
  std::vector<Range> ranges;
  for (const model::GradientPart& part : parts) ranges.push_back(part.numbers);
  return ranges;
}

Trainer::Trainer(const config::RunConfig& config, const comm::Topology& topology,
                 const data::Dataset& dataset, const data::EpochPlan& plan, const model::Mlp& mlp,
                 ModelState& state, std::int64_t total_steps, bool give_way)
    : config_(&config),
      topology_(&topology),
      dataset_(&dataset),
      plan_(&plan),
      mlp_(&mlp),
      state_(&state),
      total_steps_(total_steps),
      order_(dataset.samples(), config.run.seed, config.train_input.shuffle),
      microbatches_(training_microbatches(config, topology.world().size())),
      parts_(gradient_parts(mlp, topology, config.run.reproducible)),
      gradient_(make_gradient_sum(config.run.reproducible,
                                  microbatches_.most(step_batch(config, topology.world().size())), topology,
                                  mlp.layout(), ranges_of(parts_), Sums::count, config.comm, give_way)),
      needs_norm_(config.optimizer.max_gradient_norm > 0.0 ||
                  config.run.nan_policy == config::NanPolicy::skip || gradient_->needs_norm()),
      workspace_(mlp, microbatches_.largest(
                          std::min(step_batch(config, topology.world().size()), dataset.samples()))),
      features_(workspace_.max_samples() * mlp.inputs()),
      labels_(workspace_.max_samples()) {}

StepResult Trainer::step(const Requests& mine) {
  StepResult result;
  Stopwatch watch;
  const data::StepSamples samples = plan_->at(static_cast<std::uint64_t>(steps_done_));
  const double learning_rate =
      optim::learning_rate(config_->optimizer.learning_rate, steps_done_, total_steps_);

  const Summed summed = sum_gradient(samples, mine, watch, result.time);
  const std::span<const double> all = summed.small;
  const auto count = static_cast<double>(samples.positions.size());
  result.loss = ExactSum(all.subspan<Sums::loss, ExactSum::part_count>()).value() / count;
  result.accuracy = all[Sums::correct] / count;
  result.requests = {all[Sums::stop] > 0.0, all[Sums::save] > 0.0, all[Sums::give_up] > 0.0};
  result.recomputed = summed.recomputed;
  result.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  result.skipped = must_skip("loss", result.loss, learning_rate);
  if (result.skipped) {
    gradient_->owners().publish();  // nobody reads the gradients of this step any more
  } else {
    result.gradient_norm = update(learning_rate, summed.norm);
    result.skipped = must_skip("gradient norm", result.gradient_norm, learning_rate);
  }
  skipped_in_a_row_ = result.skipped ? skipped_in_a_row_ + 1 : 0;
  result.time.exchange_s += watch.lap_s();

  result.step = ++steps_done_;
  result.epoch = static_cast<std::int64_t>(samples.epoch);
  result.samples = samples.positions.size();
  result.learning_rate = learning_rate;
  return result;
}

/// All microbatches of this replica, and the sum over all replicas; and if it must be known before the
/// update, the norm.
Trainer::Summed Trainer::sum_gradient(const data::StepSamples& samples, const Requests& mine,
                                      Stopwatch& watch, TimeSplit& time) {
  const auto ids = order_.order(samples.epoch).subspan(samples.positions.begin, samples.positions.size());
  const int replica = topology_->world().rank();
  const std::size_t count = microbatches_.count(ids.size(), replica);
  for (std::int64_t recomputed = 0;; ++recomputed) {
    Sums sums;
    sums.numbers[Sums::stop] = mine.stop ? 1.0 : 0.0;
    sums.numbers[Sums::save] = mine.save ? 1.0 : 0.0;
    sums.numbers[Sums::give_up] = mine.give_up ? 1.0 : 0.0;
    for (std::size_t m = 0; m < count; ++m) {
      const Range part = microbatches_.of(ids.size(), replica, m);
      accumulate_gradient({ids.subspan(part.begin, part.size()), m == 0, m + 1 == count}, samples, sums,
                          watch, time);
    }
    Summed result{gradient_->finish(), {}, recomputed};
    if (!needs_norm_) return result;
    result.norm = gather_norm();
    time.exchange_s += watch.lap_s();
    if (!gradient_->repeat_for(*result.norm)) {
      if (*result.norm < least_norm) result.norm = 0.0;
      return result;
    }
    gradient_->owners().publish();
  }
}

/// Forward and backward of one microbatch. The loss gradient is divided by the samples of the whole step, so
/// that the sum over microbatches and ranks is the mean over the global batch, whatever the shares are.
void Trainer::accumulate_gradient(const Microbatch& microbatch, const data::StepSamples& samples, Sums& sums,
                                  Stopwatch& watch, TimeSplit& time) {
  const MatrixView<float> input(features_.data(), microbatch.ids.size(), mlp_->inputs());
  const auto labels = std::span(labels_).first(microbatch.ids.size());
  data::fill_batch(*dataset_, microbatch.ids, input, labels);
  time.data_s += watch.lap_s();

  const model::DropoutContext dropout{config_->run.seed, static_cast<std::uint32_t>(samples.epoch),
                                      microbatch.ids};
  const MatrixView<float> logits = mlp_->forward(state_->weights(), input, &dropout, workspace_);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(samples.positions.size()));
  const kernels::LossSums loss = kernels::softmax_cross_entropy_gradient(logits, labels, scale);
  sums.total_loss.add(loss.loss);
  sums.numbers[Sums::correct] += static_cast<double>(loss.correct);
  if (microbatch.last) {
    std::ranges::copy(sums.total_loss.parts(), sums.numbers.begin() + Sums::loss);
    gradient_->begin(sums.numbers);
  }
  const auto part_written = [&] {
    time.compute_s += watch.lap_s();
    gradient_->part_written(microbatch.first, microbatch.last);
    time.exchange_s += watch.lap_s();
  };
  mlp_->backward(state_->weights(), input, workspace_, gradient_->accumulate(microbatch.first),
                 gradient_->target(), parts_, std::cref(part_written));
  time.compute_s += watch.lap_s();
}

/// The number is the same on every rank, so all skip, throw or go on.
bool Trainer::must_skip(const char* what, double value, double learning_rate) {
  if (std::isfinite(value)) return false;
  const std::string found = fmt::format("step {}: the {} is {}", steps_done_ + 1, what, value);
  if (config_->run.nan_policy == config::NanPolicy::stop) diverged(found, learning_rate);
  if (skipped_in_a_row_ + 1 >= most_skipped_in_a_row) {
    diverged(fmt::format("{}, as in the {} steps before it, which were skipped", found, skipped_in_a_row_),
             learning_rate);
  }
  return true;
}

void Trainer::diverged(const std::string& what, double learning_rate) const {
  throw diverged_error(fmt::format("{}: training has diverged, nothing of this step is saved", what),
                       learning_rate)
      .as_agreed();
}

/// Sums the gradients of this rank's blocks, and returns the norm of the whole gradient.
double Trainer::gather_norm() {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    owners.set_block_value(b, gradient_->collect(owners.blocks()[b]));
  }
  owners.share_block_values();
  return std::sqrt(owners.sum_of_block_values());
}

/// Updates the weights of this rank's blocks, and takes those of the others. Without a norm, the gradient is
/// summed in the same pass; with one, it has been summed before, and may be clipped. Returns the norm before
/// clipping; if it is not finite, nothing has changed.
double Trainer::update(double learning_rate, std::optional<double> norm) {
  const auto& options = config_->optimizer;
  comm::BlockOwners& owners = gradient_->owners();
  const bool usable = !norm || std::isfinite(*norm);
  const double scale = norm && usable ? optim::clip_scale(*norm, options.max_gradient_norm) : 1.0;
  for (const std::size_t b : usable ? owners.owned() : std::span<const std::size_t>()) {
    const Block& block = owners.blocks()[b];
    const double squares = optim::sgd_update(
        options, {learning_rate, scale}, norm ? gradient_->collected(block) : gradient_->sources(block),
        state_->weights().block(block), state_->momentum_buffer().block(block));
    if (!norm) owners.set_block_value(b, squares);
    state_->replica().offer(block);
  }
  owners.publish();
  if (!usable) return *norm;
  for (const std::size_t b : owners.owned_by_others()) state_->replica().take(owners.blocks()[b]);
  return norm ? *norm : std::sqrt(owners.sum_of_block_values());
}

}  // namespace fcmnist::train
