#include "config/command_line.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "config/support.hpp"

namespace fcmnist::config {
namespace {

CommandLine parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "fcmnist_mpi");
  return parse_command_line(static_cast<int>(arguments.size()), arguments.data());
}

std::string error_of(std::vector<const char*> arguments) {
  return usage_error_of([&] { parse(std::move(arguments)); });
}

TEST(CommandLine, NothingMeansBuiltInSettings) {
  const CommandLine line = parse({});
  EXPECT_TRUE(line.text_to_print.empty());
  EXPECT_TRUE(line.params_file.empty());
  EXPECT_TRUE(line.overrides.empty());
  EXPECT_FALSE(line.restart);
  EXPECT_EQ(line.logging, "info");
}

TEST(CommandLine, TakesEveryFlag) {
  const CommandLine line = parse({"--params",
                                  "p.yaml",
                                  "--config",
                                  "big",
                                  "--mode",
                                  "eval",
                                  "--model_dir",
                                  "runs/a",
                                  "--checkpoint_path",
                                  "c.h5",
                                  "--is_pretrained_checkpoint",
                                  "--multireplica",
                                  "--max_steps",
                                  "5",
                                  "--num_epochs",
                                  "6",
                                  "--eval_steps",
                                  "7",
                                  "--restart",
                                  "--logging",
                                  "debug"});
  EXPECT_EQ(line.params_file, "p.yaml");
  EXPECT_EQ(line.config_name, "big");
  EXPECT_EQ(line.checkpoint_path, "c.h5");
  EXPECT_TRUE(line.is_pretrained_checkpoint);
  EXPECT_TRUE(line.multireplica);
  EXPECT_TRUE(line.restart);
  EXPECT_EQ(line.logging, "debug");
  std::string overrides;
  for (const Override& o : line.overrides) overrides += o.origin + " " + o.key + "=" + o.value + "\n";
  EXPECT_EQ(overrides,
            "--mode runconfig.mode=eval\n--model_dir runconfig.model_dir=runs/a\n--max_steps "
            "runconfig.max_steps=5\n"
            "--num_epochs runconfig.num_epochs=6\n--eval_steps runconfig.eval_steps=7\n");
}

TEST(CommandLine, TakesShortFlagsAndEqualsSigns) {
  EXPECT_EQ(parse({"-p", "model.yaml"}).params_file, "model.yaml");  // looks like a setting, is a value
  EXPECT_EQ(parse({"--params=a.yaml"}).params_file, "a.yaml");
  const CommandLine line = parse({"-m", "train", "-o", "x"});
  ASSERT_EQ(line.overrides.size(), 2U);
  EXPECT_EQ(line.overrides[0].value, "train");
  EXPECT_EQ(line.overrides[1].value, "x");
}

TEST(CommandLine, TheLastOfRepeatedFlagsCounts) {
  const CommandLine line = parse({"-p", "a.yaml", "--max_steps", "1", "-p", "b.yaml", "--max_steps", "2"});
  EXPECT_EQ(line.params_file, "b.yaml");
  ASSERT_EQ(line.overrides.size(), 1U);
  EXPECT_EQ(line.overrides[0].value, "2");
}

TEST(CommandLine, TakesSettingsBetweenAndAfterFlags) {
  const CommandLine line = parse({"model.hidden_sizes", "[300,100]", "-p", "a.yaml", "optimizer.momentum",
                                  "-0.5", "--restart", "train_input.data_dir=/a=b", "runconfig.seed", "-1",
                                  "runconfig.model_dir", "a b", "eval_input.data_dir="});
  ASSERT_EQ(line.overrides.size(), 6U);
  EXPECT_EQ(line.overrides[0].key, "model.hidden_sizes");
  EXPECT_EQ(line.overrides[0].value, "[300,100]");
  EXPECT_EQ(line.overrides[0].origin, "command line");
  EXPECT_EQ(line.overrides[1].value, "-0.5");
  EXPECT_EQ(line.overrides[2].value, "/a=b");
  EXPECT_EQ(line.overrides[3].value, "-1");
  EXPECT_EQ(line.overrides[4].value, "a b");
  EXPECT_EQ(line.overrides[5].value, "");
  EXPECT_TRUE(line.restart);
}

