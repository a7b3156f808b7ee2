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
  static constexpr const char* names[] = {"SLURM_JOB_ID",         "SLURM_NTASKS",        "SLURM_NPROCS",
                                          "SLURM_PROCID",         "SLURM_STEP_ID",       "SLURM_STEPID",
                                          "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE"};
};

TEST_F(SlurmEnvironment, AWorldOfOneInAStepOfSeveralTasksIsFound) {
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "outside Slurm";
  setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 4);
  EXPECT_EQ(unjoined_slurm_tasks(4), 0);
  setenv("SLURM_STEP_ID", "0", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 4);
  setenv("OMPI_COMM_WORLD_SIZE", "1", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "mpirun -n 1 inside a larger step";
}

TEST_F(SlurmEnvironment, OneProcessInAJobOfSeveralTasksIsNoBrokenStep) {
  setenv("SLURM_JOB_ID", "7", 1);
  setenv("SLURM_NTASKS", "8", 1);
  setenv("SLURM_NPROCS", "8", 1);
  setenv("SLURM_PROCID", "0", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "in the script of the job";
  for (const char* name : {"SLURM_STEP_ID", "SLURM_STEPID"}) {
    setenv(name, "4294967291", 1);  // the step of the script itself
    EXPECT_EQ(unjoined_slurm_tasks(1), 0);
    setenv("SLURM_STEP_NUM_TASKS", "8", 1);
    EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "a variable that a surrounding step left";
    setenv(name, "4294967290", 1);  // the shell of salloc
    EXPECT_EQ(unjoined_slurm_tasks(1), 0);
    unsetenv("SLURM_STEP_NUM_TASKS");
    unsetenv(name);
  }
  setenv("SLURM_STEP_ID", "2", 1);
  setenv("SLURM_STEP_NUM_TASKS", "1", 1);
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "srun -n 1 inside a larger job";
  unsetenv("SLURM_STEP_NUM_TASKS");
  EXPECT_EQ(unjoined_slurm_tasks(1), 0) << "a step that does not say how many tasks it has";
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
