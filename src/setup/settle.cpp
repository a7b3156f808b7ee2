#include "setup/settle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "comm/host_memory.hpp"
#include "config/load.hpp"
#include "core/error.hpp"
#include "data/validation_split.hpp"
#include "model/layer_placement.hpp"
#include "setup/datasets.hpp"
#include "setup/input_products.hpp"
#include "setup/plan_in_effect.hpp"
#include "setup/run_length.hpp"
#include "train/microbatches.hpp"
#include "train/stage_placement.hpp"
#include "train/window_bytes.hpp"

namespace fcmnist::setup {

namespace {

/// Says in the log what the model is, and where its layers are.
void describe_model(const Context& context, const config::RunConfig& config, const model::Mlp& mlp,
                    std::span<const std::size_t> widths, std::span<const model::LayerRange> stages) {
  const std::vector<double> costs = model::layer_costs(widths);
  Logger& log = context.log();
  log.info("model: {} parameters in {} layers", mlp.network_layout().parameter_count(), costs.size());
  if (config.run.execution != config::Execution::layer_pipelined) return;
  log.info("{}", train::describe_stages(costs, stages, context.replicas()));
  if (stages.size() == 1 && context.world().size() > 1 && config.run.pipeline_stages == 0) {
    log.warn(
        "pipeline_stages auto: one stage, so no pipeline: no number above 1 divides the {} ranks and gives "
        "each stage one of the {} layers",
        context.world().size(), costs.size());
  }
}

/// A run that is being settled. Each step uses what the steps before it have found, in the order of the
/// functions. All of them are collective.
class Draft {
 public:
  Draft(const Context& context, Intent intent)
      : context_(context),
        intent_(intent),
        config_(context.config()),
        manifest_(context.manifest()),
        log_(context.log()) {
    if (!writes()) config_.train_input.download = config_.eval_input.download = false;
  }

  void read_plan();
  void find_start();
  void settle_arithmetic();
  void find_datasets();
  void choose_input_products();
  void follow_plan();
  void make_model();
  void make_epoch_plan();
  void check_memory() const;
  Settled settled() &&;

 private:
  [[nodiscard]] bool writes() const { return intent_ != Intent::validate; }
  [[nodiscard]] bool follows_plan() const { return intent_ != Intent::compile; }
  /// On rank 0, of a run that goes on; otherwise nullptr.
  [[nodiscard]] const store::Checkpoint* checkpoint() const { return start_.point.run_that_goes_on(); }

