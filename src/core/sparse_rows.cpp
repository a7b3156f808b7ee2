#include "core/sparse_rows.hpp"

namespace fcmnist {

/// Counting sort by column, which leaves the rows in order.
void SparseRows::transpose_of(const SparseRows& other, std::size_t columns) {
  // One place ahead: what is the end of a row while it is filled is its begin afterwards.
  begin_.assign(columns + 2, 0);
  for (std::size_t i = 0; i < other.count_; ++i) ++begin_[other.entries_[i].column + 2];
  for (std::size_t c = 2; c < begin_.size(); ++c) begin_[c] += begin_[c - 1];
  if (entries_.size() < other.count_) entries_.resize(other.count_);
  for (std::size_t r = 0; r < other.rows(); ++r) {
    for (const SparseEntry& entry : other.row(r)) {
      entries_[begin_[entry.column + 1]++] = {static_cast<std::uint32_t>(r), entry.value};
    }
  }
  begin_.pop_back();
  count_ = other.count_;
}

}  // namespace fcmnist
