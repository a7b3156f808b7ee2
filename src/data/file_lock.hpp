#pragma once

#include <filesystem>
#include <string_view>

#include "core/file_descriptor.hpp"
#include "core/log.hpp"

namespace fcmnist::data {

/// An exclusive lock between processes, held from construction to destruction.
///
/// The kernel (or the file server) drops it when its process dies in any way, so nobody waits for a dead
/// process. Who holds it may delete the file: who waited for it then finds that is_current() is false.
class FileLock {
 public:
  /// Waits until the lock is free, and logs that it waits. Throws DataError if the file cannot be made. On a
  /// file system without locks (for example Lustre mounted without flock) it warns and goes on without the
  /// lock; then is_held() is false.
  ///   busy_with  what a process does that holds it, for the log
  FileLock(const std::filesystem::path& path, Logger& logger, std::string_view busy_with = "fetching data");
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  [[nodiscard]] bool is_held() const { return is_held_; }
  /// Whether the file still has its name. If not, another process may hold a new file of that name.
  [[nodiscard]] bool is_current() const;

 private:
  bool try_lock(const std::filesystem::path& path, Logger& logger);

  std::filesystem::path path_;
  FileDescriptor file_;
  bool is_held_ = false;
};

}  // namespace fcmnist::data
