#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fcmnist {

/// How a matrix lies in memory. In files all have the order outputs x inputs, as in PyTorch.
enum class Order {
  as_in_files,
  transposed,  ///< inputs x outputs
};

/// One named matrix inside a flat array. A bias is a matrix of one row.
struct Slot {
  std::string name;
  std::size_t rows = 0;  ///< in memory
  std::size_t cols = 0;
  Order order = Order::as_in_files;
  std::size_t offset = 0;  ///< index of the first number in the flat array, a multiple of Layout::alignment

  [[nodiscard]] std::size_t count() const { return rows * cols; }
  /// Of a weight.
  [[nodiscard]] std::size_t outputs() const { return order == Order::transposed ? cols : rows; }
  [[nodiscard]] std::size_t inputs() const { return order == Order::transposed ? rows : cols; }
  bool operator==(const Slot&) const = default;
};

/// Ordered named slots of one flat array. Equal layouts mean interchangeable arrays.
///
/// Slots start at multiples of 16 numbers (64 bytes of float), so that rows of a slot are aligned for vector
/// code and no two slots share a cache line. The gaps hold nothing. Code that moves whole arrays moves the
/// gaps too.
class Layout {
 public:
  static constexpr std::size_t alignment = 16;

  /// Appends a slot and returns its index.
  ///   rows, cols  in memory, in the given order
  std::size_t add(std::string name, std::size_t rows, std::size_t cols, Order order = Order::as_in_files);

  [[nodiscard]] const std::vector<Slot>& slots() const { return slots_; }
  [[nodiscard]] const Slot& operator[](std::size_t index) const { return slots_[index]; }
  /// Length of the flat array, gaps included.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Numbers in all slots, gaps excluded: what is called "the number of parameters".
  [[nodiscard]] std::size_t parameter_count() const;

  bool operator==(const Layout&) const = default;

 private:
  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

/// A contiguous piece of one slot: the unit of ownership in a sharded update and of world-independent sums.
struct Block {
  std::size_t slot = 0;
  std::size_t offset = 0;  ///< index of the first number in the flat array
  std::size_t count = 0;
};

inline constexpr std::size_t block_numbers = 4096;

/// Cuts every slot into blocks of about `target` numbers: whole rows, or pieces of one row where a row is
/// longer. The blocks depend on the layout only, not on any world.
std::vector<Block> blocks_of(const Layout& layout, std::size_t target = block_numbers);

}  // namespace fcmnist
