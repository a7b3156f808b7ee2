#include "run/learner.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

#include "core/digest.hpp"
#include "data/validation_split.hpp"
#include "optim/update.hpp"
#include "run/evaluation.hpp"
#include "run/scored_set.hpp"
#include "setup/resume_position.hpp"

namespace fcmnist::run {

Learner::Learner(const setup::Context& context, const setup::Settled& settled)
    : context_(&context),
      settled_(&settled),
      scores_average_(optim::keeps_average(settled.config.optimizer) &&
                      settled.config.eval_input.weights == data::ScoredWeights::averaged),
      train_set_(setup::dataset_for(context, settled.config.train_input, settled.shapes.train,
                                    setup::Role::training)),
      train_view_(train_set_->samples.view()),
      manifest_(settled.manifest),
      state_(context.grid(), settled.mlp, optim::state_arrays(settled.config.optimizer)),
      trainer_(settled.config, context.grid(), train_view_, settled.epoch_plan, settled.mlp, state_,
               settled.total_steps, context.give_way()) {
  if (context.is_root()) {
    labels_sha256_ = sha256_hex(std::as_bytes(train_view_.labels));
    setup::add_to_manifest(train_set_->identity, setup::Role::training, manifest_);
    if (scores_average_) manifest_.add("scored_weights", std::string(averaged_weights));
  }
  make_validator();
  if (!settled.shapes.eval) return;
  eval_set_ = setup::dataset_for(context, settled.config.eval_input, *settled.shapes.eval, setup::Role::test);
  eval_view_ = eval_set_->samples.view();
  if (context.is_root()) {
    setup::add_to_manifest(eval_set_->identity, setup::Role::test, manifest_);
    setup::warn_of_other_set(manifest_, eval_set_->identity, context.log());
  }
  evaluator_.emplace(
      settled.config, context.grid(), eval_view_,
      train::Evaluator::of_eval_input(settled.config, context.grid().replicas(), eval_view_.samples()),
      settled.mlp, state_, context.give_way());
}

void Learner::make_validator() {
  const config::RunConfig& config = settled_->config;
  const int size = config.train_input.validation_size;
  if (size == 0) return;
  auto split =
      data::split_off_validation(train_view_.samples(), static_cast<std::size_t>(size), config.run.seed);
  validator_.emplace(config, context_->grid(), train_view_, train::ToScore{std::move(split.validation)},
                     settled_->mlp, state_, context_->give_way());
  if (context_->is_root()) manifest_.add("validation_samples", std::int64_t{size});
}

Learner::Origin Learner::take_start_point() {
  const setup::StartPoint& start = settled_->start;
  const store::Checkpoint* checkpoint = start.checkpoint ? &*start.checkpoint : nullptr;
  const Origin from = context_->world().broadcast(checkpoint == nullptr ? Origin::nothing
                                                  : start.weights_only  ? Origin::weights
                                                                        : Origin::all,
                                                  0);
  state_.initialize(settled_->config.run.seed);
  if (from == Origin::nothing) return Origin::nothing;
  if (from == Origin::weights) {
    state_.load_weights(checkpoint);
    return Origin::weights;
  }
  state_.load_weights_and_optimizer(checkpoint);
  const store::TrainState saved = checkpoint != nullptr ? checkpoint->header().state : store::TrainState{};
  const auto of_root = [&](auto number) { return context_->world().broadcast(number, 0); };
  const std::int64_t step = of_root(saved.step);
  const std::int64_t skipped_in_a_row = of_root(saved.skipped_in_a_row);
  const auto exponent = static_cast<int>(of_root(saved.gradient_exponent));
  const double loss_scale = of_root(saved.loss_scale);
  trainer_.resume_at(step, {skipped_in_a_row, {loss_scale, of_root(saved.loss_scale_good_steps)}}, exponent);
  return Origin::all;
}

store::Predictions Learner::predictions(const train::EvaluationResult& result) const {
  return predictions_of(steps_done(), eval_view_, result);
}

store::MetricsSubject Learner::metrics_subject() const {
  store::MetricsSubject subject(static_cast<std::size_t>(settled_->config.model.num_classes));
  for (const Slot& slot : settled_->mlp.network_layout().slots()) subject.arrays.push_back(slot.name);
  for (const comm::RankPlacement& rank : context_->placement()) {
    subject.hosts.push_back(rank.host);
    subject.cores.push_back(fmt::format("{}", fmt::join(rank.cores, " ")));
  }
  return subject;
}

std::string Learner::description() const {
  const data::InputOptions& input = settled_->config.train_input;
  data::DatasetShape shape = settled_->shapes.train;
  shape.samples = data::training_samples(input, shape.samples);
  const std::string held_out =
      validates() ? fmt::format(" ({} more are held out for validation)", input.validation_size) : "";
  return fmt::format("{}{}, {} steps of {} samples per epoch, {} steps in all", data::to_string(shape),
                     held_out, settled_->epoch_plan.steps_per_epoch(),
                     train::step_batch(settled_->config, context_->grid().replicas()), total_steps());
}

std::int64_t Learner::epoch() const {
  return static_cast<std::int64_t>(
      settled_->epoch_plan.at(static_cast<std::uint64_t>(steps_done() - 1)).epoch);
}

store::TrainState Learner::position() const {
  store::TrainState state =
      setup::position_after(steps_done(), settled_->epoch_plan, settled_->config.run.seed, labels_sha256_);
  const train::Judge::State judge = trainer_.judge_state();
  state.skipped_in_a_row = judge.skipped_in_a_row;
  state.gradient_exponent = trainer_.gradient_exponent();
  state.loss_scale = judge.loss_scale.scale;
  state.loss_scale_good_steps = judge.loss_scale.good_steps;
  return state;
}

}  // namespace fcmnist::run
