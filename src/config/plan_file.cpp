#include "config/plan_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "config/nearest.hpp"
#include "config/readers.hpp"
#include "config/value.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr int format_version = 1;
constexpr int most = 1'000'000'000;
constexpr std::string_view how_to_mend = "write it anew: the same command with --compile_only";

/// The entries of one mapping. An entry that nobody asks for is an error.
class Entries {
 public:
  Entries(const Value& mapping, std::string what) : mapping_(&mapping), what_(std::move(what)) {
    if (mapping.kind == Value::Kind::mapping) return;
    throw UsageError(
        fmt::format("{}: {}: expected keys with values, found {}", mapping.where, what_, describe(mapping)),
        how_to_mend);
  }

  /// nullptr if there is no such key.
  const Value* find(const std::string& key) {
    known_.push_back(key);
    return mapping_->find(key);
  }
  const Value& get(const std::string& key) {
    if (const Value* value = find(key)) return *value;
    throw UsageError(fmt::format("{}: {}: no key '{}'", mapping_->where, what_, key), how_to_mend);
  }
  void refuse_others() const {
    for (const Value::Entry& entry : mapping_->entries) {
      if (std::ranges::find(known_, entry.key) != known_.end()) continue;
      const std::string meant = nearest(entry.key, known_);
      throw UsageError(fmt::format("{}: {}: unknown key '{}'", entry.where, what_, entry.key),
                       meant.empty() ? std::string(how_to_mend) : fmt::format("did you mean {}?", meant));
    }
  }

 private:
  const Value* mapping_;
  std::string what_;
  std::vector<std::string> known_;
};

PlanTarget read_target(const Value& value) {
  Entries entries(value, "machine");
  const auto number = [&](const std::string& key) {
    return read_integer(entries.get(key), "machine." + key, 1, most);
  };
  PlanTarget target;
  target.cpu = read_text(entries.get("cpu"), "machine.cpu");
  target.libraries = read_text(entries.get("libraries"), "machine.libraries");
  if (const Value* precision = entries.find("precision")) {  // the oldest plan files name no precision
    target.precision = read_text(*precision, "machine.precision");
  }
  target.blas_threads = number("blas_threads");
  target.widths = read_integers(entries.get("widths"), "machine.widths", 1, most);
  target.microbatch = number("microbatch");
  target.ranks = number("ranks");
  target.nodes = number("nodes");
  target.stages = number("stages");
  entries.refuse_others();
  if (target.widths.size() < 2) unexpected(*value.find("widths"), "machine.widths", "at least two numbers");
  return target;
}

model::LayerGemms read_layer(const Value& value) {
  if (value.kind != Value::Kind::list || value.items.size() != 3) {
    unexpected(value, "gemm", "three libraries, for forward, delta and weight gradient", how_to_mend);
  }
  const auto backend = [&](std::size_t i) { return read_choice(value.items[i], "gemm", gemm_backends); };
  return {backend(0), backend(1), backend(2)};
}

std::vector<model::LayerGemms> read_gemm(const Value& value, std::size_t layers) {
  const bool is_empty = value.kind == Value::Kind::list && value.items.empty();
  if (!is_empty && (value.kind != Value::Kind::list || value.items.size() != layers)) {
    unexpected(value, "gemm", fmt::format("a list of {} layers, as machine.widths has", layers), how_to_mend);
  }
  std::vector<model::LayerGemms> gemm;
  for (const Value& item : value.items) gemm.push_back(read_layer(item));
  return gemm;
}

std::vector<int> read_first_layers(const Value& value, const PlanTarget& target) {
  const auto layers = static_cast<int>(target.widths.size()) - 1;
  std::vector<int> first = read_integers(value, "first_layers", 0, layers - 1);
  const bool increase = std::ranges::adjacent_find(first, std::greater_equal()) == first.end();
  if (std::ssize(first) != target.stages || first.front() != 0 || !increase) {
    unexpected(value, "first_layers",
               fmt::format("increasing numbers from 0, one for each of {} stages", target.stages),
               how_to_mend);
  }
  return first;
}

}  // namespace

Plan read_plan(const std::string& text, const std::string& name) {
  const Value root = parse_yaml(text, name);
  Entries entries(root, "plan");
  const Value& version = entries.get("format_version");
  if (read_integer(version, "format_version", 1, most) != format_version) {
    unexpected(version, "format_version", std::to_string(format_version), how_to_mend);
  }
  Plan plan;
  plan.target = read_target(entries.get("machine"));
  plan.gemm = read_gemm(entries.get("gemm"), plan.target.widths.size() - 1);
  if (const Value* streams = entries.find("exchange_streams")) {
    plan.exchange_streams = read_integer(*streams, "exchange_streams", 1, 1024);
  }
  if (plan.target.stages > 1) {
    plan.first_layers = read_first_layers(entries.get("first_layers"), plan.target);
  }
  entries.refuse_others();
  return plan;
}

std::string write_plan(const Plan& plan) {
  const PlanTarget& target = plan.target;
  std::string text = fmt::format(
      "# How a training step is carried out on this machine, measured by fcmnist_mpi --compile_only. "
      "runconfig.plan uses it.\n"
      "format_version: {}\nmachine:\n  cpu: {}\n  libraries: {}\n  precision: {}\n  blas_threads: {}\n  "
      "widths: {}\n"
      "  microbatch: {}\n  ranks: {}\n  nodes: {}\n  stages: {}\n"
      "{}\n",
      format_version, write(target.cpu), write(target.libraries), write(target.precision),
      target.blas_threads, write(target.widths), target.microbatch, target.ranks, target.nodes, target.stages,
      plan.gemm.empty() ? "gemm: []  # no library: instructions multiply the 16-bit numbers"
                        : "gemm:  # of every layer: library of forward, delta, weight gradient");
  for (const model::LayerGemms& layer : plan.gemm) {
    text += fmt::format("  - [{}, {}, {}]\n", write_choice(layer.forward, gemm_backends),
                        write_choice(layer.delta, gemm_backends),
                        write_choice(layer.weight_gradient, gemm_backends));
  }
  if (plan.exchange_streams > 0) text += fmt::format("exchange_streams: {}\n", plan.exchange_streams);
  if (!plan.first_layers.empty()) text += fmt::format("first_layers: {}\n", write(plan.first_layers));
  return text;
}

std::string plan_mismatch(const PlanTarget& made_for, const PlanTarget& here) {
  std::vector<std::string> found;
  const auto compare = [&](const char* name, const auto& then, const auto& now) {
    if (then != now) found.push_back(fmt::format("{} {}, here {}", name, then, now));
  };
  compare("cpu", made_for.cpu, here.cpu);
  compare("libraries", made_for.libraries, here.libraries);
  compare("precision", made_for.precision, here.precision);
  compare("blas_threads", made_for.blas_threads, here.blas_threads);
  compare("widths", write(made_for.widths), write(here.widths));
  compare("microbatch", made_for.microbatch, here.microbatch);
  compare("ranks", made_for.ranks, here.ranks);
  compare("nodes", made_for.nodes, here.nodes);
  compare("stages", made_for.stages, here.stages);
  return fmt::format("{}", fmt::join(found, "; "));
}

Plan libraries_of_plan(Plan plan, const PlanTarget& here) {
  plan.target.ranks = here.ranks;
  plan.target.nodes = here.nodes;
  plan.target.stages = here.stages;
  plan.exchange_streams = 0;
  plan.first_layers.clear();
  return plan;
}

}  // namespace fcmnist::config
