#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "comm/communicator.hpp"

namespace fcmnist::comm {

/// Memory that the ranks of one node share: one segment for each rank, aligned to 64 bytes, zero at first, on
/// the NUMA node of the rank that owns it. Construction and destruction are collective over `node`; after
/// that, who reads what another wrote needs a NodeBarrier between.
class SharedWindow {
 public:
  /// `node` must outlive it.
  SharedWindow(const Communicator& node, std::size_t my_bytes);
  ~SharedWindow();
  SharedWindow(SharedWindow&&) noexcept;
  SharedWindow& operator=(SharedWindow&&) noexcept;

  /// The segment of a rank of the node: the bytes it asked for, or more.
  [[nodiscard]] std::span<std::byte> segment(int node_rank) const;

 private:
  struct Handle;
  std::unique_ptr<Handle> handle_;
};

/// An array of T that lies in one rank's memory and is seen by the whole node.
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