TEST(CommandLine, RefusesUnknownFlagsWithTheNearestOne) {
  EXPECT_TRUE(
      contains(error_of({"--max_step", "5"}), "unknown flag --max_step\n  HINT: did you mean --max_steps?"));
  EXPECT_TRUE(contains(error_of({"--model-dir=x"}), "did you mean --model_dir?"));
  EXPECT_TRUE(contains(error_of({"-max_steps", "5"}), "did you mean --max_steps?"));
  EXPECT_TRUE(
      contains(error_of({"--optimizer.momentum", "0.5"}), "without dashes: optimizer.momentum VALUE"));
  EXPECT_TRUE(contains(error_of({"--seed", "3"}), "write it as a setting: runconfig.seed VALUE"));
  EXPECT_TRUE(contains(error_of({"--mixed_precision", "True"}), "a setting: model.mixed_precision VALUE"));
  EXPECT_TRUE(contains(error_of({"--beta1", "0.9"}), "a setting: optimizer.beta1 VALUE"));
  EXPECT_TRUE(contains(error_of({"--eps1", "0.9"}), "optimizer.eps1: this is a setting of Adafactor"));
  EXPECT_TRUE(contains(error_of({"--eps1", "0.9"}), "comes in a later release"));
  EXPECT_TRUE(contains(error_of({"--num_csx", "1"}), "belongs to the machine of the reference"));
  EXPECT_TRUE(contains(error_of({"-z"}), "unknown flag -z\n  HINT: fcmnist_mpi --help"));
  EXPECT_TRUE(contains(error_of({"model.depth", "3", "-5"}), "unknown flag -5"));
}

TEST(CommandLine, RefusesArgumentsThatAreNeither) {
  EXPECT_TRUE(contains(error_of({"train"}), "unexpected argument 'train'"));
  EXPECT_TRUE(contains(error_of({"momentum", "0.5"}), "did you mean optimizer.momentum?"));
  EXPECT_TRUE(contains(error_of({"momentum=0.5"}), "did you mean optimizer.momentum?"));
  EXPECT_TRUE(contains(error_of({"model.hidden_sizes", "[3,", "4]"}), "quote a value that contains spaces"));
  EXPECT_TRUE(contains(error_of({""}), "unexpected argument ''"));
  EXPECT_TRUE(contains(error_of({"=5"}), "unexpected argument '=5'"));
}

TEST(CommandLine, NamesWhatBelongsToOtherPrograms) {
  for (const char* device : {"CPU", "GPU", "CSX", "cpu"}) {
    EXPECT_TRUE(contains(error_of({device, "--mode", "train"}), "no choice of device")) << device;
  }
  EXPECT_TRUE(contains(error_of({"weight_streaming"}), "leave it out"));
  EXPECT_TRUE(contains(error_of({"pipeline"}), "runconfig.execution layer_pipelined"));
  EXPECT_TRUE(contains(error_of({"train"}), "the mode is a flag: -m train"));
  EXPECT_TRUE(contains(error_of({"run.py", "CPU"}), "unexpected argument 'run.py'"));
  EXPECT_TRUE(contains(error_of({"configs/a.yaml"}), "named by a flag: -p configs/a.yaml"));
  EXPECT_TRUE(contains(error_of({"a.yaml", "model.depth", "3"}), "unexpected argument 'a.yaml'"));
  EXPECT_TRUE(contains(error_of({"--lr", "0.1"}), "write it as a setting: optimizer.learning_rate VALUE"));
  EXPECT_TRUE(contains(error_of({"--epochs=3"}), "write it as a setting: runconfig.num_epochs VALUE"));
  EXPECT_TRUE(contains(error_of({"lr=0.1"}), "did you mean optimizer.learning_rate?"));
}

