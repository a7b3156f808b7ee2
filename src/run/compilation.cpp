#include "run/compilation.hpp"

#include <fmt/format.h>

#include "comm/session.hpp"
#include "config/readers.hpp"
#include "plan/plan_search.hpp"
#include "plan/product_timer.hpp"
#include "setup/arithmetic.hpp"
#include "setup/plan_in_effect.hpp"
#include "setup/settle.hpp"
#include "setup/start_point.hpp"
#include "store/atomic_file.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::run {

UsageError nothing_to_plan(config::Mode mode) {
  return UsageError(
      fmt::format("--compile_only: plans are made for training: runconfig.mode must be train or "
                  "train_and_eval, found {}",
                  config::write_choice(mode, config::modes)),
      "leave --compile_only out, or the mode");
}

namespace {

/// Every rank computes all layers, also those of other stages.
void check_room(const setup::RunContext& context, const std::vector<std::size_t>& widths,
                std::size_t samples) {
  const model::Mlp network(widths, context.config.model, context.config.kernels.gemm);
  const std::size_t needed =
      plan::product_timing_bytes(network, samples) * static_cast<std::size_t>(context.topology.node().size());
  comm::collectively(context.world(), [&] {
    if (needed <= comm::host_memory()) return;
    throw UsageError(
        fmt::format("--compile_only computes all layers on every rank, which needs {:.1f} GB on "
                    "this node; it has {:.1f} GB",
                    static_cast<double>(needed) / 1e9, static_cast<double>(comm::host_memory()) / 1e9),
        "fewer ranks on a node; or run without a plan");
  });
}

}  // namespace

void run_compile(setup::RunContext& context) {
  const config::Mode mode = context.config.run.mode;
  if (mode != config::Mode::train && mode != config::Mode::train_and_eval) {
    throw nothing_to_plan(mode).as_agreed();
  }
  const setup::Start start(context);
  setup::settle_arithmetic(context, start.point);
  const train::Shapes shapes = setup::find_datasets(context);
  const model::Mlp mlp = setup::make_stage(context, shapes.train.features(), {});
  static_cast<void>(setup::make_plan(context, shapes.train));
  setup::check_memory(context, shapes, mlp);

  Logger& log = *context.log;
  const double begin_s = comm::now_s();
  const config::PlanTarget target = setup::plan_target(context, shapes.train);
  const auto widths = model::widths_of(context.config.model, shapes.train.features());
  const auto samples = static_cast<std::size_t>(target.microbatch);
  check_room(context, widths, samples);
  plan::FoundPlan found =
      plan::search_plan(context.config, context.grid(), widths, samples,
                        setup::compute_of(context.world(), context.config.model.precision), context.give_way);
  found.plan.target = target;
  for (const std::string& line : found.report) log.info("{}", line);
  const auto path = store::ModelDir(context.config.run.model_dir).plan_file();
  setup::on_root(context, [&] { store::write_atomically(path, config::write_plan(found.plan)); });
  log.info("plan: {}", setup::describe(found.plan));
  log.info("wrote {} in {:.1f} s; runs use it with runconfig.plan auto, or its name", path.string(),
           comm::now_s() - begin_s);
}

}  // namespace fcmnist::run
