// A command line, one argument on each line; a zero byte stands for a line feed within an argument. With -p,
// whatever its value, the settings are those of a file that holds two configurations.
#include <algorithm>
#include <vector>

#include "config/command_line.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/read_back.hpp"

namespace {

constexpr const char* file = R"(
one:
  train_input: {batch_size: 64}
  model: {depth: 2, hidden_size: 8}
  optimizer: {learning_rate: [{scheduler: Linear, initial_learning_rate: 0.5, steps: 3}]}
  runconfig: {max_steps: 100}
two:
  eval_input: {data_dir: "a b", batch_size_per_replica: 5}
  runconfig: {num_epochs: 2}
)";

std::vector<std::string> arguments_of(std::string_view text) {
  std::vector<std::string> arguments = {"fcmnist_mpi"};
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    arguments.emplace_back(text.substr(0, end));
    std::ranges::replace(arguments.back(), '\0', '\n');
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return arguments;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fcmnist;
  const std::vector<std::string> arguments = arguments_of(fuzz::as_text({data, size}));
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  argv.push_back(nullptr);
  config::Loaded loaded;
  try {
    const config::CommandLine line =
        config::parse_command_line(static_cast<int>(arguments.size()), argv.data());
    if (!line.text_to_print.empty()) return 0;
    config::Sources sources;
    if (!line.params_file.empty()) sources.yaml = file;
    sources.config_name = line.config_name;
    sources.overrides = line.overrides;
    sources.multireplica = line.multireplica;
    sources.environment = config::Environment{{"HOME", "/home/a"}, {"A", "~/$b"}};
    loaded = config::load(sources);
  } catch (const UsageError&) {
    return 0;
  }
  fuzz::check_accepted(loaded.config);
  return 0;
}
