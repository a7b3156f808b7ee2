#include "config/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "config/overrides.hpp"
#include "config/readers.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

namespace {

constexpr int most_planned_ranks = 100'000;
constexpr int most_planned_cores = 4096;

constexpr const char* description =
    "Trains and evaluates the fully-connected MNIST classifier on the ranks that mpirun or srun starts.\n"
    "Without arguments: 784-500-300-10, the built-in experiment, data in ./data/mnist, results in "
    "./model_dir.\n"
    "A repeated run in the same model_dir goes on from its newest checkpoint, with its own settings.\n";

constexpr const char* footer = R"(
Settings:
  section.key value, section.key=value
        Overrides one key of the configuration; several may be given, anywhere. Sections: train_input, eval_input,
        model, optimizer, runconfig. The command line wins over the file.
        In paths, also those of flags and files, ~/ is your home, and $NAME or ${NAME} a variable.
        configs/fcmnist_500_300.yaml names every key with its meaning; configs/README.md explains them.

Examples:
  mpirun -n 8 fcmnist_mpi
  mpirun -n 8 fcmnist_mpi -p configs/params.yaml -o runs/ten_by_fifty
  mpirun -n 4 fcmnist_mpi -o runs/wide model.hidden_sizes "[1000, 500]" optimizer.learning_rate=0.05 --num_epochs 20
  mpirun -n 4 fcmnist_mpi -m eval -o runs/wide
  fcmnist_mpi -m prepare_data train_input.data_dir /scratch/mnist
  fcmnist_mpi --validate_only --plan_ranks 1024 --plan_nodes 64 train_input.batch_size=8192

Exit codes:
   0  done                              4  checkpoints, metrics, model_dir
   2  command line or configuration     5  communication: a rank stalled, replicas differ; out of memory
   3  data files                        6  training diverged: loss or weights not finite
   7  another run uses the model_dir   75  stopped early; the same command goes on
)";

/// A flag that is another way to write a key.
struct KeyFlag {
  const char* names;
  const char* placeholder;
  const char* key;
  const char* help;
};
constexpr KeyFlag key_flags[] = {
    {"-m,--mode", "MODE", "runconfig.mode",
     "train, eval (one checkpoint), train_and_eval (default),\n"
     "eval_all (every checkpoint of the model_dir),\n"
     "predict (images without labels: eval_input.images),\n"
     "sweep (many trainings: section sweep of the file),\n"
     "prepare_data (fetch and verify the data; needs no mpirun)"},
    {"-o,--model_dir", "DIR", "runconfig.model_dir", "Where results go; default ./model_dir"},
    {"--max_steps", "N", "runconfig.max_steps",
     "Train until this step; replaces the lengths that the file gives"},
    {"--num_epochs", "N", "runconfig.num_epochs", "Train so many passes over the data; likewise"},
    {"--eval_steps", "N", "runconfig.eval_steps", "Batches per evaluation; 0 (default): the whole set"},
};

std::string version_text() {
  const BuildInfo build = build_info();
  return fmt::format("fcmnist_mpi {} (git {}, {} build for {}, {})\n", build.version, build.git_revision,
                     build.build_type, build.architecture, build.compiler);
}

/// The parser with its flags, and the values that it gave to key flags.
struct Parser {
  CLI::App app{description, "fcmnist_mpi"};
  CommandLine result;
  std::vector<std::string> key_values = std::vector<std::string>(std::size(key_flags));

  Parser() {
    app.allow_extras();  // overrides; read_overrides() takes them
    app.set_help_flag("-h,--help", "Prints this text");
    app.set_version_flag("--version", version_text(), "Prints version, git revision and build");
    add("-p,--params", "FILE", result.params_file,
        "YAML file with the configuration; default: that of the\nrun in the model_dir, else the built-in "
        "one");
    add("--config", "NAME", result.config_name, "Top-level key of the file that holds the sections to use");
    for (std::size_t i = 0; i < std::size(key_flags); ++i) {
      add(key_flags[i].names, key_flags[i].placeholder, key_values[i], key_flags[i].help);
    }
    add("--checkpoint_path", "FILE", result.checkpoint_path,
        "Checkpoint to start from or to evaluate; default: the newest.\nMode eval: several files with "
        "commas, or a "
        "quoted pattern\nsuch as 'runs/*/checkpoint_best.h5', are an ensemble");
    app.add_flag("--is_pretrained_checkpoint", result.is_pretrained_checkpoint,
                 "Take only the weights of --checkpoint_path and start at step 0");
    app.add_flag("--restart", result.restart, "Start over; the earlier run is moved aside, not deleted");
    app.add_flag("--compile_only", result.compile_only,
                 "Train nothing: measure this world and write what is\nfastest to <model_dir>/plan.yaml, for "
                 "runconfig.plan");
    app.add_flag("--multireplica", result.multireplica, "Accepted: mpirun starts the replicas already");
    app.add_flag(
        "--validate_only", result.validate_only,
        "Checks that the run maps onto these ranks and that its\ndata is there, prints the mapping and "
        "the predicted\ntime of a step, runs and writes nothing; exit 0, or\n2, 3, 4 for what would stop the "
        "run");
    add("--plan_ranks", "N", result.plan_ranks,
        "With --validate_only on one process: checks a world of\nN ranks instead of this one");
    add("--plan_nodes", "M", result.plan_nodes,
        "With --plan_ranks: that world has M nodes like this one;\ndefault: 1");
    add("--plan_cores", "C", result.plan_cores,
        "With --plan_ranks: each of its nodes has C cores like\nthose of this one; default: as many as this "
        "one");
    add("--forecast_file", "FILE", result.forecast_file,
        "With --plan_ranks: writes the forecast to FILE too, as JSON");
    add("--logging", "LEVEL", result.logging, "debug, info (default), warning, error");
    app.get_formatter()->column_width(34);
    // The usage line shows this label in brackets.
    app.get_formatter()->label("OPTIONS", "flags] [section.key value ...");
    for (CLI::Option* option : app.get_options()) option->group("Flags");
    app.footer(footer);
  }

