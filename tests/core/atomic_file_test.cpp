#include "core/atomic_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>

#include "support/file_content.hpp"
#include "support/temporary_directory.hpp"

namespace fcmnist {
namespace {

namespace fs = std::filesystem;
using test::content;

struct Failure {
  std::string call;
  fs::path path;
  int error_number;
};

[[noreturn]] void throw_failure(std::string_view call, const fs::path& path, int error_number) {
  throw Failure{std::string(call), path, error_number};
}

void put(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }

std::size_t files_in(const fs::path& directory) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(directory), {}));
}

void write(AtomicFile& file, std::string_view text) { file.write(std::as_bytes(std::span(text))); }

TEST(AtomicFile, TheOldFileStaysUntilTheNewOneIsCommitted) {
  const TemporaryDirectory directory;
  put(directory / "a", "old");
  for (const bool synced : {true, false}) {
    const std::string text = synced ? "synced" : "not synced", before = content(directory / "a");
    AtomicFile file(directory / "a", &throw_failure);
    write(file, text);
    EXPECT_EQ(content(directory / "a"), before);
    EXPECT_EQ(content(file.temporary_path()), text);
    synced ? file.commit() : file.commit_without_sync();
    EXPECT_EQ(content(directory / "a"), text);
    EXPECT_EQ(files_in(directory.path()), 1U);
  }
}

TEST(AtomicFile, WithoutACommitNothingStays) {
  const TemporaryDirectory directory;
  {
    AtomicFile file(directory / "a", &throw_failure);
    write(file, "x");
    file.sync_and_close();
    EXPECT_EQ(files_in(directory.path()), 1U);
  }
  EXPECT_EQ(files_in(directory.path()), 0U);
}

TEST(AtomicFile, HasThePermissionsThatUmaskLeaves) {
  const TemporaryDirectory directory;
  const mode_t before = ::umask(027);
  AtomicFile file(directory / "a", &throw_failure);
  ::umask(before);
  file.commit();
  EXPECT_EQ(fs::status(directory / "a").permissions(), fs::perms{0640});
}

TEST(AtomicFile, ALinkUnderTheTemporaryNameIsNotFollowed) {
  const TemporaryDirectory directory;
  put(directory / "target", "old");
  fs::create_symlink("target", temporary_name(directory / "a"));
  AtomicFile file(directory / "a", &throw_failure);
  write(file, "new");
  file.commit();
  EXPECT_EQ(content(directory / "target"), "old");
  EXPECT_EQ(content(directory / "a"), "new");
}

TEST(AtomicFile, TheCallersErrorSaysWhichCallFailedOnWhichFileAndWhy) {
  const TemporaryDirectory directory;
  try {
    AtomicFile(directory / "absent/a", &throw_failure);
    FAIL() << "no error";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.call, "create");
    EXPECT_EQ(failure.path, temporary_name(directory / "absent/a"));
    EXPECT_EQ(failure.error_number, ENOENT);
  }
  fs::create_directory(directory / "a");
  try {
    AtomicFile(directory / "a", &throw_failure).commit();
    FAIL() << "no error";
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.call, "rename to");
    EXPECT_EQ(failure.path, directory / "a");
    EXPECT_EQ(failure.error_number, EISDIR);
  }
  EXPECT_EQ(files_in(directory.path()), 1U);
}

TEST(TemporaryName, LiesBesideTheFileAndIsHidden) {
  EXPECT_EQ(temporary_name("/some/where/a.h5").parent_path(), "/some/where");
  EXPECT_EQ(temporary_name("a.h5").parent_path(), ".");
  EXPECT_TRUE(temporary_name("a.h5").filename().string().starts_with(".a.h5.tmp."));
}

TEST(RemoveLeftovers, AsksForTheFinalNameAndLeavesEverythingElse) {
  const TemporaryDirectory directory;
  for (const char* name : {".ours.gz.tmp.node.1", ".theirs.gz.tmp.node.1", "ours.gz", ".ours.gz"}) {
    put(directory / name, "x");
  }
  fs::create_directory(directory / ".ours.gz.tmp.node.2");
  const auto removed =
      remove_leftovers(directory.path(), [](std::string_view name) { return name == "ours.gz"; });
  EXPECT_EQ(removed, std::vector<std::string>{".ours.gz.tmp.node.1"});
  EXPECT_EQ(files_in(directory.path()), 4U);
}

}  // namespace
}  // namespace fcmnist
