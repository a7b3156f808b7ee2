#pragma once

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

/// Softmax cross-entropy of one microbatch, and its gradient in place of the logits.
///   logits    (classes x samples) read, then written: (softmax(logits) - onehot(label)) * scale
///   labels    (samples)           0 <= label < classes
///   smoothing  a part of the target that all classes share, as label_smoothing of torch.nn.CrossEntropyLoss (Szegedy et al.,
///              CVPR 2016): (1 - smoothing) onehot(label) + smoothing / classes takes the place of onehot(label)
/// The loss is added in sample order in double. A sample with a non-finite logit makes the loss non-finite.
/// Source: Goodfellow, Bengio, Courville, Deep Learning (2016), section 4.1.
LossSums softmax_cross_entropy_gradient(MatrixView<float> logits, std::span<const std::uint8_t> labels,
                                        float scale, double smoothing = 0.0);

/// The same loss without the gradient. `predicted` (samples) receives the class with the largest logit of
/// each sample; of equal logits, the lowest class.
LossSums softmax_cross_entropy(MatrixView<const float> logits, std::span<const std::uint8_t> labels,
                               std::span<std::uint8_t> predicted);

}  // namespace fcmnist::kernels
