#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace fcmnist {

/// A sparse matrix, kept in groups of four neighbouring rows: of a group every column in which one of the rows has a number that
/// is not zero, with the numbers of all four. So a product loads what belongs to a column once for four rows. Rows behind the last
/// one hold anything. Memory is kept from one filling to the next.
class SparseRows {
 public:
  static constexpr std::size_t group_rows = 4;

  struct Entry {
    std::uint32_t column = 0;
    std::array<float, group_rows> values{};  ///< of the rows of the group
  };

  /// Begins again, without groups.
  ///   most_entries  room that is made
  void clear(std::size_t rows, std::size_t most_entries) {
    rows_ = rows;
    begin_.assign(1, 0);
    if (entries_.size() < most_entries) entries_.resize(most_entries);
  }
  /// Room for the entries of the next group, as far as clear() has made it.
  [[nodiscard]] Entry* next_group() { return entries_.data() + begin_.back(); }
  /// So many of them are that group, in the order of their columns.
  void end_group(std::size_t entries) { begin_.push_back(begin_.back() + entries); }

  [[nodiscard]] std::size_t rows() const { return rows_; }
  /// The entries of rows [4 g, 4 g + 4).
  [[nodiscard]] std::span<const Entry> group(std::size_t g) const {
    return {entries_.data() + begin_[g], begin_[g + 1] - begin_[g]};
  }
  [[nodiscard]] std::size_t groups() const { return begin_.size() - 1; }
  /// How many groups so many rows have.
  static constexpr std::size_t groups_of(std::size_t rows) { return (rows + group_rows - 1) / group_rows; }

 private:
  std::size_t rows_ = 0;
  std::vector<std::size_t> begin_ = {0};  ///< of each group, and the end of the last one
  std::vector<Entry> entries_;            ///< with room for more
};

}  // namespace fcmnist
