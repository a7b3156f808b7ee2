#include "train/trainer.hpp"

#include <functional>
#include <limits>
#include <utility>

#include "data/validation_split.hpp"
#include "optim/schedule.hpp"
#include "train/exponent_search.hpp"
#include "train/microbatch_schedule.hpp"

namespace fcmnist::train {

std::vector<model::GradientPart> gradient_parts(const model::Mlp& mlp, int nodes, bool reproducible) {
  return mlp.gradient_parts(nodes > 1 && !reproducible ? 65'536 : 0);
}

std::vector<Range> ranges_of(std::span<const model::GradientPart> parts) {
  std::vector<Range> ranges;
  for (const model::GradientPart& part : parts) ranges.push_back(part.numbers);
  return ranges;
}

namespace {

std::vector<model::GradientPart> parts_of(const config::RunConfig& config, const comm::Grid& grid,
                                          const model::Mlp& mlp) {
  return gradient_parts(mlp, grid.of_stage().node_count(), config.run.reproducible);
}

std::unique_ptr<StageWork> make_work(const config::RunConfig& config, const comm::Grid& grid,
                                     const data::Dataset& dataset, const model::Mlp& mlp,
                                     const ModelState& state, StepObserver& observer, bool give_way) {
  const std::size_t step_samples =
      largest_step(config, grid.replicas(), data::training_samples(config.train_input, dataset.samples()));
  return make_stage_work(
      {.grid = &grid,
       .purpose = comm::StageLink::Purpose::training,
       .mlp = &mlp,
       .weights = state.working_weights(),
       .dataset = &dataset,
       .gradient_parts = parts_of(config, grid, mlp),
       .max_samples = training_microbatches(config, grid.replicas(), grid.stages()).largest(step_samples),
       .seed = config.run.seed,
       .input = config.train_input,
       .give_way = give_way,
       .observer = &observer});
}

std::unique_ptr<GradientSum> make_sum(const config::RunConfig& config, const comm::Grid& grid,
                                      const model::Mlp& mlp, bool give_way) {
  return make_gradient_sum(config.run.reproducible,
                           most_training_microbatches(config, grid.replicas(), grid.stages()), grid,
                           mlp.layout(), mlp.network_layout().parameter_count(),
                           ranges_of(parts_of(config, grid, mlp)), StepSums::count, config.comm, give_way);
}

}  // namespace

Trainer::Trainer(const config::RunConfig& config, const comm::Grid& grid, const data::Dataset& dataset,
                 const data::EpochPlan& plan, const model::Mlp& mlp, ModelState& state,
                 std::int64_t total_steps, bool give_way)
    : config_(&config),
      grid_(&grid),
      total_steps_(total_steps),
      samples_(config, dataset, plan, training_microbatches(config, grid.replicas(), grid.stages()),
               grid.replica()),
      observer_(grid.stages(), grid.stage()),
      work_(make_work(config, grid, dataset, mlp, state, observer_, give_way)),
      gradient_(make_sum(config, grid, mlp, give_way)),
      judge_(config),
      update_(config.optimizer, grid, mlp, state, *gradient_, observer_) {}

void Trainer::resume_at(std::int64_t step, const Judge::State& judge, int gradient_exponent) {
  steps_done_ = step;
  judge_.set_state(judge);
  gradient_->set_exponent(gradient_exponent);
}

void Trainer::trace_into(SpanRecorder* recorder) {
  observer_.record_into(recorder);
  model::OnProduct on_product;
  if (recorder != nullptr) {
    on_product = [this](model::Product product, std::size_t layer) {
      observer_.has_done(product == model::Product::forward ? Activity::forward : Activity::delta,
                         static_cast<std::int64_t>(layer));
    };
  }
  work_->set_on_product(std::move(on_product));
}

StepResult Trainer::step(const Requests& mine, bool with_weight_norms) {
  observer_.begin_step();
  const std::int64_t number = steps_done_ + 1;
  const ReplicaSamples::Step samples = samples_.at(steps_done_);
  const auto count = static_cast<double>(samples.ids.size());
  const Factors factors{learning_rate(), judge_.loss_scale()};

  const Gradient gradient = sum_gradient(samples, mine, factors.loss_scale);
  const double loss = gradient.sums.loss() / count;
  double norm = std::numeric_limits<double>::quiet_NaN();

  Verdict verdict = judge_.judge_loss(number, loss, factors.learning_rate);
  if (verdict == Verdict::update && gradient.norm) {
    norm = *gradient.norm;
    verdict = judge_.judge_gradient(number, norm, factors.learning_rate);
  }
  WeightUpdate::WeightNorms weight_norms;
  if (verdict == Verdict::update) {
    norm = update_weights(factors, gradient.norm, with_weight_norms);
    if (with_weight_norms) weight_norms = update_.weight_norms();
  } else {
    update_.leave();
  }
  observer_.has_done(Activity::sum);

  steps_done_ = number;
  return {.step = number,
          .epoch = samples.epoch,
          .samples = samples.ids.size(),
          .loss = loss,
          .accuracy = gradient.sums.correct() / count,
          .learning_rate = factors.learning_rate,
          .gradient_norm = norm,
          .array_norms = verdict == Verdict::update ? update_.array_norms(factors.loss_scale)
                                                    : std::span<const double>(),
          .weight_norms = weight_norms,
          .loss_scale = factors.loss_scale,
          .skipped = verdict != Verdict::update,
          .recomputed = gradient.recomputed,
          .requests = gradient.sums.requests(),
          .time = observer_.time(),
          .pipeline = observer_.pipeline()};
}

double Trainer::learning_rate() const {
  return optim::learning_rate(config_->optimizer.learning_rate, steps_done_, total_steps_) *
         optim::rate_factor(config_->optimizer, step_batch(*config_, grid_->replicas()));
}

/// The loss gradient is divided by the samples of the whole step, so that the sum over microbatches and ranks
/// is the mean over the global batch, whatever the shares are. It is multiplied by the loss scale, as are all
/// gradients until the update: their norm and their sums in fixed point, whose unit follows the norm, are
/// exact multiples as long as the scale is a power of two.
Trainer::Gradient Trainer::sum_gradient(const ReplicaSamples::Step& samples, const Requests& mine,
                                        double loss_scale) {
  const auto gradient_scale = static_cast<float>(loss_scale / static_cast<double>(samples.ids.size()));
  for (std::int64_t recomputed = 0;; ++recomputed) {
    compute_gradient(samples, gradient_scale, StepSums(mine));
    gradient_->wait_for_node();
    observer_.has_done(Activity::wait);
    Gradient gradient{StepSums(gradient_->finish()), {}, recomputed};
    observer_.has_done(Activity::combine);
    if (!needs_norm_first(*config_)) return gradient;
    update_.sum_blocks();
    const double norm = update_.norm();
    observer_.has_done(Activity::sum);
    if (!gradient_->repeat_for(norm)) {
      gradient.norm = norm < least_norm ? 0.0 : norm / loss_scale;
      return gradient;
    }
    update_.leave();
  }
}

/// Forward and backward of all microbatches of this replica. The sums leave with the last one's gradient.
void Trainer::compute_gradient(const ReplicaSamples::Step& samples, float gradient_scale, StepSums sums) {
  work_->begin(samples.microbatches);
  for (const auto [pass, m] : microbatch_schedule(grid_->stages(), grid_->stage(), samples.microbatches)) {
    const Microbatch microbatch{m, samples_.microbatch(samples, m), samples.epoch};
    observer_.set_microbatch(static_cast<std::int64_t>(m));
    if (pass == Pass::forward) {
      sums.add(work_->forward(microbatch, gradient_scale));
      continue;
    }
    const bool is_first = m == 0, is_last = m + 1 == samples.microbatches;
    if (is_last) gradient_->begin(sums.numbers());
    const auto on_part = [&] { gradient_->part_written(is_first, is_last); };
    work_->backward(microbatch, gradient_->accumulate(is_first), gradient_->target(), std::cref(on_part));
  }
  work_->finish();
  observer_.set_microbatch(SpanRecorder::none);
}

/// Without a norm, the gradient is summed in the same pass, and only then its norm is known; with one, it has
/// been summed before, and may be clipped. Returns the norm before clipping.
double Trainer::update_weights(const Factors& factors, std::optional<double> norm, bool with_weight_norms) {
  const double clip = norm ? optim::clip_scale(*norm, config_->optimizer.max_gradient_norm) : 1.0;
  const optim::UpdateStep step{.learning_rate = factors.learning_rate,
                               .gradient_scale = clip / factors.loss_scale,
                               .number = steps_done_ + 1};
  update_.apply(step, norm.has_value(), with_weight_norms);
  if (norm) return *norm;
  const double found = update_.norm() / factors.loss_scale;
  judge_.judge_gradient(steps_done_ + 1, found, factors.learning_rate);
  return found;
}

}  // namespace fcmnist::train
