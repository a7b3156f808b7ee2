#include "run/run.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <new>

#include "comm/clock.hpp"
#include "comm/launcher.hpp"
#include "comm/session.hpp"
#include "config/load.hpp"
#include "config/relations.hpp"
#include "core/memory_limits.hpp"
#include "data/prepare.hpp"
#include "kernels/first_product.hpp"
#include "run/compilation.hpp"
#include "run/evaluation.hpp"
#include "run/prediction.hpp"
#include "run/sweep.hpp"
#include "run/training.hpp"
#include "run/validation.hpp"
#include "setup/context.hpp"
#include "setup/settings_file.hpp"

namespace fcmnist::run {

namespace {

void print_error(const char* what) {
  std::fflush(stdout);
  fmt::print(stderr, "fcmnist_mpi: error: {}\n", what);
}

bool wants_prepare_data(const config::CommandLine& arguments) {
  bool wanted = false;
  for (const config::Override& override : arguments.overrides) {
    if (override.key == "runconfig.mode") wanted = override.value == "prepare_data";
  }
  return wanted;
}

/// Throws UsageError when this process is one of several tasks of a Slurm step, but MPI has not joined them.
/// `world_size` is what MPI sees.
void check_joined(int world_size);
void check_joined(int world_size) {
  const int tasks = comm::unjoined_slurm_tasks(world_size);
  if (tasks == 0) return;
  throw UsageError(
      fmt::format("this Slurm step has {} tasks, but MPI sees a world of 1: {} separate runs would fight",
                  tasks, tasks),
      "start with `srun --mpi=pmix` or mpirun, with the MPI that the program was built with; for one process "
      "on purpose: "
      "srun -n 1");
}

/// Without MPI, so that it runs on a login node where MPI may not start.
void prepare_data(config::CommandLine arguments) {
  config::expand_paths(arguments);
  config::Sources sources;
  if (!arguments.params_file.empty())
    sources.yaml = setup::read_text_file(arguments.params_file, "-p/--params");
  sources.yaml_name = arguments.params_file;
  sources.config_name = arguments.config_name;
  sources.overrides = arguments.overrides;
  sources.environment = config::environment_for(sources);
  const config::Loaded loaded = config::load(sources);
  config::check_world(loaded.config, 1);
  const bool is_default = !arguments.logging_given && loaded.logging;
  const auto log = make_logger(is_default ? *loaded.logging : arguments.logging, false);
  data::prepare(loaded.config.train_input, loaded.config.eval_input, loaded.config.model.num_classes, *log);
}

ExitCode run_prepare_data(const config::CommandLine& arguments) {
  if (comm::launcher_rank() != 0) return ExitCode::done;
  try {
    prepare_data(arguments);
    return ExitCode::done;
  } catch (const Error& error) {
    print_error(error.what());
    return error.code();
  }
}

void prepare_data_on_root(const setup::Context& context) {
  const config::RunConfig& config = context.config();
  setup::on_root(
      context.world(),
      [&] { data::prepare(config.train_input, config.eval_input, config.model.num_classes, context.log()); },
      comm::long_work_s);
}

ExitCode run_mode(const setup::Context& context, StopSignals& signals) {
  if (context.arguments().validate_only) {
    signals.let_through();
    run_validation(context);
    return ExitCode::done;
  }
  if (context.arguments().compile_only) {
    signals.let_through();
    run_compile(context);
    return ExitCode::done;
  }
  switch (context.config().run.mode) {
    case config::Mode::train:
    case config::Mode::train_and_eval:
      return run_training(context, signals);
    case config::Mode::eval:
    case config::Mode::eval_all:
      signals.let_through();
      run_evaluation(context);
      break;
    case config::Mode::predict:
      signals.let_through();
      run_prediction(context);
      break;
    case config::Mode::sweep:
      return run_sweep(context, signals);
    case config::Mode::prepare_data:  // chosen in a file, so that MPI has started
      signals.let_through();
      prepare_data_on_root(context);
      break;
  }
  return ExitCode::done;
}

/// Does what a configuration says about the process as a whole. Throws CommError if the process has too little memory
/// to multiply. The ranks of a world watch each other, whatever groups they form, so that the stall timeout must be
/// the same on all of them.
void configure_process(const comm::Session& session, const config::RunConfig& config) {
  session.set_stall_timeout(config.comm.stall_timeout_s);
  if (config.run.mode == config::Mode::prepare_data) return;
  comm::collectively(session.world(), [&] { kernels::start_products(config.kernels.blas_threads); });
}

}  // namespace

ExitCode refuse(const Error& error) {
  if (!comm::launched_by_mpi()) {
    if (comm::launcher_rank() == 0) print_error(error.what());
    return error.code();
  }
  const comm::Session session;
  if (session.world().rank() == 0) print_error(error.what());
  return error.code();
}

ExitCode run(const config::CommandLine& arguments) {
  static_cast<void>(make_logger(arguments.logging, true));  // refuses a wrong level
  if (arguments.validate_only && wants_prepare_data(arguments)) throw nothing_to_validate();
  if (arguments.compile_only && wants_prepare_data(arguments))
    throw nothing_to_plan(config::Mode::prepare_data);
  if (wants_prepare_data(arguments)) return run_prepare_data(arguments);
  // Without PMI every task is alone, and some MPIs end in MPI_Init with a text of their own.
  if (!comm::launched_by_mpi()) check_joined(1);
  const double started_s = comm::now_s();
  spare_address_space();
  StopSignals signals;
  const comm::Session session;
  try {
    comm::collectively(session.world(), [&] { check_joined(session.world().size()); });
    const setup::Context context(session.world(), arguments, started_s);
    configure_process(session, context.config());
    return run_mode(context, signals);
  } catch (const Error& error) {
    signals.catch_all();  // srun ends the others when the first has ended; they have this exit code too
    if (!error.agreed()) {
      print_error(fmt::format("[rank {}] {}", session.world().rank(), error.what()).c_str());
      session.abort_all(error.code());
    }
    // Processes that should have been one world are all rank 0 of their own: one of them speaks.
    const bool speaks =
        session.world().rank() == 0 && (session.world().size() > 1 || comm::launcher_rank() == 0);
    if (speaks) print_error(error.what());
    return error.code();
  } catch (const std::bad_alloc&) {
    print_error(
        fmt::format("[rank {}] {}", session.world().rank(), out_of_memory("out of memory").what()).c_str());
    session.abort_all(ExitCode::communication);
  } catch (const std::exception& error) {
    print_error(fmt::format("[rank {}] {}", session.world().rank(), error.what()).c_str());
    session.abort_all(ExitCode::communication);
  }
}

}  // namespace fcmnist::run
