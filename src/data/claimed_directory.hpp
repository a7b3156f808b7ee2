#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "core/log.hpp"
#include "data/file_lock.hpp"

namespace fcmnist::data {

/// Directories that this process has made. Those that are empty at the end are removed again.
class MadeDirectories {
 public:
  MadeDirectories() = default;
  MadeDirectories(const MadeDirectories&) = delete;
  MadeDirectories& operator=(const MadeDirectories&) = delete;
  ~MadeDirectories();

  /// Makes `directory` and what is missing above it. Throws DataError.
  void make(const std::filesystem::path& directory);
  [[nodiscard]] bool empty() const { return paths_.empty(); }

 private:
  std::vector<std::filesystem::path> paths_;  ///< the outermost first
};

/// A directory in which only this process puts files, from construction to destruction. It is made if it is
/// absent; what was made and is still empty at the end is removed again, and so is the lock.
class ClaimedDirectory {
 public:
  /// Waits while another process has it, and logs that. Throws DataError if it cannot be made or written.
  ClaimedDirectory(std::filesystem::path directory, Logger& logger);
  ClaimedDirectory(const ClaimedDirectory&) = delete;
  ClaimedDirectory& operator=(const ClaimedDirectory&) = delete;
  ~ClaimedDirectory();

  /// False on a file system without locks.
  [[nodiscard]] bool is_exclusive() const { return lock_->is_held(); }
  /// Whether it was absent before.
  [[nodiscard]] bool is_new() const { return !made_.empty(); }

 private:
  bool try_lock(Logger& logger);

  std::filesystem::path directory_, lock_path_;
  MadeDirectories made_;
  std::optional<FileLock> lock_;
};

}  // namespace fcmnist::data
