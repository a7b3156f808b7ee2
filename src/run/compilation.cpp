#include "run/compilation.hpp"

#include <fmt/format.h>

#include "comm/clock.hpp"
#include "comm/host_memory.hpp"
#include "config/readers.hpp"
#include "core/text.hpp"
#include "plan/plan_search.hpp"
#include "plan/product_timer.hpp"
#include "setup/plan_in_effect.hpp"
#include "setup/settle.hpp"
#include "store/model_dir.hpp"
#include "store/write_file.hpp"

namespace fcmnist::run {

UsageError nothing_to_plan(config::Mode mode) {
  return UsageError(
      fmt::format("--compile_only: plans are made for training: runconfig.mode must be train or "
                  "train_and_eval, found {}",
                  config::write_choice(mode, config::modes)),
      "leave --compile_only out, or the mode");
}

namespace {

/// Throws UsageError unless the memory of each node is enough: every rank computes all layers, also those of
/// other stages. Collective.
void check_room(const setup::Context& context, const config::RunConfig& config,
                const std::vector<std::size_t>& widths, std::size_t samples) {
  const model::Mlp network(widths, config.model, config.kernels.gemm);
  const std::size_t needed = plan::product_timing_bytes(network, samples) *
                             static_cast<std::size_t>(context.topology().node().size());
  comm::collectively(context.world(), [&] {
    const comm::HostMemory memory = comm::host_memory();
    if (needed <= memory.bytes) return;
    throw UsageError(
        fmt::format(
            "--compile_only computes all layers on every rank, which needs {} on this node; it has {}",
            bytes_text(needed), to_string(memory)),
        "fewer ranks on a node; or run without a plan");
  });
}

}  // namespace

void run_compile(const setup::Context& context) {
  const config::Mode mode = context.config().run.mode;
  if (mode != config::Mode::train && mode != config::Mode::train_and_eval) {
    throw nothing_to_plan(mode).as_agreed();
  }
  const setup::Settled settled = setup::settle(context, setup::Intent::compile);
  const config::RunConfig& config = settled.config;

  Logger& log = context.log();
  const double begin_s = comm::now_s();
  const kernels::HalfCompute half_compute = settled.arithmetic.half_compute;
  const config::PlanTarget target = setup::plan_target(context, config, half_compute, settled.shapes.train);
  const auto widths = model::widths_of(config.model, settled.shapes.train.features());
  const auto samples = static_cast<std::size_t>(target.microbatch);
  check_room(context, config, widths, samples);
  plan::FoundPlan found =
      plan::search_plan(config, context.grid(), widths, samples, half_compute, context.give_way());
  found.plan.target = target;
  for (const std::string& line : found.report) log.info("{}", line);
  const auto path = store::ModelDir(config.run.model_dir).plan_file();
  setup::on_root(context.world(), [&] { store::write_atomically(path, config::write_plan(found.plan)); });
  log.info("plan: {}", setup::describe(found.plan));
  log.info("wrote {} in {:.1f} s; runs use it with runconfig.plan auto, or its name", path.string(),
           comm::now_s() - begin_s);
}

}  // namespace fcmnist::run
