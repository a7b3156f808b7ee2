#include "run/scored_set.hpp"

#include <fmt/format.h>

#include "data/set_identity.hpp"

namespace fcmnist::run {

namespace {

/// Whether training uses the samples that are scored, which the name "test" denies.
bool trains_on_test_split(const config::RunConfig& config) {
  const data::InputOptions& train = config.train_input;
  const data::InputOptions& eval = config.eval_input;
  if (eval.split != data::Split::test || train.split != eval.split) return false;
  return train.use_fake_data == eval.use_fake_data &&
         (train.use_fake_data || train.data_dir == eval.data_dir);
}

}  // namespace

std::string scored(std::string_view what, const config::RunConfig& config) {
  const data::InputOptions& eval = config.eval_input;
  const long batches = config.run.eval_steps;
  const bool is_trained_on = trains_on_test_split(config), is_averaged = eval.average_shifts > 0;
  std::string words = fmt::format("test {}", what);
  if (eval.split != data::Split::test || batches > 0 || is_trained_on) {
    std::string part;
    if (batches > 0) {
      part = batches == 1 ? "the first batch of " : fmt::format("the first {} batches of ", batches);
    }
    words = fmt::format("{} on {}the {} split", what, part, data::name_of(eval.split));
  }
  if (is_trained_on) words += ", which it was trained on";
  if (is_averaged) words += fmt::format(", averaged over {} shifts", eval.shift_count());
  return is_trained_on || is_averaged ? words + "," : words;
}

std::string scored_marks(const config::RunConfig& config) {
  const data::Split split = config.eval_input.split;
  const std::string of_split =
      split == data::Split::test ? "" : fmt::format(" Split={}", data::name_of(split));
  const data::InputOptions& eval = config.eval_input;
  return of_split + (eval.average_shifts > 0 ? fmt::format(" Shifts={}", eval.shift_count()) : "");
}

std::string weights_mark(data::ScoredWeights weights) {
  return fmt::format(" Weights={}", weights == data::ScoredWeights::averaged ? averaged_weights : "trained");
}

}  // namespace fcmnist::run
