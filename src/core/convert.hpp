#pragma once

#include <fmt/format.h>

#include <span>

#include "core/error.hpp"
#include "core/half.hpp"
#include "core/matrix_view.hpp"

namespace fcmnist {

/// out[i] = in[i], rounded as core/half.hpp says. Both have the same length.
void convert(std::span<const float> in, std::span<BFloat16> out);
void convert(std::span<const float> in, std::span<Float16> out);

/// out[i] = in[i], exactly. Both have the same length.
void convert(std::span<const BFloat16> in, std::span<float> out);
void convert(std::span<const Float16> in, std::span<float> out);

/// Converts a matrix row by row. Both have the same shape.
template <class From, class To>
void convert(MatrixView<From> in, MatrixView<To> out) {
  FCMNIST_CHECK(in.rows == out.rows && in.cols == out.cols,
                fmt::format("{} x {} into {} x {}", in.rows, in.cols, out.rows, out.cols));
  for (std::size_t r = 0; r < in.rows; ++r) convert(std::span<const From>(in.row(r)), out.row(r));
}

}  // namespace fcmnist
