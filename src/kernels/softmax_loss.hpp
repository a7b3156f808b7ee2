#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/matrix_view.hpp"

namespace fcmnist::kernels {

/// Sums over the samples of a microbatch.
struct LossSums {
  double loss = 0.0;  ///< in nats
  long correct = 0;   ///< number of samples whose largest logit is that of the label
  LossSums& operator+=(const LossSums& other) {
    loss += other.loss;
    correct += other.correct;
    return *this;
  }
};

/// What the samples of a microbatch are to be classified as.
struct Targets {
  std::span<const std::uint8_t> labels;  ///< (samples) 0 <= label < classes
  /// With mixup: share * onehot(label) + (1 - share) * onehot(partner) takes the place of onehot(label).
  std::span<const std::uint8_t> partners = {};  ///< (samples) 0 <= partner < classes, or empty
  std::span<const float> shares = {};           ///< (samples) in [0, 1], or empty
  /// A part of the target that all classes share, as label_smoothing of torch.nn.CrossEntropyLoss (Szegedy et al., CVPR
  /// 2016): (1 - smoothing) target + smoothing / classes takes the place of the target.
  double smoothing = 0.0;
};

/// Softmax cross-entropy of one microbatch, and its gradient in place of the logits.
///   logits  (classes x samples) read, then written: (softmax(logits) - target) * scale
/// The loss is added in sample order in double. A sample with a non-finite logit makes the loss non-finite. Of two labels
/// that with the larger share counts as correct.
/// Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 4.1.
LossSums softmax_cross_entropy_gradient(MatrixView<float> logits, const Targets& targets, float scale);

/// The same loss without the gradient. `predicted` (samples) receives the class with the largest logit of
/// each sample; of equal logits, the lowest class.
LossSums softmax_cross_entropy(MatrixView<const float> logits, std::span<const std::uint8_t> labels,
                               std::span<std::uint8_t> predicted);

/// Adds up the probabilities of several versions of the same samples: sums[c][s] += softmax of the logits of sample s at c.
///   logits  (classes x samples)
///   sums    (classes x samples) NaN for a sample with a non-finite logit
void add_probabilities(MatrixView<const float> logits, MatrixView<double> sums);

/// The logarithm of the mean probabilities, which are logits: their softmax is the mean, and so their cross-entropy is
/// -log of the mean probability of the label. A mean below the least positive normal double counts as that.
///   sums    (classes x samples) of add_probabilities(), over `count` versions
///   logits  (classes x samples) written: log(sums[c][s] / count)
void log_mean_probabilities(MatrixView<const double> sums, std::size_t count, MatrixView<float> logits);

}  // namespace fcmnist::kernels
