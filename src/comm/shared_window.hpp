#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "comm/communicator.hpp"

namespace fcmnist::comm {

/// Memory that the ranks of one node share. It has one segment for each rank, which is aligned to 64 bytes
/// and zero at first, and lies on the NUMA node of its rank. Construction and destruction are collective over
/// `node`. A rank that reads what another rank wrote needs a NodeBarrier between the two.
class SharedWindow {
 public:
  /// `node` must outlive the window.
  ///   my_bytes  the size of this rank's segment; the ranks may differ
  SharedWindow(const Communicator& node, std::size_t my_bytes);
  ~SharedWindow();
  SharedWindow(SharedWindow&&) noexcept;
  SharedWindow& operator=(SharedWindow&&) noexcept;

  /// The segment of a rank of the node. It has the bytes that the rank asked for, or more.
  [[nodiscard]] std::span<std::byte> segment(int node_rank) const;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

/// An array of T that the ranks of one node share. It lies in the segment of the first rank.
template <class T>
class SharedArray {
 public:
  SharedArray(const Communicator& node, std::size_t size)
      : size_(size), window_(node, node.rank() == 0 ? size * sizeof(T) : 0) {}
  [[nodiscard]] T* data() const { return reinterpret_cast<T*>(window_.segment(0).data()); }
  [[nodiscard]] std::span<T> all() const { return {data(), size_}; }

 private:
  std::size_t size_;
  SharedWindow window_;
};

}  // namespace fcmnist::comm