TEST(CommandLine, NamesSpacesAndColonsOfASetting) {
  const char* hint = "HINT: model.depth=VALUE or model.depth VALUE";
  for (const std::vector<const char*>& spaced :
       {std::vector<const char*>{"model.depth", "=", "3"}, {"model.depth", "=3"}, {"model.depth=", "3"}}) {
    const std::string message = error_of(spaced);
    EXPECT_TRUE(contains(message, "spaces around a \"=\"")) << message;
    EXPECT_TRUE(contains(message, hint)) << message;
  }
  for (const std::vector<const char*>& yaml : {std::vector<const char*>{"model.depth:", "3"},
                                               {"model.depth:3"},
                                               {"model.depth: 3"},
                                               {"model.depth", ":", "3"},
                                               {"model.depth", ":3"}}) {
    const std::string message = error_of(yaml);
    EXPECT_TRUE(contains(message, "is YAML, for files")) << message;
    EXPECT_TRUE(contains(message, hint)) << message;
  }
  EXPECT_TRUE(contains(error_of({"learning_rate:", "0.1"}), "did you mean optimizer.learning_rate?"));
  EXPECT_TRUE(contains(error_of({"optimizer.lr", "=", "0.1"}), "spaces around"))
      << "whether the key is known or not";
  // These are settings as they should be.
  EXPECT_EQ(parse({"eval_input.data_dir=", "model.depth=3"}).overrides[0].value, "");
  EXPECT_EQ(parse({"train_input.data_dir", "a:b=c"}).overrides[0].value, "a:b=c");
  EXPECT_EQ(parse({"train_input.data_dir=a:b"}).overrides[0].value, "a:b");
}

TEST(CommandLine, PathsOfFlagsAreExpanded) {
  setenv("HOME", "/home/me", 1);
  setenv("FCMNIST_TEST_DIR", "/scratch", 1);
  CommandLine line = parse({"-p", "~/a.yaml", "--checkpoint_path", "$FCMNIST_TEST_DIR/c.h5", "-o", "~/runs"});
  expand_paths(line);
  EXPECT_EQ(line.params_file, "/home/me/a.yaml");
  EXPECT_EQ(line.checkpoint_path, "/scratch/c.h5");
  EXPECT_EQ(given_model_dir(line), "/home/me/runs");
  EXPECT_EQ(given_model_dir(parse({"runconfig.model_dir", "a", "runconfig.model_dir=${FCMNIST_TEST_DIR}"})),
            "/scratch")
      << "the last one counts, as in load";
  EXPECT_EQ(given_model_dir(parse({})), std::nullopt);
  line.params_file = "$FCMNIST_TEST_NOTHING/a.yaml";
  const std::string message = usage_error_of([&] { expand_paths(line); });
  EXPECT_TRUE(contains(
      message, "-p/--params: $FCMNIST_TEST_NOTHING/a.yaml: the variable FCMNIST_TEST_NOTHING is not set"))
      << message;
  unsetenv("FCMNIST_TEST_DIR");
}

TEST(CommandLine, RefusesMissingValues) {
  EXPECT_TRUE(contains(error_of({"-p"}), "--params"));
  EXPECT_TRUE(contains(error_of({"--max_steps"}), "--max_steps"));
  EXPECT_TRUE(contains(error_of({"model.depth"}), "model.depth: no value"));
  EXPECT_TRUE(contains(error_of({"model.depth", "--restart"}), "model.depth: no value"));
}

TEST(CommandLine, RefusesFlagsThatNeedAnother) {
  EXPECT_TRUE(contains(error_of({"--is_pretrained_checkpoint"}), "without --checkpoint_path"));
  EXPECT_TRUE(contains(error_of({"--config", "x"}), "without -p/--params"));
  EXPECT_TRUE(contains(error_of({"--plan_ranks", "4"}), "--plan_ranks without --validate_only"));
  EXPECT_TRUE(contains(error_of({"--plan_nodes", "1"}), "--plan_nodes without --validate_only"));
  EXPECT_TRUE(contains(error_of({"--validate_only", "--plan_nodes", "1"}), "without --plan_ranks"));
  EXPECT_TRUE(contains(error_of({"--validate_only", "--plan_cores", "1"}), "without --plan_ranks"));
  EXPECT_TRUE(contains(error_of({"--validate_only", "--forecast_file", "f"}), "without --plan_ranks"));
}

