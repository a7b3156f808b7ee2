#include "run/ensemble.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/load.hpp"
#include "core/error.hpp"
#include "run/ensemble_scores.hpp"
#include "run/memory_check.hpp"
#include "run/progress.hpp"
#include "run/scored_set.hpp"
#include "run/scorer.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "store/model_dir.hpp"
#include "store/predictions_file.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::run {

namespace {

/// The networks of an ensemble, one after the other. Only rank 0 keeps what they have said.
class Ensemble {
 public:
  Ensemble(const setup::Context& context, const data::DatasetShape& shape, const data::Dataset& dataset,
           const data::SetIdentity& identity);

  /// Collective; all ranks throw the same errors.
  void score_all();
  /// On rank 0, once all are scored.
  void say_scores() const;
  void write();

 private:
  void score(const std::string& file);
  [[nodiscard]] config::RunConfig config_of(const store::Checkpoint* checkpoint,
                                            const std::string& file) const;
  [[nodiscard]] store::Predictions predictions() const;

  const setup::Context* context_;
  data::DatasetShape shape_;
  const data::Dataset* dataset_;
  store::Manifest manifest_;
  std::size_t samples_;
  EnsembleScores scores_;
  std::vector<store::Member> members_;
  data::SetIdentity identity_;  ///< on rank 0
  std::size_t averages_ = 0;    ///< members of which the average of the weights was scored
};

Ensemble::Ensemble(const setup::Context& context, const data::DatasetShape& shape,
                   const data::Dataset& dataset, const data::SetIdentity& identity)
    : context_(&context),
      shape_(shape),
      dataset_(&dataset),
      manifest_(context.manifest()),
      samples_(
          train::Evaluator::samples_to_score(context.config(), context.grid().replicas(), dataset.samples())),
      scores_(dataset.labels.first(samples_), static_cast<std::size_t>(dataset.num_classes)) {
  if (!context.is_root()) return;
  identity_ = identity;
  setup::add_to_manifest(identity, setup::Role::test, manifest_);
}

void Ensemble::score_all() {
  const auto count = context_->world().broadcast(static_cast<std::int64_t>(context_->ensemble().size()), 0);
  for (std::int64_t i = 0; i < count; ++i) {
    score(context_->is_root() ? context_->ensemble()[static_cast<std::size_t>(i)] : std::string());
  }
}

/// The network is that of the checkpoint's own configuration; what is scored, and how, is the same for all.
config::RunConfig Ensemble::config_of(const store::Checkpoint* checkpoint, const std::string& file) const {
  const comm::Communicator& world = context_->world();
  const std::string yaml =
      world.broadcast(checkpoint != nullptr ? checkpoint->header().config_yaml : std::string(), 0);
  const std::string name = world.broadcast(file, 0);
  config::RunConfig config = context_->config();
  comm::collectively(world, [&] { config.model = model_of_member(yaml, name, dataset_->num_classes); });
  const auto arithmetic =
      setup::settle_arithmetic(world, config.model, setup::arithmetic_of(world, checkpoint));
  return scoring_config(world, std::move(config), arithmetic.precision, checkpoint);
}

/// `file`: on rank 0.
void Ensemble::score(const std::string& file) {
  std::optional<store::Checkpoint> read;
  setup::on_root(context_->world(), [&] { read = store::Checkpoint::read(file); });
  const store::Checkpoint* checkpoint = read ? &*read : nullptr;
  const config::RunConfig config = config_of(checkpoint, file);
  check_evaluation_memory(*context_, config, shape_);
  Scorer scorer(*context_, config, *dataset_);
  const train::EvaluationResult result = scorer.score(checkpoint, true);
  if (checkpoint == nullptr) return;
  const std::int64_t step = checkpoint->header().state.step;
  const bool of_average = is_average_scored(config.eval_input.weights, *checkpoint);
  context_->log().info(
      "{} Checkpoint={}",
      eval_line(step, result,
                scored_marks(config) + (of_average ? weights_mark(data::ScoredWeights::averaged) : "")),
      file);
  setup::warn_of_other_set(checkpoint->header().manifest, identity_, context_->log());
  averages_ += of_average ? 1 : 0;
  scores_.add(result.logits, result.predicted);
  members_.push_back({file, step, result.loss, result.accuracy, result.predicted});
}

void Ensemble::say_scores() const {
  const auto accuracy = [](const store::Member& member) { return member.accuracy; };
  const auto [least, most] = std::ranges::minmax(members_, {}, accuracy);
  double sum = 0.0;
  for (const store::Member& member : members_) sum += member.accuracy;
  const double mean = sum / static_cast<double>(members_.size());
  const double together = scores_.accuracy(scores_.predicted()), vote = scores_.accuracy(scores_.vote());
  const auto text = [](double of) { return fmt::format("{:.4f} (error {:.2f} %)", of, 100.0 * (1.0 - of)); };
  Logger& log = context_->log();
  log.info("{} members: {} mean {}, from {:.4f} to {:.4f}", members_.size(),
           scored("accuracy", context_->config()), text(mean), least.accuracy, most.accuracy);
  log.info("majority vote: {}", text(vote));
  log.info("ensemble, by mean probabilities: {}, loss {:.5f}", text(together), scores_.loss());
}

store::Predictions Ensemble::predictions() const {
  const auto labels = dataset_->labels.first(samples_);
  const std::int64_t step = members_.front().step;
  const bool same_step =
      std::ranges::all_of(members_, [&](const store::Member& member) { return member.step == step; });
  return {.step = same_step ? step : store::Predictions::several_steps,
          .label = {labels.begin(), labels.end()},
          .predicted = scores_.predicted(),
          .logits = scores_.logits(),
          .members = members_,
          .vote = scores_.vote()};
}

/// The scores are printed already, so a place that cannot be written to is only worth a warning, as in an
/// evaluation.
void Ensemble::write() {
  if (averages_ == members_.size()) manifest_.add("scored_weights", std::string(averaged_weights));
  const store::ModelDir model_dir(context_->config().run.model_dir);
  std::error_code unknown;
  if (!std::filesystem::is_directory(model_dir.path(), unknown)) {
    context_->log().info("not saved: there is no {} (-o/--model_dir)", model_dir.path().string());
    return;
  }
  try {
    const auto image = store::predictions_image(model_dir.ensemble_file(0), predictions(),
                                                config::to_yaml(context_->config()), manifest_);
    const auto path = store::write_sealed_as_new([&](int n) { return model_dir.ensemble_file(n); }, 0,
                                                 store::FileKind::predictions, image);
    context_->log().info("files: {}", path.string());
  } catch (const StoreError& error) {
    context_->log().warn("not saved: {}", error.what());
  }
}

}  // namespace

model::MlpOptions model_of_member(const std::string& config_yaml, const std::string& file, int classes) {
  config::Sources sources;
  sources.yaml = config_yaml;
  sources.yaml_name = "configuration in " + file;
  const model::MlpOptions model = config::load(sources).config.model;
  if (model.num_classes == classes) return model;
  throw StoreError(fmt::format("{}: model.num_classes {}, expected {} as in the first of the ensemble",
                               sources.yaml_name, model.num_classes, classes));
}

void run_ensemble(const setup::Context& context, const data::DatasetShape& shape,
                  const data::Dataset& dataset, const data::SetIdentity& identity) {
  Ensemble ensemble(context, shape, dataset, identity);
  ensemble.score_all();
  if (!context.is_root()) return;
  ensemble.say_scores();
  ensemble.write();
}

}  // namespace fcmnist::run
