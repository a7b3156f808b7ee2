#include "setup/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

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

/// Nodes are many and mostly alike, so the first warnings stand for all.
void warn_of_placement(const Context& context) {
  const std::size_t most_lines = context.is_planned() ? 1 : 4;
  const auto lines = comm::placement_warnings(context.placement(), context.config().kernels.blas_threads);
  for (std::size_t i = 0; i < std::min(lines.size(), most_lines); ++i) context.log().warn("{}", lines[i]);
  if (lines.size() > most_lines) {
    context.log().warn("and so on for {} more nodes", lines.size() - most_lines);
  }
  const std::string binding = comm::openmp_binding();
  if (!lines.empty() && !binding.empty()) {
    context.log().warn("{} may have bound all ranks to the same cores; HINT: unset it", binding);
  }
}

void describe_start(const Context& context) {
  const BuildInfo build = build_info();
  const kernels::BlasInfo blas = kernels::blas_info(context.config().kernels.gemm);
  Logger& log = context.log();
  log.info("fcmnist_mpi {} ({}, {}, {})", build.version, build.git_revision, build.build_type,
           build.architecture);
  log.info("{}{}", context.is_planned() ? "planned: " : "",
           comm::describe_placement(context.placement(), context.config().kernels.blas_threads));
  log.info("GEMM: {} with {} kernels{}", name_and_version(blas.config), blas.core,
           blas.forced_by.empty() ? "" : fmt::format(", as {} says", blas.forced_by));
  warn_of_placement(context);
}

}  // namespace

Context::Context(const comm::Communicator& world, const config::CommandLine& arguments, double started_s,
                 Common common)
    : arguments_(expanded(world, arguments)),
      started_s_(started_s),
      common_(std::move(common)),
      log_(common_.log && world.rank() == 0 ? common_.log
                                            : make_logger(arguments.logging, world.rank() != 0)),
      topology_(world),
      settings_file_(common_.settings ? *common_.settings : find_settings(world, arguments_)) {
  const config::Loaded loaded = load_settings(world, arguments_, settings_file_);
  config_ = loaded.config;
  sweep_ = loaded.sweep;
  find_checkpoints();
  if (!arguments_.logging_given && loaded.logging && !common_.log)
    log_ = make_logger(*loaded.logging, world.rank() != 0);
  comm::collectively(world, [&] { check_alone_if_planned(arguments, world.size()); });
  placement_ = is_planned()
                   ? comm::planned_placement(arguments.plan_ranks, arguments.plan_nodes, arguments.plan_cores)
                   : comm::gather_placement(topology_);
  comm::collectively(world, [&] {
    config::check_world(config_, ranks());
    check_gemm(config_.kernels.gemm);
  });
  stages_ = config::stages_of(config_, ranks());
  grid_.emplace(topology_, is_planned() ? 1 : stages_);
  const std::string core = kernels::blas_info(config_.kernels.gemm).core;
  const std::string blas_core = distinct(world.all_gather(core));
  manifest_ = make_manifest(config_, placement_, stages_, blas_core);

  describe_start(*this);
  if (blas_core != core) {
    log().warn("ranks use different GEMM kernels ({}): bits depend on which rank runs where", blas_core);
  }
  log().info("settings: {}", settings_file_.name.empty() ? "built-in" : settings_file_.name);
  for (const std::string& line : loaded.notes) log().info("{}", line);
}

/// After the configuration, which it needs the mode of.
void Context::find_checkpoints() {
  if (arguments_.checkpoint_path.empty()) return;
  on_root(world(), [&] {
    std::vector<std::string> files = checkpoint_files(arguments_.checkpoint_path);
    if (files.size() > 1 && config_.run.mode != config::Mode::eval) {
      throw UsageError(fmt::format("--checkpoint_path {}: found {} files, expected one",
                                   arguments_.checkpoint_path, files.size()),
                       "the mode eval alone takes several, as an ensemble: -m eval");
    }
    arguments_.checkpoint_path = files.front();
    if (files.size() > 1) ensemble_ = std::move(files);
  });
  arguments_.checkpoint_path = world().broadcast(arguments_.checkpoint_path, 0);
  is_ensemble_ = world().broadcast(!ensemble_.empty(), 0);
}

void on_root(const comm::Communicator& world, const std::function<void()>& action, double work_s) {
  comm::collectively(world, world.rank() == 0 ? action : std::function<void()>(), work_s);
}

}  // namespace fcmnist::setup