  template <class Value>
  void add(const char* names, const char* placeholder, Value& value, const char* help) {
    // The last one counts, so that a job script can pass "$@" after its own flags.
    app.add_option(names, value, help)
        ->option_text(placeholder)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }

  [[nodiscard]] std::vector<std::string> flag_names() const {
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
  }
};

/// "-max_steps 5" would be read as "-m ax_steps" and a stray 5.
void refuse_single_dashes(const Parser& parser, int argc, const char* const* argv) {
  const std::vector<std::string> flags = parser.flag_names();
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const std::string name = argument.substr(0, argument.find('='));
    if (!name.starts_with("--") && std::ranges::find(flags, "-" + name) != flags.end()) {
      throw UsageError(fmt::format("unknown flag {}", name), fmt::format("did you mean -{}?", name));
    }
  }
}

void check_planned_world(const Parser& parser) {
  const CommandLine& line = parser.result;
  const bool ranks_given = parser.app.count("--plan_ranks") > 0;
  for (const char* flag : {"--plan_ranks", "--plan_nodes", "--plan_cores", "--forecast_file"}) {
    if (parser.app.count(flag) == 0) continue;
    if (!line.validate_only) {
      throw UsageError(fmt::format("{} without --validate_only", flag),
                       "an imagined world can be validated, but not run");
    }
    if (!ranks_given) {
      throw UsageError(fmt::format("{} without --plan_ranks", flag),
                       "add --plan_ranks, the number of ranks of the imagined world");
    }
  }
  if (!ranks_given) return;
  if (parser.app.count("--plan_cores") > 0 && (line.plan_cores < 1 || line.plan_cores > most_planned_cores)) {
    throw UsageError(fmt::format("--plan_cores {}: expected 1 to {}", line.plan_cores, most_planned_cores));
  }
  if (line.plan_ranks < 1 || line.plan_ranks > most_planned_ranks) {
    throw UsageError(fmt::format("--plan_ranks {}: expected 1 to {}", line.plan_ranks, most_planned_ranks));
  }
  if (line.plan_nodes < 1 || line.plan_nodes > line.plan_ranks) {
    throw UsageError(
        fmt::format("--plan_nodes {}: expected 1 to {}, since every node has one of the "
                    "--plan_ranks {}",
                    line.plan_nodes, line.plan_ranks, line.plan_ranks));
  }
}

void check_combinations(const Parser& parser) {
  const CommandLine& line = parser.result;
  if (line.validate_only && line.compile_only) {
    throw UsageError(
        "--validate_only and --compile_only are both given",
        "one says how a run lies on the ranks, the other measures what is fastest: leave one out");
  }
  if (line.is_pretrained_checkpoint && line.checkpoint_path.empty()) {
    throw UsageError("--is_pretrained_checkpoint without --checkpoint_path",
                     "name the file that holds the weights");
  }
  check_planned_world(parser);
  if (!line.config_name.empty() && line.params_file.empty()) {
    throw UsageError("--config without -p/--params", "name the file that holds this configuration");
  }
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  Parser parser;
  refuse_single_dashes(parser, argc, argv);
  try {
    parser.app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    parser.result.text_to_print = parser.app.help();
    return parser.result;
  } catch (const CLI::CallForVersion& version) {
    parser.result.text_to_print = version.what();
    return parser.result;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what(), "fcmnist_mpi --help lists the flags");
  }
  for (std::size_t i = 0; i < std::size(key_flags); ++i) {
    const std::string names = key_flags[i].names;
    const std::string origin = names.substr(names.find("--"));
    if (parser.app.count(origin) > 0) {
      parser.result.overrides.push_back({key_flags[i].key, parser.key_values[i], origin});
    }
  }
  parser.result.logging_given = parser.app.count("--logging") > 0;
  const std::vector<Override> settings = read_overrides(parser.app.remaining(), parser.flag_names());
  parser.result.overrides.insert(parser.result.overrides.end(), settings.begin(), settings.end());
  check_combinations(parser);
  return parser.result;
}

void expand_paths(CommandLine& line) {
  const auto expand = [](std::string& path, const char* flag) {
    Environment variables;
    add_named_variables(path, variables);
    if (!path.empty()) path = expand_path(path, variables, flag);
  };
  expand(line.params_file, "-p/--params");
  expand(line.checkpoint_path, "--checkpoint_path");
}

std::optional<std::string> given_model_dir(const CommandLine& line) {
  std::optional<std::string> model_dir;
  for (const Override& override : line.overrides) {
    if (override.key != "runconfig.model_dir") continue;
    Environment variables;
    add_named_variables(override.value, variables);
    model_dir = read_path(parse_override(override.value, override.origin), override.key, variables);
  }
  return model_dir;
}

}  // namespace fcmnist::config
