#include "train/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "core/error.hpp"
#include "kernels/softmax_loss.hpp"
#include "optim/schedule.hpp"
#include "optim/sgd.hpp"
#include "train/divergence.hpp"

namespace fcmnist::train {

/// Numbers that all ranks need besides the gradient, summed over the world with it.
struct Trainer::Sums {
  enum Index : std::size_t { loss, correct, stop, save, give_up, count };
  std::array<double, count> numbers{};
};

struct Trainer::Microbatch {
  std::span<const std::uint32_t> ids;
  bool first = false;  ///< of its step
  bool last = false;
};

namespace {

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// Samples of the largest microbatch: no more than the data has to give.
std::size_t microbatch_samples(const config::RunConfig& config, int replicas, std::size_t samples) {
  const std::size_t step = std::min(step_batch(config, replicas), samples);
  const std::size_t share = ceil_div(step, static_cast<std::size_t>(replicas));
  return ceil_div(share, static_cast<std::size_t>(config.optimizer.grad_accum_steps));
}

}  // namespace

std::vector<model::GradientPart> gradient_parts(const model::Mlp& mlp, const comm::Topology& topology) {
  return mlp.gradient_parts(topology.node_count() > 1 ? 65'536 : 0);
}

std::vector<Range> ranges_of(std::span<const model::GradientPart> parts) {
  std::vector<Range> ranges;
  for (const model::GradientPart& part : parts) ranges.push_back(part.numbers);
  return ranges;
}

std::size_t step_batch(const config::RunConfig& config, int replicas) {
  return data::global_batch(config.train_input, replicas) *
         static_cast<std::size_t>(config.optimizer.grad_accum_steps);
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
      parts_(gradient_parts(mlp, topology)),
      exchange_(topology, mlp.layout(), ranges_of(parts_), Sums::count, config.comm, give_way),
      workspace_(mlp, microbatch_samples(config, topology.world().size(), dataset.samples())),
      features_(workspace_.max_samples() * mlp.inputs()),
      labels_(workspace_.max_samples()) {}

StepResult Trainer::step(const Requests& mine) {
  StepResult result;
  Stopwatch watch;
  const data::StepSamples samples = plan_->at(static_cast<std::uint64_t>(steps_done_));
  const std::span<const std::uint32_t> ids = my_sample_ids(samples);
  const double learning_rate =
      optim::learning_rate(config_->optimizer.learning_rate, steps_done_, total_steps_);

  Sums sums;
  sums.numbers[Sums::stop] = mine.stop ? 1.0 : 0.0;
  sums.numbers[Sums::save] = mine.save ? 1.0 : 0.0;
  sums.numbers[Sums::give_up] = mine.give_up ? 1.0 : 0.0;
  const auto microbatches = static_cast<std::size_t>(config_->optimizer.grad_accum_steps);
  for (std::size_t m = 0; m < microbatches; ++m) {
    const Range part = share_of(ids.size(), microbatches, m);
    accumulate_gradient({ids.subspan(part.begin, part.size()), m == 0, m + 1 == microbatches}, samples, sums,
                        watch, result.time);
  }
  const std::span<const double> all = exchange_.finish();
  const auto count = static_cast<double>(samples.positions.size());
  result.loss = all[Sums::loss] / count;
  result.accuracy = all[Sums::correct] / count;
  result.requests = {all[Sums::stop] > 0.0, all[Sums::save] > 0.0, all[Sums::give_up] > 0.0};
  result.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  result.skipped = must_skip("loss", result.loss, learning_rate);
  if (result.skipped) {
    exchange_.publish();  // nobody reads the gradients of this step any more
  } else {
    result.gradient_norm = update(learning_rate);
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

/// The order of an epoch is dealt in contiguous shares of each step: which rank computes a sample has no
/// influence on which step it belongs to.
std::span<const std::uint32_t> Trainer::my_sample_ids(const data::StepSamples& samples) {
  const auto ids = order_.order(samples.epoch).subspan(samples.positions.begin, samples.positions.size());
  const Range share = share_of(ids.size(), static_cast<std::size_t>(topology_->world().size()),
                               static_cast<std::size_t>(topology_->world().rank()));
  return ids.subspan(share.begin, share.size());
}

/// Forward and backward of one microbatch. The loss gradient is divided by the samples of the whole step, so
/// that the sum over microbatches and ranks is the mean over the global batch, whatever the shares are. The
/// last microbatch hands the gradient to the exchange part by part.
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
  sums.numbers[Sums::loss] += loss.loss;
  sums.numbers[Sums::correct] += static_cast<double>(loss.correct);
  if (microbatch.last) exchange_.begin(sums.numbers);
  const auto post = [&] {
    if (!microbatch.last) return;
    time.compute_s += watch.lap_s();
    exchange_.post();
    time.exchange_s += watch.lap_s();
  };
  mlp_->backward(state_->weights(), input, workspace_,
                 microbatch.first ? model::Accumulate::write : model::Accumulate::add,
                 exchange_.local_gradient(), parts_, std::cref(post));
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
  for (const std::size_t b : exchange_.owned()) {
    exchange_.set_block_value(b, exchange_.collect(exchange_.blocks()[b]));
  }
  exchange_.share_block_values();
  return std::sqrt(exchange_.sum_of_block_values());
}

/// Sums the gradients of this rank's blocks and updates their weights, in one pass. Clipping by norm, and
/// skipping what is not finite, need the whole gradient's norm first: two passes and one more wait. Returns
/// the norm before clipping.
double Trainer::update(double learning_rate) {
  const auto& options = config_->optimizer;
  const auto apply = [&](const Block& block, std::span<const float* const> sources, double scale) {
    const double squares =
        optim::sgd_update(options, {learning_rate, scale}, sources, state_->weights().block(block),
                          state_->momentum_buffer().block(block));
    state_->replica().offer(block);
    return squares;
  };
  const bool skips = config_->run.nan_policy == config::NanPolicy::skip;
  if (options.max_gradient_norm > 0.0 || skips) {
    const double norm = gather_norm();
    if (skips && !std::isfinite(norm)) {
      exchange_.publish();
      return norm;
    }
    const double scale = optim::clip_scale(norm, options.max_gradient_norm);
    for (const std::size_t b : exchange_.owned()) {
      const Block& block = exchange_.blocks()[b];
      apply(block, exchange_.collected(block), scale);
    }
  } else {
    for (const std::size_t b : exchange_.owned()) {
      const Block& block = exchange_.blocks()[b];
      exchange_.set_block_value(b, apply(block, exchange_.sources(block), 1.0));
    }
  }
  exchange_.publish();
  for (const std::size_t b : exchange_.owned_by_others()) state_->replica().take(exchange_.blocks()[b]);
  return std::sqrt(exchange_.sum_of_block_values());
}

}  // namespace fcmnist::train
