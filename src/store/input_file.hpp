#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "core/file_descriptor.hpp"

namespace fcmnist::store {

/// A file that is read. Every failure is a StoreError that names the file. Internal to
/// `store`.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);

  /// Whether it is a regular file. Directories, pipes and devices are not, and count as empty.
  [[nodiscard]] bool regular() const { return regular_; }
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Fills `out` from this byte of the file on. Returns how many bytes there were.
  std::size_t read_at(std::size_t offset, std::span<std::byte> out);

 private:
  std::filesystem::path path_;
  FileDescriptor file_;
  bool regular_ = false;
  std::size_t size_ = 0;
};

}  // namespace fcmnist::store
