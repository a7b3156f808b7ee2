#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/gz_file.hpp"

namespace fcmnist::data {

/// What an IDX file holds. The value is its number of dimensions.
enum class IdxKind : std::size_t { labels = 1, images = 3 };

/// An IDX file of unsigned bytes, gzipped or plain.
///
/// Format: two zero bytes, the type (0x08), the number of dimensions, one big-endian 32-bit count per
/// dimension (samples first), then the numbers, row-major. Source: LeCun, Cortes, Burges, "The MNIST database
/// of handwritten digits", section "The IDX file format".
class IdxFile {
 public:
  /// Images with more rows or columns than this are not read.
  static constexpr std::uint32_t max_side = 4096;

  /// Opens the file and checks every field of the header, also against the size of the file, so that nobody
  /// allocates memory for an absurd count. Throws a DataError that names the file, the field, and the value
  /// found and expected; its HINT tells a whole file of a kind that is not read from a damaged one.
  IdxFile(const std::filesystem::path& path, IdxKind kind);

  /// One count per dimension, each > 0: samples, and for images rows and columns.
  [[nodiscard]] const std::vector<std::uint32_t>& counts() const { return counts_; }
  /// The product of the counts.
  [[nodiscard]] std::size_t body_bytes() const { return body_bytes_; }

  /// Reads everything behind the header; body.size() must be body_bytes(). Call it once. Throws DataError if
  /// the file is shorter or longer, or if the gzip data are damaged.
  void read_body(std::span<std::uint8_t> body);

  /// Reads only the begin of it, instead.
  void read_first(std::span<std::uint8_t> body);

  /// The SHA-256 of the whole content, of which `body` is what read_body() has read.
  [[nodiscard]] std::string sha256(std::span<const std::uint8_t> body) const;

 private:
  void check_magic() const;
  void check_counts();
  [[nodiscard]] bool has_little_endian_counts() const;
  [[nodiscard]] std::string expected_length() const;

  GzFile file_;
  IdxKind kind_;
  std::vector<std::uint8_t> header_;
  std::vector<std::uint32_t> counts_;
  std::size_t body_bytes_ = 0;
};

}  // namespace fcmnist::data
