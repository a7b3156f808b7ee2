#include "run/evaluation.hpp"

#include <fmt/format.h>

#include <optional>

#include "core/error.hpp"
#include "model/precision.hpp"
#include "run/progress.hpp"
#include "setup/arithmetic.hpp"
#include "setup/datasets.hpp"
#include "setup/start_point.hpp"
#include "store/metrics_file.hpp"
#include "store/model_dir.hpp"
#include "store/sealed_file.hpp"
#include "train/evaluator.hpp"
#include "train/model_state.hpp"
#include "train/shared_dataset.hpp"
#include "train/step_time.hpp"

namespace fcmnist::run {

namespace {

/// The checkpoints to score, read by rank 0 one after the other; the other ranks follow its count.
class CheckpointQueue {
 public:
  CheckpointQueue(const setup::RunContext& context, const store::ModelDir& model_dir)
      : context_(&context), model_dir_(model_dir) {
    setup::on_root(context, [&] {
      if (context.config.run.mode == config::Mode::eval_all) {
        steps_ = model_dir_.checkpoint_steps();
      } else if (!context.arguments->checkpoint_path.empty()) {
        single_ = store::Checkpoint::read(context.arguments->checkpoint_path);
      } else {
        single_ = setup::newest_intact_checkpoint(model_dir_, *context.log);
      }
      if (steps_.empty() && !single_) {
        throw no_checkpoint(model_dir_);
      }
    });
  }

  /// Advances to the next intact checkpoint. Collective; the same answer on every rank.
  bool next() {
    bool found = false;
    setup::on_root(*context_, [&] {
      current_ = std::exchange(single_, std::nullopt);
      while (!current_ && next_ < steps_.size()) current_ = read(steps_[next_++]);
      found = current_.has_value();
    });
    return context_->world().broadcast(found, 0);
  }

  /// On rank 0 the checkpoint, elsewhere nullptr.
  [[nodiscard]] const store::Checkpoint* current() const { return current_ ? &*current_ : nullptr; }

 private:
  std::optional<store::Checkpoint> read(std::int64_t step) {
    try {
      return store::Checkpoint::read(model_dir_.checkpoint_file(step));
    } catch (const store::UnusableFileError& error) {
      context_->log->warn("{}; left out", error.what());
    } catch (const StoreError&) {
      std::error_code unknown;
      if (std::filesystem::exists(model_dir_.checkpoint_file(step), unknown)) throw;
      context_->log->info("checkpoint_{} is gone: the run goes on and keeps only its newest", step);
    }
    return std::nullopt;
  }

  const setup::RunContext* context_;
  store::ModelDir model_dir_;
  std::vector<std::int64_t> steps_;
  std::size_t next_ = 0;
  std::optional<store::Checkpoint> single_, current_;
};

/// A network in the precision that is settled.
class Scorer {
 public:
  /// Collective; all ranks throw the same CommError. `dataset` must outlive it.
  Scorer(const setup::RunContext& context, const data::Dataset& dataset)
      : mlp_(model::widths_of(context.config.model, dataset.features()), context.config.model,
             context.config.kernels.gemm),
        state_(with_room(context, mlp_), mlp_, {}),
        evaluator_(context.config, context.grid(), dataset, mlp_, state_, context.give_way) {}

  /// `checkpoint`: on rank 0. Collective.
  train::EvaluationResult score(const store::Checkpoint* checkpoint) {
    state_.load_weights(checkpoint);
    return evaluator_.evaluate();
  }

 private:
  static const comm::Grid& with_room(const setup::RunContext& context, const model::Mlp& mlp) {
    const comm::Topology& topology = context.topology;
    const std::size_t bytes =
        train::ModelState::shared_bytes(topology.seat(), mlp.layout(), mlp.precision(), 0);
    comm::check_shared_memory(topology, topology.is_leader() ? bytes : 0);
    return context.grid();
  }

  model::Mlp mlp_;
  train::ModelState state_;
  train::Evaluator evaluator_;
};

/// The results in a file of the metrics format. The scores are printed already, so a place that cannot be
/// written to, such as somebody else's model_dir, is only worth a warning.
void write_results(const setup::RunContext& context, const std::filesystem::path& path, std::size_t classes,
                   const std::vector<store::EvalRow>& rows) {
  std::error_code unknown;
  if (!std::filesystem::is_directory(path.parent_path(), unknown))
    return;  // a checkpoint without a run around it
  try {
    std::filesystem::remove(path);
    auto file = store::MetricsFile::open_or_create(path, classes, context.config_yaml, context.manifest,
                                                   *context.log);
    for (const store::EvalRow& row : rows) file.append(row);
    file.write();
    context.log->info("files: {}", path.string());
  } catch (const StoreError& error) {
    context.log->warn("results are not saved: {}", error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    context.log->warn("results are not saved: {}", error.what());
  }
}

}  // namespace

StoreError no_checkpoint(const store::ModelDir& model_dir) {
  return StoreError(fmt::format("{}: no checkpoint to evaluate", model_dir.path().string()),
                    "train first, or name a file with --checkpoint_path or a run with -o/--model_dir");
}

void run_evaluation(setup::RunContext& context) {
  const store::ModelDir model_dir(context.config.run.model_dir);
  CheckpointQueue queue(context, model_dir);
  const data::DatasetShape shape =
      setup::find_dataset(context.topology, context.config.eval_input, *context.log);
  comm::check_shared_memory(context.topology,
                            context.topology.is_leader() ? train::SharedDataset::bytes(shape) : 0);
  const train::SharedDataset dataset = setup::read_dataset(context.topology, context.config.eval_input, shape,
                                                           context.config.model.num_classes);
  const data::Dataset view = dataset.view();
  std::optional<Scorer> scorer;
  std::vector<store::EvalRow> rows;
  while (queue.next()) {
    if (!scorer) {
      setup::settle_precision(context, queue.current());
      scorer.emplace(context, view);
    } else if (const auto precision = setup::precision_for(context, queue.current());
               precision != context.config.model.precision) {
      context.config.model.precision = precision;
      context.log->info("precision: {} from here on", name_of(precision));
      scorer.emplace(context, view);
    }
    train::Stopwatch watch;
    const train::EvaluationResult result = scorer->score(queue.current());
    if (!context.is_root()) continue;
    const store::TrainState& at = queue.current()->header().state;
    context.log->info("{}", eval_line(at.step, result));
    const std::int64_t epoch =
        at.step_in_epoch == 0 && at.epoch > 0 ? at.epoch - 1 : at.epoch;  // of the last step done
    rows.push_back({at.step, epoch, result.loss, result.accuracy, watch.lap_s(), result.confusion});
  }
  setup::on_root(context, [&] {
    if (!rows.empty()) return;
    throw StoreError(fmt::format("{}: none of its checkpoints is intact, nothing was evaluated",
                                 model_dir.path().string()));
  });
  if (context.is_root()) {
    const auto classes = static_cast<std::size_t>(context.config.model.num_classes);
    write_results(context, model_dir.path() / "evaluation.h5", classes, rows);
  }
}

}  // namespace fcmnist::run
