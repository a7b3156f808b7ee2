#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/matrix_view.hpp"
#include "kernels/options.hpp"
#include "model/options.hpp"

namespace fcmnist::model {

/// Linear layers [begin, end) of a network, counted over the whole network.
struct LayerRange {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// Features in, units of every hidden layer, classes out: {784, 500, 300, 10}.
std::vector<std::size_t> widths_of(const MlpOptions& options, std::size_t features);

/// Which samples a microbatch holds, for dropout.
struct DropoutContext {
  std::uint64_t seed = 0;
  std::uint32_t epoch = 0;
  std::span<const std::uint32_t> sample_ids;  ///< one per row
};

enum class Accumulate { write, add };

/// Activations and their gradients of one microbatch of at most `max_rows` samples. One allocation, made
/// once.
class Workspace;

/// A contiguous run of layers of a multi-layer perceptron: hidden layers Linear -> ReLU -> Dropout, a last
/// Linear whose outputs are the logits. Owns no numbers: weights and gradients are arenas of layout(),
/// activations a Workspace.
///
/// Slots are named as in the reference's PyTorch module, over the whole network: fc_layers.<i>.weight (out x
/// in), fc_layers.<i>.bias (1 x out), last_layer.weight, last_layer.bias.
class Mlp {
 public:
  /// All layers of the network.
  Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, kernels::GemmBackend gemm_backend);
  /// Layers [range.begin, range.end) of it.
  Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, kernels::GemmBackend gemm_backend,
      LayerRange range);

  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] std::size_t layer_count() const { return layers_.size(); }
  [[nodiscard]] std::size_t inputs() const { return layers_.front().inputs; }
  [[nodiscard]] std::size_t outputs() const { return layers_.back().outputs; }

  /// Writes initial weights: a pure function of (seed, layer, position), the same whatever the range is.
  void initialize(std::uint64_t seed, ArenaView<float> weights) const;

  /// Computes all activations of the rows of `input`.
  ///   input    (rows x inputs()), rows <= workspace.max_rows()
  ///   dropout  nullptr: evaluation, nothing is dropped
  /// Returns the last layer's output (rows x outputs()), in the workspace: logits when the range ends the
  /// network.
  MatrixView<float> forward(ArenaView<const float> weights, MatrixView<const float> input,
                            const DropoutContext* dropout, Workspace& workspace) const;

  /// Gradients of the weights, after forward() of the same rows.
  ///   input       as given to forward()
  ///   workspace   the delta of its last layer holds the gradient by this range's output, written by the
  ///   caller gradients   every slot is overwritten, or added to d_input     (rows x inputs()) receives the
  ///   gradient by the input, or empty: not computed
  /// Deltas are computed first, then the weight gradients, the largest (the first layer's) first.
  void backward(ArenaView<const float> weights, MatrixView<const float> input, Workspace& workspace,
                Accumulate accumulate, ArenaView<float> gradients, MatrixView<float> d_input = {}) const;

 private:
  friend class Workspace;
  struct Layer {
    std::size_t index = 0;  ///< over the whole network
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    bool last = false;  ///< of the network: no ReLU, no dropout
    std::size_t weight_slot = 0;
    std::size_t bias_slot = 0;
  };
  [[nodiscard]] std::span<const float> bias(ArenaView<const float> weights, const Layer& layer) const;
  void weight_gradients(const Layer& layer, MatrixView<const float> input, MatrixView<const float> delta,
                        Accumulate accumulate, ArenaView<float> gradients) const;

  MlpOptions options_;
  kernels::GemmBackend gemm_backend_;
  std::vector<Layer> layers_;
  Layout layout_;
};

class Workspace {
 public:
  Workspace(const Mlp& mlp, std::size_t max_rows);
  [[nodiscard]] std::size_t max_rows() const { return max_rows_; }
  /// Output of layer i of the run, after ReLU and dropout (rows x its outputs).
  [[nodiscard]] MatrixView<float> activation(std::size_t i, std::size_t rows) const;
  /// Gradient by the output of layer i (rows x its outputs). The last one shares the memory of its
  /// activation, since the loss turns logits into their gradient in place.
  [[nodiscard]] MatrixView<float> delta(std::size_t i, std::size_t rows) const;
  [[nodiscard]] MatrixView<float> output(std::size_t rows) const {
    return activation(widths_.size() - 1, rows);
  }

 private:
  std::size_t max_rows_;
  std::vector<std::size_t> widths_;  ///< outputs of each layer of the run
  std::vector<AlignedArray<float>> activations_, deltas_;
};

}  // namespace fcmnist::model
