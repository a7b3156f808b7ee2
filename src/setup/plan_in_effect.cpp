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
#include "data/validation_split.hpp"
#include "kernels/gemm.hpp"
#include "model/mlp.hpp"
#include "model/precision.hpp"
#include "setup/manifest.hpp"
#include "setup/settings_file.hpp"
#include "store/model_dir.hpp"
#include "train/microbatches.hpp"

namespace fcmnist::setup {

namespace {

// Entries of the manifest.
constexpr const char* plan_entry = "plan";     // its text
constexpr const char* library_entry = "gemm";  // see describe_libraries()
constexpr const char* bit_entries_of_plan[] = {library_entry};

/// The plan whose name and text rank 0 has, on every rank; nothing if they are empty. Collective.
std::optional<NamedPlan> read_everywhere(const Context& context, const std::string& name,
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

std::optional<NamedPlan> plan_of_checkpoint(const Context& context, const StartPoint& start) {
  std::string name, text;
  if (const store::Checkpoint* checkpoint = start.run_that_goes_on()) {
    const store::ManifestValue* entry = checkpoint->header().manifest.find(plan_entry);
    const auto* words = entry != nullptr ? std::get_if<std::string>(entry) : nullptr;
    if (words != nullptr) {
      name = fmt::format("checkpoint of step {}", checkpoint->header().state.step);
      text = *words;
    }
  }
  try {
    return read_everywhere(context, name, text);
  } catch (const Error& error) {
    if (!error.agreed()) throw;
    context.log().warn("the plan in the {} is not used: {}", name, error.what());
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
std::optional<config::Plan> usable_part(const Context& context, const NamedPlan& named,
                                        const config::PlanTarget& here) {
  const std::string why_not = config::plan_mismatch(named.plan.target, here);
  config::Plan libraries = config::libraries_of_plan(named.plan, here);
  const bool libraries_hold = context.config().run.reproducible && !libraries.gemm.empty() &&
                              config::plan_mismatch(libraries.target, here).empty();
  if (!why_not.empty() && !libraries_hold) {
    context.log().warn("plan: {}: ignored, it was made for another world: {}", named.name, why_not);
    return std::nullopt;
  }
  comm::collectively(context.world(), [&] { check_available(named); });
  config::Plan plan = why_not.empty() ? named.plan : std::move(libraries);
  context.log().info("plan: {}: {}{}", named.name, describe(plan),
                     why_not.empty() ? "" : fmt::format("; no more of it, since {}", why_not));
  return plan;
}

/// The plan that runconfig.plan names. Collective.
std::optional<NamedPlan> read_named_plan(const Context& context) {
  const std::string& wanted = context.config().run.plan;
  if (wanted == config::no_plan) return std::nullopt;
  std::string name, text;
  on_root(context.world(), [&] {
    std::filesystem::path path = wanted;
    std::error_code unknown;
    if (wanted == config::auto_plan) {
      path = store::ModelDir(context.config().run.model_dir).plan_file();
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

GivenPlan read_given_plan(const Context& context) {
  std::optional<Error> unreadable;
  try {
    return {read_named_plan(context), {}};
  } catch (const Error& error) {
    if (!error.agreed()) throw;
    unreadable = error;
  }
  bool has_checkpoints = false;
  on_root(context.world(), [&] {
    has_checkpoints = !context.arguments().restart &&
                      !store::ModelDir(context.config().run.model_dir).checkpoint_steps().empty();
  });
  if (context.world().max(has_checkpoints ? 1.0 : 0.0) == 0.0) throw *unreadable;
  return {{}, std::move(unreadable)};
}

config::PlanTarget plan_target(const Context& context, const config::RunConfig& config,
                               kernels::HalfCompute half_compute, const data::DatasetShape& train_shape) {
  const comm::Communicator& world = context.world();
  const comm::Grid& grid = context.grid();
  std::vector<std::string> libraries;
  for (const auto& [word, backend] : config::gemm_backends) {
    if (!kernels::available(backend)) continue;
    const kernels::BlasInfo blas = kernels::blas_info(backend);
    libraries.push_back(
        fmt::format("{} {}", name_and_version(blas.config), distinct(world.all_gather(blas.core))));
  }
  config::PlanTarget target;
  target.cpu = distinct(world.all_gather(processor_name()));
  target.libraries = fmt::format("{}", fmt::join(libraries, "; "));
  target.precision = describe(config.model.precision, half_compute);
  target.blas_threads = config.kernels.blas_threads;
  for (const std::size_t width : model::widths_of(config.model, train_shape.features())) {
    target.widths.push_back(static_cast<int>(width));
  }
  const std::size_t samples = train::largest_step(
      config, grid.replicas(), data::training_samples(config.train_input, train_shape.samples));
  target.microbatch =
      static_cast<int>(train::training_microbatches(config, grid.replicas(), grid.stages()).largest(samples));
  target.ranks = world.size();
  target.nodes = context.topology().node_count();
  target.stages = grid.stages();
  return target;
}

PlanInEffect settle_plan(const Context& context, const StartPoint& start, const GivenPlan& given,
                         const config::PlanTarget& here) {
  const std::optional<NamedPlan> stored = plan_of_checkpoint(context, start);
  PlanInEffect found;
  if (stored) found = {usable_part(context, *stored, here), stored->plan};
  if (given.unreadable) {
    if (!found.plan) throw *given.unreadable;
    context.log().warn("runconfig.plan is not used: {}", given.unreadable->what());
  }
  if (!found.plan && given.plan && !(stored && stored->plan == given.plan->plan)) {
    found.plan = usable_part(context, *given.plan, here);
    if (found.plan) found.recorded = given.plan->plan;
  }
  return found;
}

PlanInEffect settle_plan_elsewhere(const Context& context, const GivenPlan& given) {
  if (given.unreadable) throw *given.unreadable;
  if (given.plan) {
    context.log().info("plan: {}: not used here: whether it holds, only the world itself can tell",
                       given.plan->name);
  }
  return {};
}

void add_to_manifest(const PlanInEffect& found, kernels::HalfCompute half_compute,
                     kernels::GemmBackend unplanned, store::Manifest& manifest) {
  if (half_compute == kernels::HalfCompute::emulated) {
    const std::vector<model::LayerGemms> everywhere = {{unplanned, unplanned, unplanned}};
    manifest.add(library_entry, describe_libraries(found.plan ? found.plan->gemm : everywhere));
  }
  if (found.recorded) manifest.add(plan_entry, config::write_plan(*found.recorded));
}

void warn_of_other_libraries(const store::Manifest& checkpointed, const store::Manifest& now, Logger& log) {
  const std::string changes = manifest_changes(checkpointed, now, bit_entries_of_plan);
  if (changes.empty()) return;
  log.warn("since the checkpoint: {}: results go on equal to rounding, not to the bit", changes);
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
