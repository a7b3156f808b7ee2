#include "kernels/softmax_loss.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.hpp"

namespace fcmnist::kernels {

namespace {

/// The logits of one sample: a column of a row-major matrix.
template <class T>
class Column {
 public:
  Column(MatrixView<T> logits, std::size_t sample)
      : first_(logits.data + sample), stride_(logits.stride), classes_(logits.rows) {}
  [[nodiscard]] std::size_t size() const { return classes_; }
  T& operator[](std::size_t c) const { return first_[c * stride_]; }

 private:
  T* first_;
  std::size_t stride_, classes_;
};

template <class T>
std::size_t arg_max(Column<T> logits) {
  std::size_t best = 0;
  for (std::size_t c = 1; c < logits.size(); ++c) {
    if (logits[c] > logits[best]) best = c;
  }
  return best;
}

/// log(exp_sum) - (logit of the target - largest logit). The largest logit was subtracted before exp, so that
/// nothing overflows.
double loss_of(float exp_sum, float target_logit, float largest, bool finite) {
  return finite ? std::log(static_cast<double>(exp_sum)) - (target_logit - largest)
                : std::numeric_limits<double>::quiet_NaN();
}

void check(MatrixView<const float> logits, std::span<const std::uint8_t> labels) {
  FCMNIST_CHECK(labels.size() == logits.cols && logits.rows > 0,
                fmt::format("{} labels, logits {} x {}", labels.size(), logits.rows, logits.cols));
  for (const std::uint8_t label : labels) {
    FCMNIST_CHECK(label < logits.rows, fmt::format("label {}, {} classes", label, logits.rows));
  }
}

}  // namespace

LossSums softmax_cross_entropy_gradient(MatrixView<float> logits, const Targets& targets, float scale) {
  check(logits, targets.labels);
  if (!targets.partners.empty()) check(logits, targets.partners);
  FCMNIST_CHECK(targets.partners.size() == targets.shares.size(),
                fmt::format("{} partners, {} shares", targets.partners.size(), targets.shares.size()));
  LossSums sums;
  const double smoothing = targets.smoothing;
  const double of_each = smoothing / static_cast<double>(logits.rows);
  const auto from_all = static_cast<float>(scale * of_each),
             from_label = static_cast<float>(scale * (1.0 - smoothing));
  for (std::size_t s = 0; s < logits.cols; ++s) {
    const Column<float> x(logits, s);
    const std::size_t label = targets.labels[s], best = arg_max(x);
    const std::size_t partner = targets.partners.empty() ? label : targets.partners[s];
    const float share = targets.shares.empty() ? 1.0F : targets.shares[s];
    const float largest = x[best];
    const float target_logit = share == 1.0F ? x[label] : share * x[label] + (1.0F - share) * x[partner];
    float exp_sum = 0.0F;
    double differences = 0.0;  // of all logits to the largest
    bool finite = true;
    for (std::size_t c = 0; c < x.size(); ++c) {
      finite = finite && std::isfinite(x[c]);
      differences += x[c] - largest;
      x[c] = std::exp(x[c] - largest);
      exp_sum += x[c];
    }
    const float factor = scale / exp_sum;
    for (std::size_t c = 0; c < x.size(); ++c) x[c] = x[c] * factor - from_all;
    x[label] -= share * from_label;
    if (share < 1.0F) x[partner] -= (1.0F - share) * from_label;
    double loss = loss_of(exp_sum, target_logit, largest, finite);
    if (smoothing > 0.0) loss += smoothing * (target_logit - largest) - of_each * differences;
    sums += {loss, best == (share < 0.5F ? partner : label) ? 1 : 0};
  }
  return sums;
}

LossSums softmax_cross_entropy(MatrixView<const float> logits, std::span<const std::uint8_t> labels,
                               std::span<std::uint8_t> predicted) {
  check(logits, labels);
  FCMNIST_CHECK(predicted.size() == logits.cols, fmt::format("{} places", predicted.size()));
  LossSums sums;
  for (std::size_t s = 0; s < logits.cols; ++s) {
    const Column<const float> x(logits, s);
    const std::size_t label = labels[s], best = arg_max(x);
    float exp_sum = 0.0F;
    bool finite = true;
    for (std::size_t c = 0; c < x.size(); ++c) {
      finite = finite && std::isfinite(x[c]);
      exp_sum += std::exp(x[c] - x[best]);
    }
    sums += {loss_of(exp_sum, x[label], x[best], finite), best == label ? 1 : 0};
    predicted[s] = static_cast<std::uint8_t>(best);
  }
  return sums;
}

void add_probabilities(MatrixView<const float> logits, MatrixView<double> sums) {
  FCMNIST_CHECK(sums.rows == logits.rows && sums.cols == logits.cols && logits.rows > 0,
                fmt::format("logits {} x {}, sums {} x {}", logits.rows, logits.cols, sums.rows, sums.cols));
  for (std::size_t s = 0; s < logits.cols; ++s) {
    const Column<const float> x(logits, s);
    const Column<double> sum(sums, s);
    const double largest = x[arg_max(x)];
    double exp_sum = 0.0;
    bool finite = true;
    for (std::size_t c = 0; c < x.size(); ++c) {
      finite = finite && std::isfinite(x[c]);
      exp_sum += std::exp(x[c] - largest);
    }
    const double factor = finite ? 1.0 / exp_sum : std::numeric_limits<double>::quiet_NaN();
    for (std::size_t c = 0; c < x.size(); ++c) sum[c] += std::exp(x[c] - largest) * factor;
  }
}

void log_mean_probabilities(MatrixView<const double> sums, std::size_t count, MatrixView<float> logits) {
  FCMNIST_CHECK(sums.rows == logits.rows && sums.cols == logits.cols && count > 0,
                fmt::format("sums {} x {} of {}, logits {} x {}", sums.rows, sums.cols, count, logits.rows,
                            logits.cols));
  for (std::size_t c = 0; c < logits.rows; ++c) {
    for (std::size_t s = 0; s < logits.cols; ++s) {
      const double mean = sums.row(c)[s] / static_cast<double>(count);
      // In this order a NaN stays one.
      logits.row(c)[s] = static_cast<float>(std::log(std::max(mean, std::numeric_limits<double>::min())));
    }
  }
}

}  // namespace fcmnist::kernels
