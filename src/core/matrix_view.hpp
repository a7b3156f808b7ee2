#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

namespace fcmnist {

/// A row-major matrix that somebody else owns. Row r starts at data + r * stride, and stride >= cols.
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t stride = 0;

  MatrixView() = default;
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_) : MatrixView(data_, rows_, cols_, cols_) {}
  MatrixView(T* data_, std::size_t rows_, std::size_t cols_, std::size_t stride_)
      : data(data_), rows(rows_), cols(cols_), stride(stride_) {}

  /// A view of mutable numbers is also a view of constant ones.
  template <class U>
  requires(std::is_same_v<T, const U>)
      MatrixView(const MatrixView<U>& other)  // NOLINT(google-explicit-constructor): it shall convert
      : MatrixView(other.data, other.rows, other.cols, other.stride) {}

  [[nodiscard]] std::span<T> row(std::size_t r) const { return {data + r * stride, cols}; }
  /// Rows [first, first + n).
  [[nodiscard]] MatrixView middle(std::size_t first, std::size_t n) const {
    return {data + first * stride, n, cols, stride};
  }
};

/// The bytes of the numbers of a matrix.
template <class T>
auto bytes_of(MatrixView<T> matrix) {
  using Byte = std::conditional_t<std::is_const_v<T>, const std::byte, std::byte>;
  return MatrixView<Byte>(reinterpret_cast<Byte*>(matrix.data), matrix.rows, matrix.cols * sizeof(T),
                          matrix.stride * sizeof(T));
}

}  // namespace fcmnist
