#include "setup/context.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "config/load.hpp"
#include "config/relations.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "kernels/gemm.hpp"
#include "setup/manifest.hpp"
#include "setup/settings_file.hpp"

namespace fcmnist::setup {

namespace {

void check_gemm(kernels::GemmBackend backend) {
  if (kernels::available(backend)) return;
  throw UsageError("runconfig.gemm onednn: this program was built without oneDNN",
                   "runconfig.gemm openblas, or install libdnnl-dev and build again");
}

void check_alone_if_planned(const config::CommandLine& arguments, int world_size) {
  if (arguments.plan_ranks == 0 || world_size == 1) return;
  throw UsageError(
      fmt::format("--plan_ranks {}: one process plans a world that is not there, found {}",
                  arguments.plan_ranks, world_size),
      "leave out mpirun; or leave out --plan_ranks, and the world that mpirun started is validated");
}

/// Nodes are many and mostly alike.
void warn_of_placement(const RunContext& context) {
  const std::size_t most_lines = context.is_planned() ? 1 : 4;
  const auto lines = comm::placement_warnings(context.placement, context.config.kernels.blas_threads);
  for (std::size_t i = 0; i < std::min(lines.size(), most_lines); ++i) context.log->warn("{}", lines[i]);
  if (lines.size() > most_lines) {
    context.log->warn("and so on for {} more nodes", lines.size() - most_lines);
  }
}

void describe_start(const RunContext& context) {
  const BuildInfo build = build_info();
  const kernels::BlasInfo blas = kernels::blas_info(context.config.kernels.gemm);
  Logger& log = *context.log;
  log.info("fcmnist_mpi {} ({}, {}, {})", build.version, build.git_revision, build.build_type,
           build.architecture);
  log.info("{}{}", context.is_planned() ? "planned: " : "",
           comm::describe_placement(context.placement, context.config.kernels.blas_threads));
  log.info("GEMM: {} with {} kernels{}", name_and_version(blas.config), blas.core,
           blas.forced_by.empty() ? "" : fmt::format(", as {} says", blas.forced_by));
  warn_of_placement(context);
}

}  // namespace

RunContext::RunContext(const comm::Session& session, const config::CommandLine& arguments_, double started_s_)
    : arguments(&arguments_),
      started_s(started_s_),
      log(make_logger(arguments_.logging, session.world().rank() != 0)),
      topology(session.world()) {
  comm::collectively(world(), [&] { check_joined(world().size()); });
  const SettingsFile file = find_settings(world(), arguments_);
  config::Loaded loaded = load_settings(world(), arguments_, file);
  config = std::move(loaded.config);
  session.set_stall_timeout(config.comm.stall_timeout_s);
  comm::collectively(world(), [&] { check_alone_if_planned(arguments_, world().size()); });
  placement = is_planned() ? comm::planned_placement(arguments_.plan_ranks, arguments_.plan_nodes)
                           : comm::gather_placement(topology);
  comm::collectively(world(), [&] {
    config::check_world(config, ranks());
    check_gemm(config.kernels.gemm);
  });
  stages = config::stages_of(config, ranks());
  grid_.emplace(topology, is_planned() ? 1 : stages);
  config_yaml = config::to_yaml(config);
  kernels::set_blas_threads(config.kernels.blas_threads);
  give_way = comm::oversubscribed(placement);
  const std::string core = kernels::blas_info(config.kernels.gemm).core;
  const std::string blas_core = kernels_of(world().all_gather(core));
  manifest = make_manifest(config, placement, stages, blas_core);

  describe_start(*this);
  if (blas_core != core) {
    log->warn("ranks use different GEMM kernels ({}): bits depend on which rank runs where", blas_core);
  }
  log->info("settings: {}", file.name.empty() ? "built-in" : file.name);
  for (const std::string& line : loaded.notes) log->info("{}", line);
  for (const std::string& line : loaded.warnings) log->warn("{}", line);
}

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

void on_root(const RunContext& context, const std::function<void()>& action, double work_s) {
  comm::collectively(context.world(), context.is_root() ? action : std::function<void()>(), work_s);
}

}  // namespace fcmnist::setup
