#include "kernels/softmax_loss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace fcmnist::kernels {

namespace {

std::size_t arg_max(std::span<const float> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

/// log(sum(exp(row))) - row[label], with the largest logit subtracted first so that nothing overflows.
struct RowLoss {
  float largest = 0.0F;
  float exp_sum = 0.0F;
  double loss = 0.0;
};
RowLoss row_loss(std::span<const float> row, std::size_t label, std::size_t best) {
  RowLoss result;
  result.largest = row[best];
  bool finite = true;
  for (const float logit : row) {
    finite = finite && std::isfinite(logit);
    result.exp_sum += std::exp(logit - result.largest);
  }
  result.loss = finite ? std::log(static_cast<double>(result.exp_sum)) - (row[label] - result.largest)
                       : std::numeric_limits<double>::quiet_NaN();
  return result;
}

void check_shapes(MatrixView<const float> logits, std::span<const std::uint8_t> labels) {
  FCMNIST_CHECK(labels.size() == logits.rows && logits.cols > 0,
                fmt::format("{} labels, logits {} x {}", labels.size(), logits.rows, logits.cols));
}

}  // namespace

LossSums softmax_cross_entropy_gradient(MatrixView<float> logits, std::span<const std::uint8_t> labels,
                                        float scale) {
  check_shapes(logits, labels);
  LossSums sums;
  for (std::size_t r = 0; r < logits.rows; ++r) {
    const std::span<float> row = logits.row(r);
    const std::size_t label = labels[r];
    FCMNIST_CHECK(label < row.size(), fmt::format("label {}, {} classes", label, row.size()));
    const std::size_t best = arg_max(row);
    const RowLoss loss = row_loss(row, label, best);
    sums += {loss.loss, best == label ? 1 : 0};
    const float factor = scale / loss.exp_sum;
    for (float& logit : row) logit = std::exp(logit - loss.largest) * factor;
    row[label] -= scale;
  }
  return sums;
}

LossSums softmax_cross_entropy(MatrixView<const float> logits, std::span<const std::uint8_t> labels,
                               std::span<std::uint8_t> predicted) {
  check_shapes(logits, labels);
  FCMNIST_CHECK(predicted.size() == logits.rows, fmt::format("{} places", predicted.size()));
  LossSums sums;
  for (std::size_t r = 0; r < logits.rows; ++r) {
    const std::span<const float> row = logits.row(r);
    FCMNIST_CHECK(labels[r] < row.size(), fmt::format("label {}, {} classes", labels[r], row.size()));
    const std::size_t best = arg_max(row);
    sums += {row_loss(row, labels[r], best).loss, best == labels[r] ? 1 : 0};
    predicted[r] = static_cast<std::uint8_t>(best);
  }
  return sums;
}

}  // namespace fcmnist::kernels
