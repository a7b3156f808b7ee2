#include "train/compile_run.hpp"

#include <fmt/format.h>

#include "comm/session.hpp"
#include "config/readers.hpp"
#include "store/atomic_file.hpp"
#include "store/model_dir.hpp"
#include "train/plan_search.hpp"
#include "train/precision.hpp"
#include "train/run_plan.hpp"
#include "train/start_point.hpp"
#include "train/training_setup.hpp"

namespace fcmnist::train {

UsageError nothing_to_plan(config::Mode mode) {
  return UsageError(
      fmt::format("--compile_only: plans are made for training: runconfig.mode must be train or "
                  "train_and_eval, found {}",
                  config::write_choice(mode, config::modes)),
      "leave --compile_only out, or the mode");
}

void run_compile(RunContext& context) {
  const config::Mode mode = context.config.run.mode;
  if (mode != config::Mode::train && mode != config::Mode::train_and_eval) {
    throw nothing_to_plan(mode).as_agreed();
  }
  const Start start(context);
  settle_precision(context, start.point);
  const Shapes shapes = find_datasets(context);
  const model::Mlp mlp = make_stage(context, shapes.train.features(), {});
  static_cast<void>(make_plan(context, shapes.train));
  check_memory(context, shapes, mlp);

  Logger& log = *context.log;
  const double begin_s = comm::now_s();
  const config::PlanTarget target = plan_target(context, shapes.train);
  FoundPlan found = search_plan(context.config, context.grid(),
                                model::widths_of(context.config.model, shapes.train.features()),
                                static_cast<std::size_t>(target.microbatch), context.give_way);
  found.plan.target = target;
  for (const std::string& line : found.report) log.info("{}", line);
  const auto path = store::ModelDir(context.config.run.model_dir).plan_file();
  on_root(context, [&] { store::write_atomically(path, config::write_plan(found.plan)); });
  log.info("plan: {}", describe(found.plan));
  log.info("wrote {} in {:.1f} s; runs use it with runconfig.plan auto, or its name", path.string(),
           comm::now_s() - begin_s);
}

}  // namespace fcmnist::train
