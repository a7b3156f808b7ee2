#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <type_traits>

#include "core/layout.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist {

/// An array of numbers that is aligned to 64 bytes. The numbers are zero at first.
template <class T>
class AlignedArray {
 public:
  AlignedArray() = default;
  explicit AlignedArray(std::size_t size) : size_(size) {
    const std::size_t bytes = (size * sizeof(T) + 63) / 64 * 64;
    if (bytes == 0) return;
    data_.reset(static_cast<T*>(::operator new(bytes, alignment)));
    std::memset(static_cast<void*>(data_.get()), 0, bytes);
  }
  [[nodiscard]] T* data() const { return data_.get(); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::align_val_t alignment{64};
  struct Free {
    void operator()(T* p) const { ::operator delete(p, alignment); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t size_ = 0;
};

/// A flat array with the slots of a layout. It owns neither of them. All parameters, gradients and optimizer
/// states are such arrays, so optimizer, exchange, norm and checkpoint are loops over one array.
template <class T>
class ArenaView {
 public:
  ArenaView(const Layout& layout, T* data) : layout_(&layout), data_(data) {}
  template <class U>
  requires(std::is_same_v<T, const U>) ArenaView(
      const ArenaView<U>& other)  // NOLINT(google-explicit-constructor): a mutable view is a constant one
      : ArenaView(other.layout(), other.data()) {}

  [[nodiscard]] const Layout& layout() const { return *layout_; }
  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::span<T> all() const { return {data_, layout_->size()}; }
  [[nodiscard]] std::span<T> block(const Block& b) const { return {data_ + b.offset, b.count}; }
  [[nodiscard]] MatrixView<T> operator[](std::size_t slot) const {
    const Slot& s = (*layout_)[slot];
    return {data_ + s.offset, s.rows, s.cols};
  }

 private:
  const Layout* layout_;
  T* data_;
};

/// An arena that owns its numbers. They are zero at first. The layout must outlive the arena.
template <class T>
class Arena {
 public:
  explicit Arena(const Layout& layout) : layout_(&layout), array_(layout.size()) {}
  [[nodiscard]] ArenaView<T> view() const { return {*layout_, array_.data()}; }

 private:
  const Layout* layout_;
  AlignedArray<T> array_;
};

}  // namespace fcmnist
