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
  ///   most_entries  room that is made, so that add() needs none
  void clear(std::size_t most_entries) {
    begin_.assign(1, 0);
    if (entries_.size() < most_entries) entries_.resize(most_entries);
    count_ = 0;
  }
  /// Adds a number to the row that is being made. Without a branch: a zero is written, and then overwritten.
  void add(std::uint32_t column, float value) {
    entries_[count_] = {column, value};
    count_ += value != 0.0F;
  }
  void end_row() { begin_.push_back(count_); }

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
