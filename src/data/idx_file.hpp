#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/gz_file.hpp"

namespace fcmnist::data {

/// What an IDX file holds, with the number of dimensions that this takes.
enum class IdxKind : std::size_t { labels = 1, images = 3 };

/// An IDX file of unsigned bytes, gzipped or plain.
///
/// Format: two zero bytes, the type (0x08), the number of dimensions, one big-endian 32-bit count per
/// dimension (samples first), then the numbers, row-major. Source: LeCun, Cortes, Burges, "The MNIST database
/// of handwritten digits", section "The IDX file format".
class IdxFile {
 public:
  /// Images of more than so many rows or columns are taken for a damaged header.
  static constexpr std::uint32_t max_side = 4096;

  /// Opens the file and checks every field of the header, also against the size of the file, so that an
  /// absurd count makes nobody allocate. DataError naming file, field, found and expected value.
  IdxFile(const std::filesystem::path& path, IdxKind kind);

  /// One count per dimension, each > 0: samples, and for images rows and columns.
  [[nodiscard]] const std::vector<std::uint32_t>& counts() const { return counts_; }
  /// Product of the counts.
  [[nodiscard]] std::size_t body_bytes() const { return body_bytes_; }

  /// Reads everything behind the header: body.size() must be body_bytes(). Call once. DataError if the file
  /// ends before or goes on behind, or if the gzip data are damaged.
  void read_body(std::span<std::uint8_t> body);

 private:
  void check_magic(std::span<const std::uint8_t> magic) const;
  void check_counts();

  GzFile file_;
  IdxKind kind_;
  std::vector<std::uint32_t> counts_;
  std::size_t body_bytes_ = 0;
};

}  // namespace fcmnist::data
