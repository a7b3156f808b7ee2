#include "setup/settings_file.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "core/error.hpp"
#include "support/mpi_test.hpp"

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

}  // namespace
}  // namespace fcmnist::setup