  const Context& context_;
  Intent intent_;
  config::RunConfig config_;
  store::Manifest manifest_;
  Logger& log_;
  GivenPlan given_plan_;
  LockedStart start_;
  Arithmetic arithmetic_;
  std::string config_yaml_;
  train::Shapes shapes_;
  PlanInEffect plan_;
  std::vector<model::LayerRange> stages_;
  std::optional<model::Mlp> mlp_;
  std::optional<data::EpochPlan> epoch_plan_;
};

/// Throws UsageError if the weights of a unit are more than one block, in which an update bounds their norm.
void check_rows(const optim::OptimizerOptions& optimizer, std::span<const std::size_t> widths) {
  const std::size_t inputs = std::ranges::max(widths.first(widths.size() - 1));
  if (optimizer.max_weight_norm == 0.0 || inputs <= block_numbers) return;
  throw UsageError(fmt::format("optimizer.max_weight_norm {}: a unit has {} inputs, expected at most {}",
                               optimizer.max_weight_norm, inputs, block_numbers),
                   "leave out optimizer.max_weight_norm, or make the layers narrower");
}

/// First of all, so that a plan that cannot be read leaves no model_dir behind.
void Draft::read_plan() {
  if (follows_plan()) given_plan_ = read_given_plan(context_);
}

void Draft::find_start() {
  if (writes()) {
    start_ = lock_start_point(context_);
    return;
  }
  on_root(context_.world(),
          [&] { start_.point = find_start_point(context_.arguments(), config_, manifest_, log_); });
}

void Draft::settle_arithmetic() {
  const comm::Communicator& world = context_.world();
  const auto checkpointed = arithmetic_of(world, checkpoint());
  arithmetic_ = setup::settle_arithmetic(world, config_.model, checkpointed);
  config_.model.precision = arithmetic_.precision;
  add_to_manifest(arithmetic_, manifest_);
  say_arithmetic(arithmetic_, config_.model, log_);
  if (checkpoint() != nullptr) warn_of_other_arithmetic(checkpoint()->header().manifest, manifest_, log_);

  optim::LossScaleOptions& scale = config_.optimizer.loss_scale;
  const optim::LossScaleOptions asked = std::exchange(scale, settle_loss_scale(scale, checkpointed));
  say_loss_scale(arithmetic_.precision, asked, scale, log_);
  if (config_.comm.wire_type != comm::WireType::float32 && context_.topology().node_count() == 1) {
    log_.info("runconfig.wire_type: there is one node, so no gradient travels");
  }
  // The files have the loss scaling in effect, for the next resume. What a plan changes is not in this text:
  // the manifest has the plan itself.
  config_yaml_ = config::to_yaml(config_);
}

void Draft::find_datasets() {
  shapes_.train = find_dataset(context_.topology(), config_.train_input, log_);
  comm::collectively(context_.world(),
                     [&] { data::training_samples(config_.train_input, shapes_.train.samples); });
  if (config_.run.mode != config::Mode::train_and_eval) return;
  shapes_.eval = find_dataset(context_.topology(), config_.eval_input, log_);
  comm::collectively(context_.world(), [&] {
    if (shapes_.eval->features() == shapes_.train.features()) return;
    throw DataError(fmt::format("images to train on: {}; images to evaluate on: {}",
                                data::to_string(shapes_.train), data::to_string(*shapes_.eval)),
                    "train_input.data_dir and eval_input.data_dir must hold images of one size");
  });
}

void Draft::choose_input_products() {
  const InputProducts found = settle_input_products(context_, config_, shapes_.train, checkpoint());
  config_.model.input_products = found.products;
  add_to_manifest(found, manifest_);
  say_input_products(found, log_);
}

void Draft::follow_plan() {
  if (!follows_plan()) return;
  if (context_.is_planned()) {
    plan_ = settle_plan_elsewhere(context_, given_plan_);
  } else {
    const auto here = plan_target(context_, config_, arithmetic_.half_compute, shapes_.train);
    plan_ = settle_plan(context_, start_.point, given_plan_, here);
  }
  add_to_manifest(plan_, arithmetic_.half_compute, config_.kernels.gemm, manifest_);
  if (checkpoint() != nullptr && plan_.recorded) {
    warn_of_other_libraries(checkpoint()->header().manifest, manifest_, log_);
  }
  if (plan_.plan && plan_.plan->exchange_streams > 0) {
    config_.comm.exchange_streams = plan_.plan->exchange_streams;
  }
}

void Draft::make_model() {
  const auto widths = model::widths_of(config_.model, shapes_.train.features());
  comm::collectively(context_.world(), [&] { check_rows(config_.optimizer, widths); });
  stages_ = train::place_stages(widths, context_.stages(), plan_.plan);
  const auto mine = static_cast<std::size_t>(context_.grid().stage());
  mlp_.emplace(widths, config_.model, train::gemms_of(config_, plan_.plan), stages_[mine]);
  if (writes()) describe_model(context_, config_, *mlp_, widths, stages_);
}

void Draft::make_epoch_plan() {
  comm::collectively(context_.world(), [&] {
    epoch_plan_.emplace(data::training_samples(config_.train_input, shapes_.train.samples),
                        train::step_batch(config_, context_.replicas()), config_.train_input.drop_last_batch,
                        static_cast<std::uint64_t>(config_.run.steps_per_epoch));
  });
}

void Draft::check_memory() const {
  if (writes()) setup::check_memory(context_, config_, shapes_, *mlp_);
}

Settled Draft::settled() && {
  const std::int64_t total_steps = count_steps(config_.run, epoch_plan_->steps_per_epoch());
  if (checkpoint() != nullptr) {
    warn_of_rate_change(checkpoint()->header(), config_, epoch_plan_->steps_per_epoch(), log_);
  }
  return {.config = std::move(config_),
          .arithmetic = std::move(arithmetic_),
          .lock = std::move(start_.lock),
          .start = std::move(start_.point),
          .shapes = shapes_,
          .plan = std::move(plan_.plan),
          .stages = std::move(stages_),
          .mlp = std::move(*mlp_),
          .epoch_plan = *epoch_plan_,
          .total_steps = total_steps,
          .manifest = std::move(manifest_),
          .config_yaml = std::move(config_yaml_)};
}

}  // namespace

Settled settle(const Context& context, Intent intent) {
  Draft run(context, intent);
  run.read_plan();
  run.find_start();
  run.settle_arithmetic();
  run.find_datasets();
  run.choose_input_products();
  run.follow_plan();
  run.make_model();
  run.make_epoch_plan();
  run.check_memory();
  return std::move(run).settled();
}

void check_memory(const Context& context, const config::RunConfig& config, const train::Shapes& shapes,
                  const model::Mlp& mlp) {
  const comm::Grid& grid = context.grid();
  const comm::Seat seat = grid.of_stage().seat();
  std::size_t bytes = 0;
  if (seat.node_ranks > 1) {
    bytes = train::window_bytes_of_rank(config, grid.replicas(), grid.stages(),
                                        context.topology().node_count(), seat, mlp.layout());
  }
  if (context.topology().is_leader() && context.common().shelf == nullptr)
    bytes += train::shared_bytes_of_node(shapes);
  comm::check_shared_memory(context.topology(), bytes);
}

}  // namespace fcmnist::setup
