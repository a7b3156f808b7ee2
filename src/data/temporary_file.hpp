#pragma once

#include <filesystem>
#include <string_view>

namespace fcmnist::data {

/// A file under a temporary name in the directory of its final one, so that a file with the final name is
/// complete. Removed again unless committed.
class TemporaryFile {
 public:
  /// Creates it for writing, with the permissions that umask leaves. DataError if that fails.
  TemporaryFile(const std::filesystem::path& directory, std::string_view final_name);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

  /// Brings the content to disk, then gives the file its final name. Call once. DataError if that fails.
  void commit();

  /// Deletes the temporary files of processes that died. The caller makes sure that no living process has one
  /// here.
  static void remove_leftovers(const std::filesystem::path& directory);

 private:
  std::filesystem::path final_path_;
  std::filesystem::path path_;
  int descriptor_ = -1;
  bool is_committed_ = false;
};

}  // namespace fcmnist::data
