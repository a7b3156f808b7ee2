#include "core/file_descriptor.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>
#include <string_view>

#include "support/file_content.hpp"
#include "support/temporary_directory.hpp"

namespace fcmnist {
namespace {

using test::content;

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(FileDescriptor, ClosesItsFileWhenItGoesAndNotBefore) {
  int fd = -1;
  {
    FileDescriptor first(::open("/dev/null", O_RDONLY));
    fd = first.get();
    const FileDescriptor second(std::move(first));
    EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): it is empty then
    EXPECT_EQ(second.get(), fd);
    EXPECT_TRUE(is_open(fd));
  }
  EXPECT_FALSE(is_open(fd));
}

TEST(FileDescriptor, AReleasedOneIsTheCallersToClose) {
  int fd = -1;
  {
    FileDescriptor file(::open("/dev/null", O_RDONLY));
    fd = file.release();
    EXPECT_FALSE(file);
  }
  EXPECT_EQ(::close(fd), 0);
}

TEST(FileDescriptor, AFailedOpenMakesAnEmptyOne) {
  EXPECT_FALSE(FileDescriptor(::open("/nowhere/file", O_RDONLY)));
}

TEST(FileDescriptor, BytesAreWrittenAtThePositionOrAtAnOffset) {
  const TemporaryDirectory directory;
  const FileDescriptor file(::open((directory / "a").c_str(), O_RDWR | O_CREAT, 0600));
  EXPECT_EQ(write_all(file.get(), bytes_of("one ")), 0);
  EXPECT_EQ(write_all(file.get(), bytes_of("two")), 0);
  EXPECT_EQ(write_all_at(file.get(), bytes_of("2 3"), 4), 0);
  EXPECT_EQ(sync_to_disk(file.get()), 0);
  EXPECT_EQ(content(directory / "a"), "one 2 3");
}

TEST(FileDescriptor, APipeThatTakesAPieceAtATimeGetsAllBytes) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_NONBLOCK), 0);
  const FileDescriptor out(ends[0]), in(ends[1]);
  const std::string much(1 << 20, 'x');  // more than a pipe holds
  EXPECT_EQ(write_all(in.get(), bytes_of(much)), EAGAIN) << "the pipe is full and nobody reads";
  std::string got(much.size(), ' ');
  EXPECT_EQ(::read(out.get(), got.data(), got.size()), 65536);
}

TEST(FileDescriptor, FailuresAreTheErrnoOfTheCall) {
  const FileDescriptor file(::open("/dev/null", O_RDONLY));
  EXPECT_EQ(write_all(file.get(), bytes_of("x")), EBADF);
  EXPECT_EQ(write_all_at(file.get(), bytes_of("x"), 0), EBADF);
  EXPECT_EQ(sync_to_disk(-1), EBADF);
}

}  // namespace
}  // namespace fcmnist