TEST(CommandLine, TakesAPlannedWorld) {
  const CommandLine line = parse({"--validate_only", "--plan_ranks", "1024", "--plan_nodes=64"});
  EXPECT_TRUE(line.validate_only);
  EXPECT_EQ(line.plan_ranks, 1024);
  EXPECT_EQ(line.plan_nodes, 64);
  EXPECT_EQ(parse({"--validate_only", "--plan_ranks", "2"}).plan_nodes, 1);
  EXPECT_EQ(parse({"--validate_only"}).plan_ranks, 0);
}

TEST(CommandLine, RefusesWorldsThatCannotBe) {
  const auto error = [](const char* ranks, const char* nodes) {
    return error_of({"--validate_only", "--plan_ranks", ranks, "--plan_nodes", nodes});
  };
  EXPECT_TRUE(contains(error("0", "1"), "--plan_ranks 0: expected 1 to 100000"));
  EXPECT_TRUE(contains(error("100001", "1"), "--plan_ranks 100001: expected"));
  EXPECT_TRUE(contains(error("4", "5"), "--plan_nodes 5: expected 1 to 4"));
  EXPECT_TRUE(contains(error("4", "0"), "--plan_nodes 0: expected 1 to 4"));
  EXPECT_TRUE(contains(error("many", "1"), "--plan_ranks"));
  for (const char* cores : {"0", "4097"}) {
    EXPECT_TRUE(contains(error_of({"--validate_only", "--plan_ranks", "2", "--plan_cores", cores}),
                         "expected 1 to 4096"));
  }
}

TEST(CommandLine, AWrongValueOfAFlagNamesTheFlag) {
  const CommandLine line = parse({"--max_steps", "1.5"});
  const std::string message = usage_error_of([&] { load_overrides(line.overrides); });
  EXPECT_TRUE(contains(message, "--max_steps: runconfig.max_steps: expected a whole number")) << message;
  EXPECT_TRUE(contains(message, "found '1.5'")) << message;
}

TEST(CommandLine, EitherValidatesOrCompiles) {
  EXPECT_TRUE(parse({"--compile_only"}).compile_only);
  EXPECT_TRUE(parse({"--validate_only"}).validate_only);
  const std::string message = usage_error_of([] { parse({"--compile_only", "--validate_only"}); });
  EXPECT_TRUE(contains(message, "--validate_only and --compile_only are both given")) << message;
}

TEST(CommandLine, HelpIsCompleteAndFitsATerminal) {
  for (const char* flag : {"-h", "--help"}) {
    const std::string help = parse({"--restart", flag}).text_to_print;
    for (const char* part : {"-p,--params",
                             "-m,--mode",
                             "-o,--model_dir",
                             "--checkpoint_path",
                             "--is_pretrained_checkpoint",
                             "--config",
                             "--multireplica",
                             "--max_steps",
                             "--num_epochs",
                             "--eval_steps",
                             "--restart",
                             "--compile_only",
                             "--logging",
                             "--version",
                             "-h,--help",
                             "[section.key value ...]",
                             "Examples:",
                             "Exit codes:",
                             "6  training diverged",
                             "configs/fcmnist_500_300.yaml"}) {
      EXPECT_TRUE(contains(help, part)) << part << "\n" << help;
    }
    std::size_t width = 0;
    for (const char c : help) {
      width = c == '\n' ? 0 : width + 1;
      ASSERT_LE(width, 120U) << help;
    }
  }
}

TEST(CommandLine, VersionNamesTheBuild) {
  const std::string version = parse({"--version"}).text_to_print;
  EXPECT_TRUE(version.starts_with("fcmnist_mpi ")) << version;
  EXPECT_TRUE(contains(version, "git ")) << version;
}

}  // namespace
}  // namespace fcmnist::config
