#pragma once

#include <unistd.h>

#include <utility>

namespace fcmnist::store {

/// An open file of the operating system, closed when its owner goes. Internal.
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
  /// Gives the descriptor away, for who wants to see whether close() succeeds.
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

}  // namespace fcmnist::store
