#include "setup/settings_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "support/mpi_test.hpp"
#include "support/temporary_directory.hpp"

namespace fcmnist::setup {
namespace {

using test::world;

/// A variable that nodes have with different values, and only rank 0 for certain.
class Environment : public testing::Test {
 protected:
  Environment() {
    const std::string rank = std::to_string(world().rank());
    setenv("HOME", ("/home/" + rank).c_str(), 1);
    if (world().rank() == 0) setenv("FCMNIST_TEST_SCRATCH", "/scratch/0", 1);
    if (world().rank() != 0) unsetenv("FCMNIST_TEST_SCRATCH");
  }
  ~Environment() override { unsetenv("FCMNIST_TEST_SCRATCH"); }

  config::CommandLine arguments_;
};

TEST_F(Environment, OfRankZeroHoldsForPathsOfKeys) {
  arguments_.params_file = "f.yaml";
  arguments_.overrides = {{"runconfig.model_dir", "$FCMNIST_TEST_SCRATCH/run"}};
  const config::RunConfig config =
      load_settings(world(), arguments_, {"f.yaml", "train_input: {data_dir: ~/mnist}\n"}).config;
  EXPECT_EQ(config.train_input.data_dir, "/home/0/mnist");
  EXPECT_EQ(config.run.model_dir, "/scratch/0/run");
}

TEST_F(Environment, OfRankZeroHoldsForPathsOfFlags) {
  arguments_.params_file = "~/f.yaml";
  arguments_.checkpoint_path = "$FCMNIST_TEST_SCRATCH/c.h5";
  const config::CommandLine line = expanded(world(), arguments_);
  EXPECT_EQ(line.params_file, "/home/0/f.yaml");
  EXPECT_EQ(line.checkpoint_path, "/scratch/0/c.h5");
}

TEST_F(Environment, ThatLacksAVariableIsAnErrorOfAllRanks) {
  if (world().rank() == 0) unsetenv("FCMNIST_TEST_SCRATCH");
  if (world().rank() != 0) setenv("FCMNIST_TEST_SCRATCH", "/scratch/1", 1);
  arguments_.checkpoint_path = "$FCMNIST_TEST_SCRATCH/c.h5";
  for (int i = 0; i < 2; ++i) {
    try {
      if (i == 0) expanded(world(), arguments_);
      if (i == 1)
        load_settings(world(), arguments_, {"f.yaml", "runconfig: {plan: $FCMNIST_TEST_SCRATCH/p}\n"});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      EXPECT_NE(std::string(error.what()).find("FCMNIST_TEST_SCRATCH is not set"), std::string::npos)
          << error.what();
    }
  }
}

TEST(CheckpointFiles, AreAPlainNameAListOrAPattern) {
  const TemporaryDirectory directory;
  const auto path = [&](const char* name) { return (directory / name).string(); };
  for (const char* name : {"a1.h5", "a2.h5", "b.h5", "c,d.h5", "e[1].h5"}) std::ofstream(path(name)) << "x";
  using Files = std::vector<std::string>;
  EXPECT_EQ(checkpoint_files(path("absent.h5")), Files{path("absent.h5")}) << "who reads it says so";
  EXPECT_EQ(checkpoint_files(path("a*.h5")), (Files{path("a1.h5"), path("a2.h5")}));
  EXPECT_EQ(checkpoint_files(path("{b,a1}.h5")), (Files{path("b.h5"), path("a1.h5")}));
  EXPECT_EQ(checkpoint_files(path("b.h5") + "," + path("a?.h5")),
            (Files{path("b.h5"), path("a1.h5"), path("a2.h5")}));
  EXPECT_EQ(checkpoint_files(path("a1.h5") + "," + path("a*.h5")), (Files{path("a1.h5"), path("a2.h5")}))
      << "each once";
  std::filesystem::create_symlink("b.h5", directory / "best.h5");
  EXPECT_EQ(checkpoint_files(path("b*.h5")), Files{path("b.h5")}) << "whatever its name is";
  EXPECT_EQ(checkpoint_files(path("c,d.h5")), Files{path("c,d.h5")}) << "a file of this name";
  EXPECT_EQ(checkpoint_files(path("e[1].h5")), Files{path("e[1].h5")});
  for (const std::string& wrong : {path("z*.h5"), path("b.h5") + "," + path("z.h5"), std::string(",")}) {
    EXPECT_THROW(checkpoint_files(wrong), StoreError) << wrong;
  }
}

}  // namespace
}  // namespace fcmnist::setup
