#include "setup/plan_in_effect.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "config/readers.hpp"
#include "core/error.hpp"
#include "core/processor.hpp"
#include "kernels/gemm.hpp"
#include "model/mlp.hpp"
#include "model/precision.hpp"
#include "setup/arithmetic.hpp"
#include "setup/manifest.hpp"
#include "setup/settings_file.hpp"
#include "store/model_dir.hpp"
#include "train/microbatches.hpp"

namespace fcmnist::setup {

namespace {

constexpr const char* plan_entry = "plan";     // of the manifest: the text of the plan
constexpr const char* library_entry = "gemm";  // describe_libraries()
constexpr const char* bit_entries_of_plan[] = {library_entry};

/// Texts of rank 0, on every rank; empty: there is none.
std::optional<NamedPlan> read_everywhere(const RunContext& context, const std::string& name,
                                         const std::string& text) {
  const std::string shared_name = context.world().broadcast(name, 0);
  const std::string shared_text = context.world().broadcast(text, 0);
  if (shared_name.empty()) return std::nullopt;
  std::optional<NamedPlan> plan;
  comm::collectively(context.world(), [&] {
    plan = NamedPlan{shared_name, config::read_plan(shared_text, shared_name)};
  });
  return plan;
}

std::optional<NamedPlan> stored_plan(const RunContext& context, const StartPoint& start) {
  std::string name, text;
  if (start.checkpoint && !start.weights_only) {
    const store::CheckpointHeader& header = start.checkpoint->header();
    const store::ManifestValue* entry = header.manifest.find(plan_entry);
    const auto* words = entry != nullptr ? std::get_if<std::string>(entry) : nullptr;
    if (words != nullptr) {
      name = fmt::format("checkpoint of step {}", header.state.step);
      text = *words;
    }
  }
  try {
    return read_everywhere(context, name, text);
  } catch (const Error& error) {
    if (!error.agreed()) throw;
    context.log->warn("the plan in the {} is not used: {}", name, error.what());
    return std::nullopt;
  }
}

void check_available(const NamedPlan& named) {
  for (const model::LayerGemms& layer : named.plan.gemm) {
    for (const auto backend : {layer.forward, layer.delta, layer.weight_gradient}) {
      if (kernels::available(backend)) continue;
      throw UsageError(fmt::format("{}: gemm: {}: this program was built without it", named.name,
                                   config::write_choice(backend, config::gemm_backends)),
                       "write it anew: the same command with --compile_only");
    }
  }
}

/// What of a plan holds here; nothing if it is ignored.
std::optional<config::Plan> usable(const RunContext& context, const NamedPlan& named,
                                   const config::PlanTarget& here) {
  const std::string why_not = config::plan_mismatch(named.plan.target, here);
  config::Plan libraries = config::libraries_of_plan(named.plan, here);
  const bool libraries_hold = context.config.run.reproducible && !libraries.gemm.empty() &&
                              config::plan_mismatch(libraries.target, here).empty();
  if (!why_not.empty() && !libraries_hold) {
    context.log->warn("plan: {}: ignored, it was made for another world: {}", named.name, why_not);
    return std::nullopt;
  }
  comm::collectively(context.world(), [&] { check_available(named); });
  config::Plan plan = why_not.empty() ? named.plan : std::move(libraries);
  context.log->info("plan: {}: {}{}", named.name, describe(plan),
                    why_not.empty() ? "" : fmt::format("; no more of it, since {}", why_not));
  return plan;
}

/// That of runconfig.plan.
std::optional<NamedPlan> read_named_plan(const RunContext& context) {
  const std::string& wanted = context.config.run.plan;
  if (wanted == config::no_plan) return std::nullopt;
  std::string name, text;
  on_root(context, [&] {
    std::filesystem::path path = wanted;
    std::error_code unknown;
    if (wanted == config::auto_plan) {
      path = store::ModelDir(context.config.run.model_dir).plan_file();
      if (!std::filesystem::exists(path, unknown)) return;
    }
    name = path.string();
    if (!std::filesystem::exists(path, unknown) && !unknown) {
      throw UsageError(fmt::format("runconfig.plan {}: there is no such file", name),
                       "the same command with --compile_only writes <model_dir>/plan.yaml, which auto means");
    }
    text = read_text_file(path, "runconfig.plan");
  });
  return read_everywhere(context, name, text);
}

}  // namespace

GivenPlan read_given_plan(const RunContext& context) {
  std::optional<Error> unreadable;
  try {
    return {read_named_plan(context), {}};
  } catch (const Error& error) {
    if (!error.agreed()) throw;
    unreadable = error;
  }
  bool has_checkpoints = false;
  on_root(context, [&] {
    has_checkpoints = !context.arguments->restart &&
                      !store::ModelDir(context.config.run.model_dir).checkpoint_steps().empty();
  });
  if (context.world().max(has_checkpoints ? 1.0 : 0.0) == 0.0) throw *unreadable;
  return {{}, std::move(unreadable)};
}

config::PlanTarget plan_target(const RunContext& context, const data::DatasetShape& train_shape) {
  const comm::Communicator& world = context.world();
  const comm::Grid& grid = context.grid();
  const config::RunConfig& config = context.config;
  std::vector<std::string> libraries;
  for (const auto& [word, backend] : config::gemm_backends) {
    if (!kernels::available(backend)) continue;
    const kernels::BlasInfo blas = kernels::blas_info(backend);
    libraries.push_back(
        fmt::format("{} {}", name_and_version(blas.config), kernels_of(world.all_gather(blas.core))));
  }
  config::PlanTarget target;
  target.cpu = kernels_of(world.all_gather(processor_name()));
  target.libraries = fmt::format("{}", fmt::join(libraries, "; "));
  const model::Precision precision = config.model.precision;
  target.precision = describe(precision, compute_of(world, precision));
  target.blas_threads = config.kernels.blas_threads;
  for (const std::size_t width : model::widths_of(config.model, train_shape.features())) {
    target.widths.push_back(static_cast<int>(width));
  }
  const std::size_t samples = std::min(train::step_batch(config, grid.replicas()), train_shape.samples);
  target.microbatch =
      static_cast<int>(train::training_microbatches(config, grid.replicas(), grid.stages()).largest(samples));
  target.ranks = world.size();
  target.nodes = context.topology.node_count();
  target.stages = grid.stages();
  return target;
}

std::optional<config::Plan> settle_plan(RunContext& context, const StartPoint& start, const GivenPlan& given,
                                        const config::PlanTarget& here) {
  const std::optional<NamedPlan> stored = stored_plan(context, start);
  std::optional<config::Plan> plan;
  const NamedPlan* kept = stored ? &*stored : nullptr;
  if (stored) plan = usable(context, *stored, here);
  if (given.unreadable) {
    if (!plan) throw *given.unreadable;
    context.log->warn("runconfig.plan is not used: {}", given.unreadable->what());
  }
  if (!plan && given.plan && !(stored && stored->plan == given.plan->plan)) {
    plan = usable(context, *given.plan, here);
    if (plan) kept = &*given.plan;
  }
  const auto everywhere = context.config.kernels.gemm;
  const std::vector<model::LayerGemms> unplanned = {{everywhere, everywhere, everywhere}};
  if (compute_of(context.world(), context.config.model.precision) == kernels::HalfCompute::emulated) {
    context.manifest.add(library_entry, describe_libraries(plan ? plan->gemm : unplanned));
  }
  if (kept != nullptr) context.manifest.add(plan_entry, config::write_plan(kept->plan));
  if (plan && plan->exchange_streams > 0) context.config.comm.exchange_streams = plan->exchange_streams;
  if (start.checkpoint && !start.weights_only && (plan || stored)) {
    const std::string changes =
        manifest_changes(start.checkpoint->header().manifest, context.manifest, bit_entries_of_plan);
    if (!changes.empty()) {
      context.log->warn("since the checkpoint: {}: results go on equal to rounding, not to the bit", changes);
    }
  }
  return plan;
}

std::string describe(const config::Plan& plan) {
  std::string text = plan.gemm.empty() ? "no library to choose" : describe_libraries(plan.gemm);
  if (plan.exchange_streams > 0) text += fmt::format("; exchange_streams {}", plan.exchange_streams);
  if (!plan.first_layers.empty()) {
    text += fmt::format("; stages begin at layers {}", config::write(plan.first_layers));
  }
  return text;
}

std::string describe_libraries(std::span<const model::LayerGemms> gemm) {
  struct Use {
    kernels::GemmBackend backend;
    std::vector<std::string> products;
  };
  std::vector<Use> uses;
  for (const auto& [word, backend] : config::gemm_backends) uses.push_back({backend, {}});
  const auto add = [&](kernels::GemmBackend backend, std::size_t layer, const char* product) {
    const auto use = std::ranges::find(uses, backend, &Use::backend);
    use->products.push_back(fmt::format("layer {} {}", layer, product));
  };
  for (std::size_t i = 0; i < gemm.size(); ++i) {
    add(gemm[i].forward, i, "forward");
    if (i > 0) add(gemm[i].delta, i, "delta");
    add(gemm[i].weight_gradient, i, "weight gradient");
  }
  std::ranges::stable_sort(uses, std::greater(), [](const Use& use) { return use.products.size(); });
  std::string text;
  for (const Use& use : uses) {
    if (use.products.empty()) continue;
    const std::string name = config::write_choice(use.backend, config::gemm_backends);
    text += text.empty() ? name : fmt::format(", but {} for {}", name, fmt::join(use.products, ", "));
  }
  return text;
}

}  // namespace fcmnist::setup
