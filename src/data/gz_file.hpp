#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace fcmnist::data {

/// A data file that is open for reading, gzipped or plain. Its content tells which, not its name.
///
/// Every function throws a DataError that names the file if it is missing, unreadable, empty or not a regular
/// file, or if its gzip data are damaged or end early. The checksum of gzip is verified when the end has been
/// read. Bytes behind the end of the gzip data are ignored, as gzip does.
class GzFile {
 public:
  explicit GzFile(const std::filesystem::path& path);

  /// Fills `out` and returns the number of bytes read, which is less than its size at the end of the content.
  std::size_t read(std::span<std::uint8_t> out);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// An upper bound of the size of the whole content, from the size on disk. It is exact for a plain file.
  [[nodiscard]] std::uint64_t max_content_bytes() const;
  [[nodiscard]] bool is_compressed() const;

 private:
  struct Close {
    void operator()(void* handle) const;
  };
  [[noreturn]] void throw_damaged() const;

  std::filesystem::path path_;
  std::uint64_t bytes_on_disk_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::unique_ptr<void, Close> handle_;  ///< a gzFile
};

/// "<path>: <field>: found <found>, expected <expected>", for everything that can be wrong with a file. The
/// HINT says how to replace the file, unless another hint is given.
DataError file_error(const std::filesystem::path& path, std::string_view field, std::string_view found,
                     std::string_view expected, std::string_view hint = {});

/// The SHA-256 of the uncompressed content, as 64 hexadecimal digits. It does not depend on how the file is
/// compressed. Throws DataError if the content is longer than `max_bytes`: a gzip file of a few kB can hold
/// gigabytes.
std::string content_sha256(const std::filesystem::path& path, std::uint64_t max_bytes);

}  // namespace fcmnist::data
