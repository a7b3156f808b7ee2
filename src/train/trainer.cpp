#include "train/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "core/ordered_sum.hpp"
#include "kernels/softmax_loss.hpp"
#include "optim/schedule.hpp"
#include "optim/sgd.hpp"

namespace fcmnist::train {

/// Numbers that all ranks need besides the gradient, summed over the world with it.
struct Trainer::Sums {
  enum Index : std::size_t { loss, correct, count };
  std::array<double, count> numbers{};
};

namespace {

std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

/// Rows of the largest microbatch: no more than the data has to give.
std::size_t microbatch_rows(const config::RunConfig& config, int replicas, std::size_t samples) {
  const std::size_t step = std::min(step_batch(config, replicas), samples);
  const std::size_t share = ceil_div(step, static_cast<std::size_t>(replicas));
  return ceil_div(share, static_cast<std::size_t>(config.optimizer.grad_accum_steps));
}

}  // namespace

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
      exchange_(topology, mlp.layout(), Sums::count, config.comm, give_way),
      workspace_(mlp, microbatch_rows(config, topology.world().size(), dataset.samples())),
      features_(workspace_.max_rows() * mlp.inputs()),
      labels_(workspace_.max_rows()) {}

StepResult Trainer::step() {
  StepResult result;
  Stopwatch watch;
  const data::StepSamples samples = plan_->at(static_cast<std::uint64_t>(steps_done_));
  const std::span<const std::uint32_t> mine = my_sample_ids(samples);
  const double learning_rate =
      optim::learning_rate(config_->optimizer.learning_rate, steps_done_, total_steps_);

  Sums sums;
  const auto microbatches = static_cast<std::size_t>(config_->optimizer.grad_accum_steps);
  for (std::size_t m = 0; m < microbatches; ++m) {
    const Range part = share_of(mine.size(), microbatches, m);
    accumulate_gradient(mine.subspan(part.begin, part.size()), samples, m == 0, sums, watch, result.time);
  }
  exchange_.reduce(sums.numbers);
  const auto count = static_cast<double>(samples.positions.size());
  result.loss = sums.numbers[Sums::loss] / count;
  result.accuracy = sums.numbers[Sums::correct] / count;
  check_finite("loss", result.loss, learning_rate);
  result.gradient_norm = update(learning_rate);
  check_finite("gradient norm", result.gradient_norm, learning_rate);
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
/// that the sum over microbatches and ranks is the mean over the global batch, whatever the shares are.
void Trainer::accumulate_gradient(std::span<const std::uint32_t> ids, const data::StepSamples& samples,
                                  bool first, Sums& sums, Stopwatch& watch, TimeSplit& time) {
  const MatrixView<float> input(features_.data(), ids.size(), mlp_->inputs());
  const auto labels = std::span(labels_).first(ids.size());
  data::fill_batch(*dataset_, ids, input, labels);
  time.data_s += watch.lap_s();

  const model::DropoutContext dropout{config_->run.seed, static_cast<std::uint32_t>(samples.epoch), ids};
  const MatrixView<float> logits = mlp_->forward(state_->weights(), input, &dropout, workspace_);
  const auto scale = static_cast<float>(1.0 / static_cast<double>(samples.positions.size()));
  const kernels::LossSums loss = kernels::softmax_cross_entropy_gradient(logits, labels, scale);
  mlp_->backward(state_->weights(), input, workspace_,
                 first ? model::Accumulate::write : model::Accumulate::add, exchange_.local_gradient());
  sums.numbers[Sums::loss] += loss.loss;
  sums.numbers[Sums::correct] += static_cast<double>(loss.correct);
  time.compute_s += watch.lap_s();
}

/// Both numbers are the same on every rank, so all throw or none.
void Trainer::check_finite(const char* what, double value, double learning_rate) const {
  if (std::isfinite(value)) return;
  throw DivergedError(
      fmt::format("step {}: the {} is {}: training has diverged, nothing of this step is saved",
                  steps_done_ + 1, what, value),
      fmt::format("lower optimizer.learning_rate (now {:g}) or set optimizer.max_gradient_norm; the last "
                  "checkpoint is kept",
                  learning_rate))
      .as_agreed();
}

/// Sums the gradients of this rank's blocks and updates their weights. Clipping by norm needs the whole
/// gradient's norm first and pays one more wait. Returns the norm before clipping.
double Trainer::update(double learning_rate) {
  const auto& options = config_->optimizer;
  const ArenaView<float> gradient = exchange_.local_gradient();
  const auto apply = [&](const Block& block, double scale) {
    optim::sgd_update(options, {learning_rate, scale}, gradient.block(block), state_->weights().block(block),
                      state_->momentum_buffer().block(block));
  };
  const bool clip = options.max_gradient_norm > 0.0;
  for (const std::size_t b : exchange_.owned()) {
    const Block& block = exchange_.blocks()[b];
    exchange_.set_block_value(b, ordered_sum(exchange_.sources(block), gradient.block(block)));
    if (!clip) apply(block, 1.0);
  }
  if (clip) {
    exchange_.share_block_values();
    const double scale =
        optim::clip_scale(std::sqrt(exchange_.sum_of_block_values()), options.max_gradient_norm);
    for (const std::size_t b : exchange_.owned()) apply(exchange_.blocks()[b], scale);
  }
  exchange_.publish();
  return std::sqrt(exchange_.sum_of_block_values());
}

}  // namespace fcmnist::train
