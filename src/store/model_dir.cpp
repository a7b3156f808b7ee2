#include "store/model_dir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "store/write_error.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view checkpoint_prefix = "checkpoint_", evaluation_prefix = "evaluation_",
                           predicted_prefix = "predicted_";
constexpr std::string_view suffix = ".h5";

/// The number in "<prefix><number>.h5", written as this program writes it (no sign, no leading zeros).
template <class Number>
std::optional<Number> number_in(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size())
    return {};
  const std::string_view digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  Number number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || fmt::format("{}", number) != digits ||
      number < 0)
    return {};
  return number;
}

/// The step in "checkpoint_<step>.h5".
std::optional<std::int64_t> step_of(std::string_view name) {
  return number_in<std::int64_t>(name, checkpoint_prefix);
}

constexpr std::string_view predictions_ending = "_predictions.h5";

/// The number of an evaluation: 0 in "evaluation.h5", n in "evaluation_<n>.h5"; also in "..._predictions.h5".
std::optional<int> evaluation_of(std::string_view name) {
  if (name.ends_with(predictions_ending)) {
    name.remove_suffix(predictions_ending.size());
    return evaluation_of(fmt::format("{}{}", name, suffix));
  }
  if (name == "evaluation.h5") return 0;
  return number_in<int>(name, evaluation_prefix);
}

bool is_predicted(std::string_view name) {
  return name == "predicted.h5" || number_in<int>(name, predicted_prefix);
}

/// Names in a directory, sorted; none if there is no such directory.
std::vector<std::string> names_in(const fs::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  fs::directory_iterator entry(directory, error);
  if (error == std::errc::no_such_file_or_directory) return names;
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) throw_write_error("list", directory, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

bool belongs_to_a_run(std::string_view name) {
  return name == "params.yaml" || name == "metrics.h5" || name == "metrics.journal" || name == "STOPPED" ||
         name == "predictions.h5" || name == "trace.h5" || evaluation_of(name) || is_predicted(name) ||
         name.find(".h5.damaged-") != std::string_view::npos ||
         name.find(".journal.damaged-") != std::string_view::npos || step_of(name) ||
         name == "checkpoint_best.h5";
}

/// Makes the first previous_<k> that is not there yet.
fs::path make_previous(const fs::path& parent) {
  for (int k = 1;; ++k) {
    fs::path candidate = parent / fmt::format("previous_{}", k);
    std::error_code error;
    if (fs::create_directory(candidate, error)) return candidate;
    if (error && error != std::errc::file_exists)
      throw_write_error("create directory", candidate, error.value());
  }
}

}  // namespace

fs::path ModelDir::checkpoint_file(std::int64_t step) const {
  return path_ / fmt::format("{}{}{}", checkpoint_prefix, step, suffix);
}

fs::path ModelDir::evaluation_file(int n) const {
  return path_ / (n == 0 ? "evaluation.h5" : fmt::format("{}{}{}", evaluation_prefix, n, suffix));
}

fs::path ModelDir::predicted_file(int n) const {
  return path_ / (n == 0 ? "predicted.h5" : fmt::format("{}{}{}", predicted_prefix, n, suffix));
}

fs::path ModelDir::ensemble_file(int n) const {
  return path_ / (n == 0 ? "ensemble.h5" : fmt::format("ensemble_{}{}", n, suffix));
}

fs::path ModelDir::predictions_file_of(const fs::path& evaluation_file) {
  return evaluation_file.parent_path() /
         fmt::format("{}{}", evaluation_file.stem().string(), predictions_ending);
}

int ModelDir::next_evaluation() const {
  int next = 0;
  for (const std::string& name : names_in(path_)) next = std::max(next, evaluation_of(name).value_or(-1) + 1);
  return next;
}

void ModelDir::ensure_writable() const {
  std::error_code error;
  if (fs::exists(path_, error) && !fs::is_directory(path_, error)) {
    throw StoreError(fmt::format("model_dir {}: found a file, expected a directory", path_.string()),
                     "move the file away or set another runconfig.model_dir");
  }
  fs::create_directories(path_, error);
  if (error) throw_write_error("create model_dir", path_, error.value());
  check_writable(path_);
}

std::vector<std::int64_t> ModelDir::checkpoint_steps() const {
  std::vector<std::int64_t> steps;
  for (const std::string& name : names_in(path_)) {
    if (const auto step = step_of(name)) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void ModelDir::set_damaged_aside(std::int64_t after_step, Logger& log) const {
  for (const std::int64_t step : checkpoint_steps()) {
    if (step <= after_step) continue;
    log.warn("{} is damaged and now called {}", checkpoint_file(step).string(),
             rename_damaged(checkpoint_file(step)).filename().string());
  }
}

std::optional<std::int64_t> ModelDir::best_checkpoint() const {
  std::error_code absent;
  return step_of(fs::read_symlink(best_checkpoint_file(), absent).string());
}

void ModelDir::name_best(std::int64_t step) const {
  const fs::path target = checkpoint_file(step).filename(), link = best_checkpoint_file();
  std::error_code error;
  if (best_checkpoint() == step) return;
  const fs::path temporary = temporary_name(link);
  fs::remove(temporary, error);  // the leftover of a dead process that had our number
  fs::create_symlink(target, temporary, error);
  if (!error) fs::rename(temporary, link, error);
  if (error) throw_write_error("make the symbolic link", link, error.value());
}

std::vector<std::int64_t> ModelDir::prune(int keep, std::optional<std::int64_t> best_step,
                                          Logger& log) const {
  std::vector<std::int64_t> deleted;
  for (const std::int64_t step : checkpoints_to_delete(checkpoint_steps(), keep, best_step)) {
    std::error_code error;
    if (fs::remove(checkpoint_file(step), error)) deleted.push_back(step);
    if (error)
      log.warn("old checkpoint not deleted: {}",
               errno_message("delete", checkpoint_file(step).native(), error.value()));
  }
  return deleted;
}

std::optional<fs::path> ModelDir::move_aside() const {
  std::vector<std::string> names = names_in(path_);
  std::erase_if(names, [](const std::string& name) { return !belongs_to_a_run(name); });
  if (names.empty()) return std::nullopt;
  const fs::path previous = make_previous(path_);
  for (const std::string& name : names) {
    std::error_code error;
    fs::rename(path_ / name, previous / name, error);
    if (error) throw_write_error("move to " + previous.string() + ":", path_ / name, error.value());
  }
  return previous;
}

std::vector<std::int64_t> checkpoints_to_delete(std::vector<std::int64_t> steps, int keep,
                                                std::optional<std::int64_t> best_step) {
  FCMNIST_CHECK(keep >= 2, fmt::format("keep {}", keep));
  std::sort(steps.begin(), steps.end());
  const std::size_t newest = std::min(steps.size(), static_cast<std::size_t>(keep));
  steps.resize(steps.size() - newest);
  std::erase_if(steps, [&](std::int64_t step) { return step == best_step; });
  return steps;
}

}  // namespace fcmnist::store
