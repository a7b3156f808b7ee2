#include "train/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <utility>

#include "core/error.hpp"
#include "core/fixed_point.hpp"
#include "data/batch_loader.hpp"
#include "kernels/softmax_loss.hpp"
#include "optim/schedule.hpp"
#include "optim/sgd.hpp"
#include "train/microbatch_schedule.hpp"
#include "train/verdict.hpp"

namespace fcmnist::train {

/// Numbers that all ranks need besides the gradient, summed over the world; the sums are exact.
struct Trainer::Sums {
  enum Index : std::size_t { correct, stop, save, give_up, loss, count = loss + ExactSum::part_count };
  std::array<double, count> numbers{};
  ExactSum total_loss;  ///< becomes the numbers from `loss` on
};

struct Trainer::Clock {
  Stopwatch watch;
  TimeSplit time;
  PipelineTime pipeline;
  double in_pipeline_s = 0.0;  ///< of this stage, between its first forward and its last backward
  double waiting_s = 0.0;      ///< of these, for its neighbours

  /// What came since the last lap was the wait for a message of a neighbour.
  void waited() {
    const double lap_s = watch.lap_s();
    time.exchange_s += lap_s;
    waiting_s += lap_s;
  }
  void sent() { time.exchange_s += watch.lap_s(); }
};

struct Trainer::Microbatch {
  std::span<const std::uint32_t> ids;
  bool first = false;  ///< of this replica's, in its step
  bool last = false;
  InFlight* memory = nullptr;

