#include "comm/cgroup_memory.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "support/temporary_directory.hpp"

namespace fcmnist::comm {
namespace {

/// A made-up machine, with the files that tell of control groups.
class CgroupMemory : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const auto path = root_ / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  /// Version 2, seen from `mounted_group`.
  void mount_2(const std::string& mounted_group = "/", const std::string& at = "/sys/fs/cgroup") {
    write("proc/self/mountinfo", "22 1 0:20 / /proc rw - proc proc rw\n30 22 0:26 " + mounted_group + " " +
                                     at + " rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void mount_1(const std::string& mounted_group = "/") {
    write("proc/self/mountinfo", "31 30 0:28 " + mounted_group +
                                     " /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
                                     "34 30 0:31 " +
                                     mounted_group +
                                     " /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                     "40 30 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  }
  [[nodiscard]] std::size_t limit() const { return cgroup_memory_limit(root_.path()).value_or(0); }

  TemporaryDirectory root_;
};

TEST_F(CgroupMemory, WithoutControlGroupsThereIsNoLimit) {
  EXPECT_EQ(limit(), 0U);
  mount_2();
  EXPECT_EQ(limit(), 0U);
  write("proc/self/cgroup", "0::/job\n");
  EXPECT_EQ(limit(), 0U);
  write("sys/fs/cgroup/job/memory.max", "max\n");
  EXPECT_EQ(limit(), 0U);
}

TEST_F(CgroupMemory, OfVersion2TheLeastLimitOfAGroupAndThoseAboveCounts) {
  mount_2();
  write("proc/self/cgroup", "0::/slurm/job_7/step_0/task_1\n");
  write("sys/fs/cgroup/slurm/job_7/step_0/task_1/memory.max", "max\n");
  write("sys/fs/cgroup/slurm/job_7/memory.max", "3000000000\n");
  EXPECT_EQ(limit(), 3'000'000'000U);
  write("sys/fs/cgroup/slurm/memory.max", "5000000000\n");
  EXPECT_EQ(limit(), 3'000'000'000U);
  write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "2000000000\n");
  EXPECT_EQ(limit(), 2'000'000'000U);
}

TEST_F(CgroupMemory, OfVersion1TheGroupOfTheMemoryControllerCounts) {
  mount_1();
  write("proc/self/cgroup", "9:name=systemd:/a\n4:memory:/b:c\n1:cpu,cpuacct:/d\n0::/\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(limit(), 0U);
  write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n");
  write("sys/fs/cgroup/memory/b:c/memory.limit_in_bytes", "2000000000\n");
  EXPECT_EQ(limit(), 2'000'000'000U);
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000000000\n");
  EXPECT_EQ(limit(), 1'000'000'000U);
}

TEST_F(CgroupMemory, InAContainerTheMountMayBeTheGroupItself) {
  write("proc/self/cgroup", "4:memory:/docker/3f2a\n");
  mount_1("/docker/3f2a");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "700000000\n");
  EXPECT_EQ(limit(), 700'000'000U);
  mount_1("/..");
  EXPECT_EQ(limit(), 700'000'000U) << "the group lies outside of what is seen";

  write("proc/self/cgroup", "0::/\n");
  mount_2("/", "/mounts/elsewhere");
  write("mounts/elsewhere/memory.max", "600000000\n");
  EXPECT_EQ(limit(), 600'000'000U);
  write("proc/self/cgroup", "0::/../../sibling\n");
  EXPECT_EQ(limit(), 600'000'000U);
}

TEST_F(CgroupMemory, GroupsBelowTheOneThatIsMountedAreFound) {
  write("proc/self/cgroup", "0::/docker/3f2a/inner\n");
  mount_2("/docker/3f2a");
  write("sys/fs/cgroup/memory.max", "900000000\n");
  write("sys/fs/cgroup/inner/memory.max", "800000000\n");
  EXPECT_EQ(limit(), 800'000'000U);
}

TEST_F(CgroupMemory, FilesThatSayNothingUsefulAreNoLimit) {
  mount_2();
  for (const char* text : {"", "\n", "nonsense\n", "0::\n", "::::\n", "0:\n"}) {
    write("proc/self/cgroup", text);
    EXPECT_EQ(limit(), 0U) << text;
  }
  write("proc/self/mountinfo", "- - -\n30 22 0:26 / - cgroup2\n\n");
  EXPECT_EQ(limit(), 0U);
}

}  // namespace
}  // namespace fcmnist::comm
