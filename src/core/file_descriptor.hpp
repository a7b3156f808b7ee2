#pragma once

#include <unistd.h>

#include <cstddef>
#include <span>
#include <utility>

namespace fcmnist {

/// An open file of the operating system. It is closed when its owner goes.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  /// Takes over what open() returned; a failed open() makes an empty one.
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] int get() const { return fd_; }
  /// Gives the descriptor away: the caller closes it, and sees whether close() succeeds.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// The three functions below return 0, or the errno of the call that failed. They go on after a signal.

/// Writes all bytes at the current position of the file.
[[nodiscard]] int write_all(int fd, std::span<const std::byte> bytes);
/// Writes all bytes `offset` bytes behind the beginning of the file.
[[nodiscard]] int write_all_at(int fd, std::span<const std::byte> bytes, std::size_t offset);
/// Waits until everything that was written to the file is on the disk.
[[nodiscard]] int sync_to_disk(int fd);

}  // namespace fcmnist
