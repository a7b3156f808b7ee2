#include "setup/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <optional>

#include "config/load.hpp"
#include "config/relations.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "kernels/gemm.hpp"
#include "setup/manifest.hpp"
#include "store/checkpoint.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::setup {

namespace {

/// The model_dir of the command line, if it names one.
std::optional<std::string> model_dir_argument(const config::CommandLine& arguments) {
  for (const config::Override& override : arguments.overrides) {
    if (override.key == "runconfig.model_dir") return override.value;
  }
  return std::nullopt;
}

std::filesystem::path model_dir_of(const config::CommandLine& arguments) {
  return model_dir_argument(arguments).value_or(config::RunOptions().model_dir);
}

bool has_settings(const store::ModelDir& model_dir) {
  std::error_code unknown;  // a model_dir that cannot be looked at is refused when it is to be written
  return std::filesystem::exists(model_dir.params_file(), unknown);
}

/// Where the settings come from besides the command line: the file of -p; else the checkpoint that is to be
/// evaluated or continued; else the run that is in the model_dir; else nothing, so the built-in ones. Rank 0
/// looks, all ranks know.
struct SettingsFile {
  std::string name;  ///< empty: none
  std::string text;
};
SettingsFile find_settings(const comm::Communicator& world, const config::CommandLine& arguments) {
  SettingsFile found;
  comm::collectively(world, [&] {
    if (world.rank() != 0) return;
    const store::ModelDir model_dir(model_dir_of(arguments));
    if (!arguments.params_file.empty()) {
      found = {arguments.params_file, read_text_file(arguments.params_file, "-p/--params")};
    } else if (!arguments.checkpoint_path.empty() && !arguments.is_pretrained_checkpoint) {
      found = {"configuration in " + arguments.checkpoint_path,
               store::Checkpoint::read(arguments.checkpoint_path).header().config_yaml};
    } else if (has_settings(model_dir)) {
      found = {model_dir.params_file().string(),
               read_text_file(model_dir.params_file(), "settings of model_dir")};
    }
  });
  return {world.broadcast(found.name, 0), world.broadcast(found.text, 0)};
}

config::Loaded load_settings(const comm::Communicator& world, const config::CommandLine& arguments,
                             const SettingsFile& file) {
  config::Sources sources;
  if (!file.name.empty()) sources.yaml = file.text;
  sources.yaml_name = file.name;
  sources.config_name = arguments.config_name;
  sources.multireplica = arguments.multireplica;
  sources.overrides = arguments.overrides;
  // Settings that were found in a model_dir or checkpoint may name the place where it once was.
  if (arguments.params_file.empty() && !model_dir_argument(arguments)) {
    sources.overrides.push_back({"runconfig.model_dir", config::RunOptions().model_dir, "built-in"});
  }
  config::Loaded loaded;
  comm::collectively(world, [&] { loaded = config::load(sources); });
  return loaded;
}

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

std::string read_text_file(const std::filesystem::path& path, const std::string& what_for) {
  constexpr std::size_t limit = std::size_t{1} << 20;
  std::error_code unknown;
  if (std::filesystem::is_directory(path, unknown)) {
    throw UsageError(fmt::format("{} {}: is a directory, expected a YAML file", what_for, path.string()));
  }
  if (std::filesystem::exists(path, unknown) && !std::filesystem::is_regular_file(path, unknown)) {
    // A pipe that nobody writes to would wait for ever.
    throw UsageError(
        fmt::format("{} {}: is a pipe or device, expected a YAML file", what_for, path.string()));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw UsageError(errno_message(what_for, path.string(), errno));
  std::string text(limit + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) throw UsageError(errno_message(what_for, path.string(), errno));
  if (text.size() > limit) {
    throw UsageError(
        fmt::format("{} {}: larger than 1 MiB, expected a YAML file of settings", what_for, path.string()));
  }
  return text;
}

}  // namespace fcmnist::setup
