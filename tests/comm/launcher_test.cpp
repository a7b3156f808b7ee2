#include "comm/launcher.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

namespace fcmnist::comm {
namespace {

class SlurmEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : names) unsetenv(name);
  }
  void TearDown() override { SetUp(); }
  static constexpr const char* names[] = {"SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"};
};

TEST_F(SlurmEnvironment, AWorldOfOneInAStepOfSeveralTasksIsFound) {
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "outside Slurm";
  setenv("SLURM_NTASKS", "4", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 4);
  EXPECT_EQ(unjoined_slurm_tasks(4), 0);
  setenv("SLURM_STEP_NUM_TASKS", "1", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "srun -n 1 inside a larger job";
  unsetenv("SLURM_STEP_NUM_TASKS");
  setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "mpirun -n 1 inside a larger job";
}

class LauncherEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : names) unsetenv(name);
  }
  void TearDown() override { SetUp(); }
  static constexpr const char* names[] = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};
};

TEST_F(LauncherEnvironment, TheRankIsTheOneThatTheLauncherAnnounces) {
  EXPECT_EQ(launcher_rank(), 0) << "without a launcher";
  EXPECT_FALSE(launched_by_mpi());
  setenv("SLURM_PROCID", "3", 1);
  EXPECT_EQ(launcher_rank(), 3);
  EXPECT_FALSE(launched_by_mpi()) << "srun without PMI";
  setenv("PMIX_RANK", "2", 1);
  EXPECT_EQ(launcher_rank(), 2);
  EXPECT_TRUE(launched_by_mpi());
}

}  // namespace
}  // namespace fcmnist::comm
