#include "run/evaluation.hpp"

#include <fmt/format.h>

#include <optional>

#include "comm/host_memory.hpp"
#include "config/load.hpp"
#include "core/error.hpp"
#include "model/precision.hpp"
#include "run/checkpoint_queue.hpp"
#include "run/ensemble.hpp"
#include "run/memory_check.hpp"
#include "run/progress.hpp"
#include "run/scored_set.hpp"
#include "run/scorer.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"
#include "store/sealed_file.hpp"
#include "train/evaluator.hpp"
#include "train/shared_dataset.hpp"
#include "train/step_time.hpp"

namespace fcmnist::run {

namespace {

/// Every checkpoint of a queue, scored in its own precision.
class Evaluation {
 public:
  /// `identity` is that of the dataset, on rank 0. All arguments must outlive it.
  Evaluation(const setup::Context& context, const data::Dataset& dataset, const data::SetIdentity& identity)
      : context_(&context), dataset_(&dataset), identity_(&identity), manifest_(context.manifest()) {
    if (context.is_root()) setup::add_to_manifest(identity, setup::Role::test, manifest_);
  }

  /// `checkpoint`: on rank 0. Collective; all ranks throw the same errors.
  void score(const store::Checkpoint* checkpoint);
  /// Of the checkpoints that were scored, on rank 0.
  [[nodiscard]] const std::vector<store::EvalRow>& rows() const { return rows_; }
  /// Of the checkpoint, in mode eval.
  [[nodiscard]] const std::optional<store::Predictions>& predictions() const { return predictions_; }
  /// With the precision of the first checkpoint.
  [[nodiscard]] const store::Manifest& manifest() const { return manifest_; }

 private:
  void prepare_scorer(const store::Checkpoint* checkpoint);
  [[nodiscard]] bool averages(const store::Checkpoint& checkpoint) const {
    return is_average_scored(context_->config().eval_input.weights, checkpoint);
  }

  const setup::Context* context_;
  const data::Dataset* dataset_;
  const data::SetIdentity* identity_;
  store::Manifest manifest_;
  std::optional<Scorer> scorer_;
  std::vector<store::EvalRow> rows_;
  std::optional<store::Predictions> predictions_;
};

/// A new scorer for the first checkpoint, and whenever the precision changes.
void Evaluation::prepare_scorer(const store::Checkpoint* checkpoint) {
  const model::MlpOptions& asked = context_->config().model;
  const comm::Communicator& world = context_->world();
  const auto arithmetic = setup::settle_arithmetic(world, asked, setup::arithmetic_of(world, checkpoint));
  if (scorer_ && scorer_->precision() == arithmetic.precision) return;
  if (scorer_) {
    context_->log().info("precision: {} from here on", name_of(arithmetic.precision));
  } else {
    setup::add_to_manifest(arithmetic, manifest_);
    setup::say_arithmetic(arithmetic, asked, context_->log());
    if (checkpoint != nullptr) {
      if (averages(*checkpoint)) manifest_.add("scored_weights", std::string(averaged_weights));
      setup::warn_of_other_arithmetic(checkpoint->header().manifest, manifest_, context_->log());
      const store::Manifest& run = checkpoint->header().manifest;
      setup::warn_of_other_set(run, *identity_, context_->log());
      setup::say_other_test_set(run, *identity_, context_->log());
      if (const auto own = setup::is_own_test_set(run, *identity_))
        manifest_.add("is_test_set_of_run", std::int64_t{*own});
    }
  }
  scorer_.emplace(*context_, scoring_config(world, context_->config(), arithmetic.precision, checkpoint),
                  *dataset_);
}

void Evaluation::score(const store::Checkpoint* checkpoint) {
  prepare_scorer(checkpoint);
  train::Stopwatch watch;
  const bool with_logits = context_->config().run.mode == config::Mode::eval;
  const train::EvaluationResult result = scorer_->score(checkpoint, with_logits);
  if (checkpoint == nullptr) return;
  const store::TrainState& at = checkpoint->header().state;
  const std::string of_average =
      averages(*checkpoint) ? weights_mark(data::ScoredWeights::averaged) : std::string();
  context_->log().info("{}", eval_line(at.step, result, scored_marks(context_->config()) + of_average));
  const std::int64_t epoch =
      at.step_in_epoch == 0 && at.epoch > 0 ? at.epoch - 1 : at.epoch;  // of the last step done
  rows_.push_back(
      {at.step, epoch, result.loss, result.accuracy, watch.lap_s(), result.confusion, result.predicted});
  if (with_logits) predictions_ = predictions_of(at.step, *dataset_, result);
}

/// The results in a new file of the metrics format. Evaluations lock nothing, and several may end at once. The
/// scores are printed already, so a place that cannot be written to, such as somebody else's model_dir, is only
/// worth a warning.
void write_results(const setup::Context& context, const Evaluation& evaluation) {
  const store::ModelDir model_dir(context.config().run.model_dir);
  const auto classes = static_cast<std::size_t>(context.config().model.num_classes);
  std::error_code unknown;
  if (!std::filesystem::is_directory(model_dir.path(), unknown))
    return;  // a checkpoint without a run around it
  try {
    const int number = model_dir.next_evaluation();
    const std::string config_yaml = config::to_yaml(context.config());
    auto file = store::MetricsFile::without_rows(model_dir.evaluation_file(number), classes, config_yaml,
                                                 evaluation.manifest());
    for (const store::EvalRow& row : evaluation.rows()) file.append(row);
    store::MetricsImage image = file.image();
    const auto path = store::write_sealed_as_new([&](int n) { return model_dir.evaluation_file(n); }, number,
                                                 store::FileKind::metrics, image.bytes);
    context.log().info("files: {}", path.string());
    if (!evaluation.predictions()) return;
    const auto of_samples = store::ModelDir::predictions_file_of(path);
    store::write_sealed(
        of_samples, store::FileKind::predictions,
        store::predictions_image(of_samples, *evaluation.predictions(), config_yaml, evaluation.manifest()));
    context.log().info("files: {}", of_samples.string());
  } catch (const StoreError& error) {
    context.log().warn("not saved: {}", error.what());
  }
}

}  // namespace

store::Predictions predictions_of(std::int64_t step, const data::Dataset& dataset,
                                  const train::EvaluationResult& result) {
  const auto labels = dataset.labels.first(result.samples);
  return {step, {labels.begin(), labels.end()}, result.predicted, result.logits};
}

void run_evaluation(const setup::Context& context) {
  const config::RunConfig& config = context.config();
  const comm::Topology& topology = context.topology();
  std::optional<CheckpointQueue> queue;
  if (!context.is_ensemble()) queue.emplace(context);
  const data::DatasetShape shape = setup::find_dataset(topology, config.eval_input, context.log());
  comm::check_shared_memory(topology, topology.is_leader() ? train::SharedDataset::bytes(shape) : 0);
  if (queue) check_evaluation_memory(context, config, shape);
  const setup::LoadedSet test_set = setup::read_dataset(
      topology, config.eval_input, shape, config.model.num_classes, setup::Role::test, context.log());
  const data::Dataset view = test_set.samples.view();
  if (!queue) return run_ensemble(context, shape, view, test_set.identity);
  Evaluation evaluation(context, view, test_set.identity);
  while (queue->next()) evaluation.score(queue->current());
  setup::on_root(context.world(), [&] {
    if (!evaluation.rows().empty()) return;
    throw StoreError(
        fmt::format("{}: none of its checkpoints is intact, nothing was evaluated", config.run.model_dir));
  });
  if (context.is_root()) write_results(context, evaluation);
}

}  // namespace fcmnist::run