  [[nodiscard]] std::size_t samples() const { return ids.size(); }
  [[nodiscard]] std::span<std::uint8_t> labels() const { return std::span(memory->labels).first(ids.size()); }
};

std::vector<model::GradientPart> gradient_parts(const model::Mlp& mlp, int nodes, bool reproducible) {
  return mlp.gradient_parts(nodes > 1 && !reproducible ? 65'536 : 0);
}

std::vector<Range> ranges_of(std::span<const model::GradientPart> parts) {
  std::vector<Range> ranges;
  for (const model::GradientPart& part : parts) ranges.push_back(part.numbers);
  return ranges;
}

namespace {

/// Floats need none.
optim::LossScaleOptions loss_scale_options(const config::RunConfig& config) {
  const bool mixed = config.model.precision != model::Precision::float32;
  return mixed ? config.optimizer.loss_scale : optim::LossScaleOptions();
}

/// The update of a block, with its working weights where they are not the masters.
template <class T>
double update_block(const optim::OptimizerOptions& options, const optim::SgdStep& step,
                    std::span<const float* const> sources, const ModelState& state,
                    const comm::BasicReplica<T>& replica, const Block& block) {
  const std::span<float> weights = state.weights().block(block);
  const std::span<float> momentum = state.momentum_buffer().block(block);
  if constexpr (std::is_same_v<T, float>) {
    return optim::sgd_update(options, step, sources, weights, momentum);
  } else {
    return optim::sgd_update(options, step, sources, weights, momentum, replica.mine().block(block));
  }
}

}  // namespace

Trainer::Trainer(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
                 const data::EpochPlan& plan, const model::Mlp& mlp, ModelState& state,
                 std::int64_t total_steps, bool give_way)
    : config_(&config),
      grid_(&grid),
      dataset_(&dataset),
      plan_(&plan),
      mlp_(&mlp),
      state_(&state),
      total_steps_(total_steps),
      loss_scale_(loss_scale_options(config)),
      order_(dataset.samples(), config.run.seed, config.train_input.shuffle),
      microbatches_(training_microbatches(config, grid.replicas(), grid.stages())),
      parts_(gradient_parts(mlp, grid.of_stage().node_count(), config.run.reproducible)),
      gradient_(make_gradient_sum(config.run.reproducible,
                                  microbatches_.most(step_batch(config, grid.replicas())), grid, mlp.layout(),
                                  mlp.network_layout().parameter_count(), ranges_of(parts_), Sums::count,
                                  config.comm, give_way)),
      needs_norm_(config.optimizer.max_gradient_norm > 0.0 ||
                  config.run.nan_policy == config::NanPolicy::skip || loss_scale_.is_dynamic() ||
                  gradient_->needs_norm()),
      max_samples_(microbatches_.largest(std::min(step_batch(config, grid.replicas()), dataset.samples()))),
      link_(grid, comm::StageLink::Purpose::training, mlp.inputs(), mlp.outputs(), max_samples_, give_way,
            model::number_bytes(mlp.precision())),
      over_stages_(mlp.network_layout().slots().size() + static_cast<std::size_t>(grid.stages()) + 1) {
  for (std::size_t i = most_in_flight(grid.stages(), grid.stage()); i-- > 0;) {
    in_flight_.emplace_back(mlp, max_samples_);
  }
}

StepResult Trainer::step(const Requests& mine) {
  StepResult result;
  Clock clock;
  const data::StepSamples samples = plan_->at(static_cast<std::uint64_t>(steps_done_));
  const double learning_rate =
      optim::learning_rate(config_->optimizer.learning_rate, steps_done_, total_steps_);

  const Summed summed = sum_gradient(samples, mine, clock);
  const std::span<const double> all = summed.small;
  const auto count = static_cast<double>(samples.positions.size());
  result.loss = ExactSum(all.subspan<Sums::loss, ExactSum::part_count>()).value() / count;
  result.accuracy = all[Sums::correct] / count;
  result.requests = {all[Sums::stop] > 0.0, all[Sums::save] > 0.0, all[Sums::give_up] > 0.0};
  result.recomputed = summed.recomputed;
  result.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  result.loss_scale = loss_scale_.value();
  bool only_overflowed = false;
  result.skipped = must_skip("loss", result.loss, {learning_rate});
  if (result.skipped) {
    gradient_->owners().publish();  // nobody reads the gradients of this step any more
  } else {
    result.gradient_norm = update(learning_rate, summed.norm, clock);
    only_overflowed = overflowed(result.gradient_norm);
    result.skipped = only_overflowed ||
                     must_skip("gradient norm", result.gradient_norm, {learning_rate, result.loss_scale});
  }
  if (!only_overflowed) skipped_in_a_row_ = result.skipped ? skipped_in_a_row_ + 1 : 0;
  clock.time.exchange_s += clock.watch.lap_s();

  result.step = ++steps_done_;
  result.epoch = static_cast<std::int64_t>(samples.epoch);
  result.samples = samples.positions.size();
  result.learning_rate = learning_rate;
  result.time = clock.time;
  result.pipeline = std::move(clock.pipeline);
  return result;
}

/// All microbatches of this replica, and the sum over all replicas; and if it must be known before the
/// update, the norm.
Trainer::Summed Trainer::sum_gradient(const data::StepSamples& samples, const Requests& mine, Clock& clock) {
  for (std::int64_t recomputed = 0;; ++recomputed) {
    Sums sums;
    sums.numbers[Sums::stop] = mine.stop ? 1.0 : 0.0;
    sums.numbers[Sums::save] = mine.save ? 1.0 : 0.0;
    sums.numbers[Sums::give_up] = mine.give_up ? 1.0 : 0.0;
    compute_gradient(samples, sums, clock);
    Summed result{gradient_->finish(), {}, recomputed};
    if (!needs_norm_) return result;
    result.norm = gather_norm(clock);
    clock.time.exchange_s += clock.watch.lap_s();
    if (!gradient_->repeat_for(*result.norm)) {
      result.norm = *result.norm < least_norm ? 0.0 : *result.norm / loss_scale_.value();
      return result;
    }
    gradient_->owners().publish();
  }
}

/// Forward and backward of all microbatches of this replica.
void Trainer::compute_gradient(const data::StepSamples& samples, Sums& sums, Clock& clock) {
  const auto ids = order_.order(samples.epoch).subspan(samples.positions.begin, samples.positions.size());
  const std::size_t count = microbatches_.count(ids.size(), grid_->replica());
  const double before_s = clock.time.step_s();
  link_.begin(count);
  for (const MicrobatchAction action : microbatch_schedule(grid_->stages(), grid_->stage(), count)) {
    const std::size_t m = action.microbatch;
    const Range part = microbatches_.of(ids.size(), grid_->replica(), m);
    const Microbatch microbatch{ids.subspan(part.begin, part.size()), m == 0, m + 1 == count,
                                &in_flight_[m % in_flight_.size()]};
    std::visit(
        [&](auto& workspace) {
          if (action.pass == Pass::forward) {
            forward(microbatch, workspace, samples, sums, clock);
          } else {
            backward(microbatch, workspace, sums, clock);
          }
        },
        microbatch.memory->workspace);
  }
  link_.finish();
  clock.in_pipeline_s += clock.time.step_s() - before_s;
}

/// The loss gradient is divided by the samples of the whole step, so that the sum over microbatches and ranks
/// is the mean over the global batch, whatever the shares are. It is multiplied by the loss scale, as are all
/// gradients until the update: their norm and their sums in fixed point, whose unit follows the norm, are
/// exact multiples as long as the scale is a power of two.
template <class T>
void Trainer::forward(const Microbatch& microbatch, model::BasicWorkspace<T>& workspace,
                      const data::StepSamples& samples, Sums& sums, Clock& clock) {
  const MatrixView<T> input = workspace.input(microbatch.samples());
  if (grid_->is_first_stage()) data::fill_features(*dataset_, microbatch.ids, input);
  if (grid_->is_last_stage()) data::fill_labels(*dataset_, microbatch.ids, microbatch.labels());
  clock.time.data_s += clock.watch.lap_s();
  link_.receive_activation(input);
  clock.waited();

  const model::DropoutContext dropout{config_->run.seed, static_cast<std::uint32_t>(samples.epoch),
                                      microbatch.ids};
  mlp_->forward(state_->replica<T>().mine(), input, &dropout, workspace);
  if (grid_->is_last_stage()) {
    const auto scale =
        static_cast<float>(loss_scale_.value() / static_cast<double>(samples.positions.size()));
    const kernels::LossSums loss = kernels::softmax_cross_entropy_gradient(
        workspace.logits(microbatch.samples()), microbatch.labels(), scale);
    sums.total_loss.add(loss.loss);
    sums.numbers[Sums::correct] += static_cast<double>(loss.correct);
  }
  clock.time.compute_s += clock.watch.lap_s();
  if (!grid_->is_last_stage()) link_.send_activation(workspace.output(microbatch.samples()));
  clock.sent();
}

/// The gradient by the input travels to the stage before while those of the weights are computed.
template <class T>
void Trainer::backward(const Microbatch& microbatch, model::BasicWorkspace<T>& workspace, Sums& sums,
                       Clock& clock) {
  link_.receive_gradient(workspace.d_output(microbatch.samples()));
  clock.waited();
  const MatrixView<T> d_input = workspace.d_input(microbatch.samples());
  mlp_->backward_deltas(state_->replica<T>().mine(), microbatch.samples(), workspace, d_input);
  clock.time.compute_s += clock.watch.lap_s();
  link_.send_gradient(d_input);
  clock.sent();

  if (microbatch.last) {
    std::ranges::copy(sums.total_loss.parts(), sums.numbers.begin() + Sums::loss);
    gradient_->begin(sums.numbers);
  }
  const auto part_written = [&] {
    clock.time.compute_s += clock.watch.lap_s();
    gradient_->part_written(microbatch.first, microbatch.last);
    link_.progress();
    clock.time.exchange_s += clock.watch.lap_s();
  };
  mlp_->backward_weights(workspace.input(microbatch.samples()), workspace,
                         gradient_->accumulate(microbatch.first), gradient_->target(), parts_,
                         std::cref(part_written));
  clock.time.compute_s += clock.watch.lap_s();
}

/// Whether the step is to be skipped because gradients overflowed, and the next one has a smaller scale.
bool Trainer::overflowed(double gradient_norm) {
  if (!std::isfinite(gradient_norm)) return loss_scale_.overflow();
  loss_scale_.good_step();
  return false;
}

/// The number is the same on every rank, so all skip, throw or go on.
bool Trainer::must_skip(const char* what, double value, const Factors& factors) {
  if (std::isfinite(value)) return false;
  const std::string found = fmt::format("step {}: the {} is {}", steps_done_ + 1, what, value);
  if (config_->run.nan_policy == config::NanPolicy::stop) diverged(found, factors);
  if (skipped_in_a_row_ + 1 >= most_skipped_in_a_row) {
    diverged(fmt::format("{}, as in the {} steps before it, which were skipped", found, skipped_in_a_row_),
             factors);
  }
  return true;
}

void Trainer::diverged(const std::string& what, const Factors& factors) const {
  throw diverged_error(fmt::format("{}: training has diverged, nothing of this step is saved", what),
                       factors.learning_rate, factors.loss_scale)
      .as_agreed();
}

/// Sums the gradients of this rank's blocks, and returns the norm of the whole gradient.
double Trainer::gather_norm(Clock& clock) {
  comm::BlockOwners& owners = gradient_->owners();
  for (const std::size_t b : owners.owned()) {
    owners.set_block_value(b, gradient_->collect(owners.blocks()[b]));
  }
  owners.share_block_values();
  return norm_over_stages(clock);
}

/// Updates the weights of this rank's blocks, and takes those of the others. Without a norm, the gradient is
/// summed in the same pass; with one, it has been summed before, and may be clipped. Returns the norm before
/// clipping; if it is not finite, nothing has changed.
double Trainer::update(double learning_rate, std::optional<double> norm, Clock& clock) {
  const auto& options = config_->optimizer;
  comm::BlockOwners& owners = gradient_->owners();
  const bool usable = !norm || std::isfinite(*norm);
  const double clip = norm && usable ? optim::clip_scale(*norm, options.max_gradient_norm) : 1.0;
  const optim::SgdStep step{learning_rate, clip / loss_scale_.value()};
  const auto update_mine = [&](const auto& replica) {
    for (const std::size_t b : owners.owned()) {
      const Block& block = owners.blocks()[b];
      const auto sources = norm ? gradient_->collected(block) : gradient_->sources(block);
      const double squares = update_block(options, step, sources, *state_, replica, block);
      if (!norm) owners.set_block_value(b, squares);
      replica.offer(block);
    }
  };
  if (usable) std::visit(update_mine, state_->any_replica());
  owners.publish();
  if (!usable) return *norm;
  const auto take_others = [&](const auto& replica) {
    for (const std::size_t b : owners.owned_by_others()) replica.take(owners.blocks()[b]);
  };
  std::visit(take_others, state_->any_replica());
  return norm ? *norm : norm_over_stages(clock) / loss_scale_.value();
}

/// The norm of the gradient of all stages, from the squares that the owners of blocks have shared: added by
/// slots, in block order, then over the slots of the network in order. A slot lies on one stage, so the bits
/// do not depend on the stages. The times of the stages travel with it.
double Trainer::norm_over_stages(Clock& clock) {
  std::ranges::fill(over_stages_, 0.0);
  const std::size_t slots = mlp_->network_layout().slots().size();
  const auto squares = std::span(over_stages_).first(slots);
  const auto busy_s = std::span(over_stages_).subspan(slots, static_cast<std::size_t>(grid_->stages()));
  gradient_->owners().sum_block_values(squares.subspan(mlp_->first_slot(), mlp_->layout().slots().size()));
  busy_s[static_cast<std::size_t>(grid_->stage())] = clock.in_pipeline_s - clock.waiting_s;
  if (grid_->is_first_stage()) over_stages_.back() = clock.in_pipeline_s;
  if (grid_->stages() > 1) {
    grid_->sum_over_stages(over_stages_);
    clock.pipeline = {{busy_s.begin(), busy_s.end()}, over_stages_.back()};
  }
  return std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
}

}  // namespace fcmnist::train
