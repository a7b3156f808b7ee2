#include "core/file_descriptor.hpp"

#include <cerrno>

namespace fcmnist {

namespace {

/// Calls write(bytes) with what is left, until nothing is.
template <class Write>
int repeat_until_written(std::span<const std::byte> bytes, Write write) {
  while (!bytes.empty()) {
    const ssize_t written = write(bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return 0;
}

}  // namespace

int write_all(int fd, std::span<const std::byte> bytes) {
  return repeat_until_written(bytes, [&](auto left) { return ::write(fd, left.data(), left.size()); });
}

int write_all_at(int fd, std::span<const std::byte> bytes, std::size_t offset) {
  return repeat_until_written(bytes, [&](auto left) {
    const std::size_t position = offset + bytes.size() - left.size();
    return ::pwrite(fd, left.data(), left.size(), static_cast<off_t>(position));
  });
}

int sync_to_disk(int fd) {
  while (::fsync(fd) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

}  // namespace fcmnist
