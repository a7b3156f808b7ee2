#include "store/write_file.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <functional>
#include <map>
#include <span>

#include "core/atomic_file.hpp"
#include "core/error.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

constexpr int skipped = 77;

/// Runs `body` in a process of its own, whose limits and mounts die with it; returns its exit code.
int in_child(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// From here on mounts of this process are seen by nobody else. An ordinary user needs a user namespace for
/// that.
bool may_mount_privately() {
  const auto uid = std::to_string(::geteuid()), gid = std::to_string(::getegid());
  const bool root = ::geteuid() == 0;
  if (::unshare(root ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
  if (!root) {
    put("/proc/self/setgroups", "deny");
    put("/proc/self/uid_map", uid + " " + uid + " 1");
    put("/proc/self/gid_map", gid + " " + gid + " 1");
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

/// 0 if writing `bytes` bytes to `path` fails with a message that contains `cause`, the old file "old" is
/// intact and no temporary is left.
int expect_failure(const fs::path& path, std::size_t bytes, const std::string& cause) {
  try {
    write_atomically(path, std::string(bytes, 'n'));
  } catch (const StoreError& error) {
    const std::string text = error.what();
    if (text.find(cause) == std::string::npos || text.find("HINT") == std::string::npos) return 2;
    if (content(path) != "old") return 3;
    return names_in(path.parent_path()).size() == 1 ? 0 : 4;
  }
  return 1;
}

TEST(WriteFile, WritesAndReplaces) {
  const TemporaryDirectory directory;
  write_atomically(directory / "a", "first");
  EXPECT_EQ(content(directory / "a"), "first");
  write_atomically(directory / "a", "");
  EXPECT_EQ(content(directory / "a"), "");
  EXPECT_EQ(names_in(directory.path()), Names{"a"});
}

TEST(WriteFile, ANewFileReplacesNone) {
  const TemporaryDirectory directory;
  const auto name = [&](int n) { return directory / std::to_string(n); };
  const auto bytes = std::as_bytes(std::span(std::string_view("new")));
  put(name(3), "old");
  fs::create_symlink("nowhere", name(4));
  EXPECT_EQ(write_as_new(name, 3, bytes), name(5));
  EXPECT_EQ(write_as_new(name, 3, bytes), name(6));
  EXPECT_EQ(content(name(3)), "old");
  EXPECT_EQ(content(name(5)), "new");
  EXPECT_EQ(names_in(directory.path()), (Names{"3", "4", "5", "6"}));
}

TEST(WriteFile, ProcessesThatWriteNewFilesAtOnceLoseNone) {
  const TemporaryDirectory directory;
  const auto name = [&](int n) { return directory / std::to_string(n); };
  constexpr int processes = 4, files = 25;
  std::vector<pid_t> children;
  for (int child = 0; child < processes; ++child) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    const std::string mine(1000, static_cast<char>('a' + child));
    for (int n = 0; n < files; ++n) write_as_new(name, 100, std::as_bytes(std::span(mine)));
    ::_exit(0);
  }
  for (const pid_t pid : children) EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  std::map<std::string, int> found;
  for (const std::string& file : names_in(directory.path())) ++found[content(directory / file)];
  ASSERT_EQ(found.size(), processes);
  for (const auto& [text, count] : found) EXPECT_EQ(count, files) << text.substr(0, 1);
}

TEST(WriteFile, ReplacesALinkNotItsTarget) {
  const TemporaryDirectory directory;
  put(directory / "target", "old");
  fs::create_symlink("target", directory / "link");
  write_atomically(directory / "link", "new");
  EXPECT_EQ(content(directory / "target"), "old");
  EXPECT_EQ(content(directory / "link"), "new");
}

TEST(WriteFile, OverwritesItsOwnLeftover) {
  const TemporaryDirectory directory;
  put(temporary_name(directory / "a"), "left by a dead process that had our number");
  write_atomically(directory / "a", "new");
  EXPECT_EQ(content(directory / "a"), "new");
  EXPECT_EQ(names_in(directory.path()), Names{"a"});
}

TEST(WriteFile, TooLargeAFileLeavesTheOldOne) {
  const TemporaryDirectory directory;
  put(directory / "a", "old");
  const int code = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return skipped;
    return expect_failure(directory / "a", 100'000, "File too large");
  });
  EXPECT_EQ(code, 0);
}

TEST(WriteFile, AFullDiskLeavesTheOldFile) {
  const TemporaryDirectory directory;
  const int code = in_child([&] {
    if (!may_mount_privately()) return skipped;
    if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=256k") != 0) return skipped;
    put(directory / "a", "old");
    if (const int failed = expect_failure(directory / "a", 1'000'000, "No space left on device"))
      return failed;
    put(directory / "b", std::string(252 * 1024, 'b'));
    try {
      check_writable(directory.path());
    } catch (const StoreError&) {
      return names_in(directory.path()) == Names{"a", "b"} ? 0 : 5;
    }
    return 6;
  });
  if (code == skipped) GTEST_SKIP() << "may not mount a small file system here";
  EXPECT_EQ(code, 0);
}

TEST(WriteFile, AReadOnlyFileSystemLeavesTheOldFile) {
  const TemporaryDirectory directory;
  put(directory / "a", "old");
  const std::string path = directory.path().string();
  const int code = in_child([&] {
    if (!may_mount_privately()) return skipped;
    if (::mount(path.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0) return skipped;
    if (::mount(nullptr, path.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return skipped;
    return expect_failure(directory / "a", 10, "Read-only file system");
  });
  if (code == skipped) GTEST_SKIP() << "may not mount here";
  EXPECT_EQ(code, 0);
}

TEST(WriteFile, WithoutPermissionTheOldFileStays) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  const TemporaryDirectory directory;
  put(directory / "a", "old");
  ASSERT_EQ(::chmod(directory.path().c_str(), 0500), 0);
  EXPECT_EQ(expect_failure(directory / "a", 10, "Permission denied"), 0);
  EXPECT_EQ(::chmod(directory.path().c_str(), 0700), 0);
}

TEST(WriteFile, AVanishedDirectoryIsNamed) {
  const TemporaryDirectory directory;
  const std::string message = message_of<StoreError>([&] { write_atomically(directory / "gone/a", "new"); });
  EXPECT_TRUE(contains(message, "No such file or directory"));
  EXPECT_TRUE(contains(message, "HINT: the directory " + (directory / "gone").string()));
}

TEST(WriteFile, AFileInPlaceOfTheDirectoryAndTheReverse) {
  const TemporaryDirectory directory;
  put(directory / "file", "old");
  EXPECT_TRUE(contains(message_of<StoreError>([&] { write_atomically(directory / "file/a", "new"); }),
                       "Not a directory"));
  fs::create_directory(directory / "directory");
  EXPECT_TRUE(contains(message_of<StoreError>([&] { write_atomically(directory / "directory", "new"); }),
                       "Is a directory"));
  EXPECT_EQ(names_in(directory.path()), (Names{"directory", "file"}));
}

int dead_process() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

TEST(StaleTemporaries, OfFilesOfTheRunAllGo) {
  const TemporaryDirectory directory;
  Names expected;
  for (const std::string name :
       {"checkpoint_100.h5", "metrics.h5", "metrics.journal", "params.yaml", "STOPPED", "write_test"}) {
    // Only the holder of the lock writes these files. So a temporary is a leftover even if it names a process
    // that lives, here or elsewhere.
    expected.push_back(temporary_name(directory / name).filename().string());
    expected.push_back("." + name + ".tmp.some.other.host.12");
  }
  for (const std::string& name : expected) put(directory / name, "x");
  Names removed = remove_stale_temporaries(directory.path());
  std::sort(removed.begin(), removed.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(removed, expected);
  EXPECT_EQ(names_in(directory.path()), Names{});
}

TEST(StaleTemporaries, OfOtherFilesOnlyThoseOfDeadProcessesGo) {
  const TemporaryDirectory directory;
  const std::string own = temporary_name(directory / "evaluation.h5").filename().string();
  const std::string host = own.substr(0, own.rfind('.'));  // ".evaluation.h5.tmp.<host>"
  const std::string dead = host + "." + std::to_string(dead_process());
  const std::string elsewhere = ".evaluation.h5.tmp.some.other.host.12",
                    elsewhere_old = ".evaluation.h5.tmp.some.other.host.13";
  const Names foreign = {".metrics.h5.tmp.host.", ".metrics.h5.tmp.host.x1", ".metrics.h5.tmp.1", ".bashrc",
                         "checkpoint_1.h5",       "metrics.h5.tmp.host.1"};
  for (const std::string& name : Names{own, dead, elsewhere, elsewhere_old}) put(directory / name, "x");
  for (const std::string& name : foreign) put(directory / name, "x");
  for (const std::string& name : names_in(directory.path())) {
    if (name != elsewhere)
      fs::last_write_time(directory / name, fs::file_time_type::clock::now() - std::chrono::hours(25));
  }

  Names removed = remove_stale_temporaries(directory.path());
  std::sort(removed.begin(), removed.end());
  Names expected = {dead, elsewhere_old};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(removed, expected);
  EXPECT_EQ(names_in(directory.path()).size(), foreign.size() + 2);
  EXPECT_TRUE(remove_stale_temporaries(directory / "absent").empty());
}

}  // namespace
}  // namespace fcmnist::store
