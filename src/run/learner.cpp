#include "run/learner.hpp"

#include <fmt/format.h>

#include "core/digest.hpp"
#include "optim/update.hpp"
#include "setup/datasets.hpp"
#include "setup/resume_position.hpp"

namespace fcmnist::run {

Learner::Learner(const setup::RunContext& context, const train::Shapes& shapes, const data::EpochPlan& plan,
                 const model::Mlp& mlp)
    : context_(&context),
      plan_(&plan),
      train_shape_(shapes.train),
      train_set_(setup::read_dataset(context.topology, context.config.train_input, shapes.train,
                                     context.config.model.num_classes)),
      train_view_(train_set_.view()),
      total_steps_(setup::training_length(context.config.run, plan.steps_per_epoch())),
      state_(context.grid(), mlp, optim::state_arrays(context.config.optimizer)),
      trainer_(context.config, context.grid(), train_view_, plan, mlp, state_, total_steps_,
               context.give_way) {
  if (context.is_root()) labels_sha256_ = sha256_hex(std::as_bytes(train_view_.labels));
  if (!shapes.eval) return;
  eval_set_ = setup::read_dataset(context.topology, context.config.eval_input, *shapes.eval,
                                  context.config.model.num_classes);
  eval_view_ = eval_set_->view();
  evaluator_.emplace(context.config, context.grid(), eval_view_, mlp, state_, context.give_way);
}

Learner::Origin Learner::begin(const setup::StartPoint& start) {
  const store::Checkpoint* checkpoint = start.checkpoint ? &*start.checkpoint : nullptr;
  const Origin from = context_->world().broadcast(checkpoint == nullptr ? Origin::nothing
                                                  : start.weights_only  ? Origin::weights
                                                                        : Origin::all,
                                                  0);
  state_.initialize(context_->config.run.seed);
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

std::string Learner::description() const {
  return fmt::format("{}, {} steps of {} samples per epoch, {} steps in all", data::to_string(train_shape_),
                     plan_->steps_per_epoch(),
                     train::step_batch(context_->config, context_->grid().replicas()), total_steps_);
}

std::int64_t Learner::epoch() const {
  return static_cast<std::int64_t>(plan_->at(static_cast<std::uint64_t>(steps_done() - 1)).epoch);
}

store::TrainState Learner::position() const {
  store::TrainState state =
      setup::position_after(steps_done(), *plan_, context_->config.run.seed, labels_sha256_);
  const train::Judge::State judge = trainer_.judge_state();
  state.skipped_in_a_row = judge.skipped_in_a_row;
  state.gradient_exponent = trainer_.gradient_exponent();
  state.loss_scale = judge.loss_scale.scale;
  state.loss_scale_good_steps = judge.loss_scale.good_steps;
  return state;
}

}  // namespace fcmnist::run
