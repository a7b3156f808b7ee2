#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fcmnist {

/// A number of a sparse matrix, and the column where it stands.
struct SparseEntry {
  std::uint32_t column = 0;
  float value = 0.0F;
};

/// A sparse matrix: of each row the numbers that are not zero, in the order of their columns. Memory is kept from
/// one filling to the next.
class SparseRows {
 public:
  /// An empty matrix without rows.
  ///   most_entries  room that is made
  void clear(std::size_t most_entries) {
    begin_.assign(1, 0);
    if (entries_.size() < most_entries) entries_.resize(most_entries);
    count_ = 0;
  }
  /// Room for the entries of the next row, as far as clear() has made it.
  [[nodiscard]] SparseEntry* next_row() { return entries_.data() + count_; }
  /// So many of them are that row.
  void end_row(std::size_t entries) { begin_.push_back(count_ += entries); }

  [[nodiscard]] std::size_t rows() const { return begin_.size() - 1; }
  [[nodiscard]] std::size_t entries() const { return count_; }
  [[nodiscard]] std::span<const SparseEntry> row(std::size_t r) const {
    return {entries_.data() + begin_[r], begin_[r + 1] - begin_[r]};
  }

  /// Becomes the transpose of `other`, which has so many columns.
  void transpose_of(const SparseRows& other, std::size_t columns);

 private:
  std::vector<std::size_t> begin_ = {0};  ///< of each row, and the end of the last one
  std::vector<SparseEntry> entries_;      ///< with room for more
  std::size_t count_ = 0;
};

}  // namespace fcmnist
