#pragma once

#include <filesystem>

#include "core/file_descriptor.hpp"
#include "core/log.hpp"

namespace fcmnist::data {

/// An exclusive lock between processes, held from construction to destruction.
///
/// The kernel (or the file server) drops it when its process dies, however that happens, so nobody waits for
/// a dead process. The file stays behind, empty: deleting it would let two processes lock two files of one
/// name.
class FileLock {
 public:
  /// Waits until the lock is free and logs that it does. DataError if the file cannot be made. On a file
  /// system without locks (Lustre mounted without flock, for example) warns and goes on without: is_held() is
  /// false then.
  FileLock(const std::filesystem::path& path, Logger& logger);
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  [[nodiscard]] bool is_held() const { return is_held_; }

 private:
  bool try_lock(const std::filesystem::path& path, Logger& logger);

  FileDescriptor file_;
  bool is_held_ = false;
};

}  // namespace fcmnist::data
