#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fcmnist::store {

/// One training step, or the mean over the steps since the row before. Loss and accuracy are means over the
/// global batch.
struct TrainRow {
  std::int64_t step = 0;   ///< steps done, from 1
  std::int64_t epoch = 0;  ///< epoch of the step, from 0
  double loss = 0;         ///< mean over samples, nats
  double accuracy = 0;     ///< 0 to 1
  double learning_rate = 0;
  double grad_norm = 0;  ///< 2-norm of the global gradient, before clipping
  double samples_per_s = 0;
  double elapsed_s = 0;      ///< time since the start of training, all restarts together
  double compute_s = 0;      ///< time of forward, loss and backward on rank 0
  double exchange_s = 0;     ///< time of waiting for ranks, summing gradients and updating weights on rank 0
  double data_s = 0;         ///< time of getting the batch on rank 0
  double files_s = 0;        ///< time of writing checkpoints and metrics on rank 0
  std::int64_t skipped = 0;  ///< 1 if the weights stayed as they were: loss or gradient was not finite
  /// Part of the time of the stages in which they waited, 0 to 1; 0 without stages.
  double bubble_fraction = 0;
  double loss_scale = 0;  ///< factor on the loss; 1 without loss scaling, 0 in releases that had none
  /// For each stage, the time in which it did not wait for a neighbour; empty without stages.
  std::vector<double> stage_busy_s = {};
  /// For each array of the network, the 2-norm of its gradient before clipping; empty if the step was skipped.
  std::vector<float> grad_norm_by_array = {};
  bool operator==(const TrainRow&) const = default;
};

/// One evaluation.
struct EvalRow {
  std::int64_t step = 0;
  std::int64_t epoch = 0;
  double loss = 0;
  double accuracy = 0;
  double elapsed_s = 0;
  std::vector<std::int64_t> confusion;  ///< (classes x classes) samples: row = true label, column = predicted
  /// The class given to each sample, in the order of the data set; empty in older files.
  std::vector<std::uint8_t> predicted = {};
  bool operator==(const EvalRow&) const = default;
};

/// The same on the validation samples. Without their classes, whose numbers in the data set have gaps.
struct ValidationRow {
  EvalRow scores;
  bool operator==(const ValidationRow&) const = default;
};

/// A score of the test set with the weights as they are trained, beside that of their average, which is an EvalRow.
/// Without the class of each sample.
struct TrainedRow {
  EvalRow scores;
  bool operator==(const TrainedRow&) const = default;
};

/// At a log line, for each array of the network: the 2-norm of its weights, and of what the last update changed.
struct ArrayRow {
  std::int64_t step = 0;
  std::vector<float> weight_norm;
  std::vector<float> update_norm;
  bool operator==(const ArrayRow&) const = default;
};

/// What the rows of a run are about.
struct MetricsSubject {
  // NOLINTNEXTLINE(google-explicit-constructor): without names of arrays, the number alone says it
  MetricsSubject(std::size_t class_count, std::vector<std::string> array_names = {},
                 std::vector<std::string> rank_hosts = {}, std::vector<std::string> rank_cores = {})
      : classes(class_count),
        arrays(std::move(array_names)),
        hosts(std::move(rank_hosts)),
        cores(std::move(rank_cores)) {}
  std::size_t classes;
  std::vector<std::string> arrays;  ///< names of the arrays of the network, in the order of their norms
  std::vector<std::string> hosts;   ///< of each rank
  std::vector<std::string> cores;   ///< of each rank: the logical processors to which it is bound
};

/// Calls visit(name, member, units, long name) for each column of a table, in the order of FORMAT.md. Files
/// and journal, writing and reading share this list. It lacks `stage_busy_s`, which has a column for each
/// stage, and `grad_norm_by_array`, which has several numbers for each row.
template <class Visit>
void for_each_column(const TrainRow*, Visit visit) {
  visit("step", &TrainRow::step, "1", "optimizer steps done");
  visit("epoch", &TrainRow::epoch, "1", "epoch of the step, from 0");
  visit("loss", &TrainRow::loss, "1", "cross-entropy in nats, mean over the samples of the global batch");
  visit("accuracy", &TrainRow::accuracy, "1",
        "fraction of the samples of the global batch classified correctly");
  visit("learning_rate", &TrainRow::learning_rate, "1", "learning rate of the step");
  visit("grad_norm", &TrainRow::grad_norm, "1", "2-norm of the global gradient before clipping");
  visit("samples_per_s", &TrainRow::samples_per_s, "s-1", "training samples per second, all ranks together");
  visit("elapsed_s", &TrainRow::elapsed_s, "s", "time since the start of training");
  visit("compute_s", &TrainRow::compute_s, "s", "time of forward, loss and backward on rank 0");
  visit("exchange_s", &TrainRow::exchange_s, "s",
        "time of the gradient exchange on rank 0, waiting included");
  visit("data_s", &TrainRow::data_s, "s", "time to get the batch on rank 0");
  visit("files_s", &TrainRow::files_s, "s", "time of writing files on rank 0");
  visit(
      "skipped", &TrainRow::skipped, "1",
      "1 if the step was skipped because its loss or gradient was not finite (nan_policy: skip, or a dynamic "
      "loss scale)");
  visit("bubble_fraction", &TrainRow::bubble_fraction, "1",
        "part of the time of the stages of rank 0's replica in which they waited; 0 without stages");
  visit("loss_scale", &TrainRow::loss_scale, "1", "factor on the loss of the step, and so on its gradients");
}

/// The same for the other table. It lacks `confusion` and `predicted`, which have an array for each row.
template <class Visit>
void for_each_column(const EvalRow*, Visit visit) {
  visit("step", &EvalRow::step, "1", "optimizer steps done");
  visit("epoch", &EvalRow::epoch, "1", "epoch at the evaluation, from 0");
  visit("loss", &EvalRow::loss, "1", "cross-entropy in nats, mean over the evaluated samples");
  visit("accuracy", &EvalRow::accuracy, "1", "fraction of the evaluated samples classified correctly");
  visit("elapsed_s", &EvalRow::elapsed_s, "s", "time since the start of training");
}

}  // namespace fcmnist::store
