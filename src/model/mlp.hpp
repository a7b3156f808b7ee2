#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/matrix_view.hpp"
#include "core/share.hpp"
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
  std::span<const std::uint32_t> sample_ids;  ///< one per sample
};

enum class Accumulate { write, add };

/// Rows of one layer's weight gradient, and the bias gradient with the last of them: what backward_weights()
/// finishes at once.
struct GradientPart {
  std::size_t layer = 0;  ///< of the run
  Range rows;
  Range numbers;  ///< in the flat array
};

/// Activations and their gradients of one microbatch of at most `max_samples` samples. Allocated once.
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
  Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, const GemmChoice& gemms);
  /// Layers [range.begin, range.end) of it.
  Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, const GemmChoice& gemms,
      LayerRange range);

  [[nodiscard]] const Layout& layout() const { return layout_; }
  /// Of all layers of the network: layout() is a contiguous piece of it, gaps included.
  [[nodiscard]] const Layout& network_layout() const { return network_layout_; }
  /// Index in network_layout() of the first slot of layout().
  [[nodiscard]] std::size_t first_slot() const { return first_slot_; }
  [[nodiscard]] std::size_t layer_count() const { return layers_.size(); }
  [[nodiscard]] std::size_t inputs() const { return layers_.front().inputs; }
  [[nodiscard]] std::size_t outputs() const { return layers_.back().outputs; }

  /// Writes initial weights: a pure function of (seed, layer, position), the same whatever the range is.
  void initialize(std::uint64_t seed, ArenaView<float> weights) const;

  /// Computes all activations of a microbatch.
  ///   input    samples x inputs(), as images lie in memory, when the run begins the network; else
  ///            inputs() x samples. At most workspace.max_samples() samples.
  ///   dropout  nullptr: evaluation, nothing is dropped
  /// Returns the last layer's output (outputs() x samples), in the workspace: logits when the run ends the
  /// network.
  MatrixView<float> forward(ArenaView<const float> weights, MatrixView<const float> input,
                            const DropoutContext* dropout, Workspace& workspace) const;

  /// The order in which backward_weights() finishes the gradient: the largest layer (by numbers) first, in
  /// parts of about `target` numbers that begin and end with a block (core/layout.hpp); 0: a layer is one
  /// part.
  [[nodiscard]] std::vector<GradientPart> gradient_parts(std::size_t target = 0) const;

  /// Backward, first half: gradients by the output of every layer, the deltas, after a forward() of the same
  /// samples with dropout (if the model has any). The delta of the last layer, the gradient by this run's
  /// output, is in the workspace already, written by the caller.
  ///   d_input  (inputs() x samples) receives the gradient by the input, or empty: not computed
  void backward_deltas(ArenaView<const float> weights, std::size_t samples, Workspace& workspace,
                       MatrixView<float> d_input = {}) const;

  /// Second half: gradients of the weights, from the deltas and activations.
  ///   input      as given to forward()
  ///   gradients  every slot is overwritten, or added to
  ///   parts      of gradient_parts(), computed in this order
  ///   on_part    called after each part, if given
  void backward_weights(MatrixView<const float> input, Workspace& workspace, Accumulate accumulate,
                        ArenaView<float> gradients, std::span<const GradientPart> parts,
                        const std::function<void()>& on_part = {}) const;

 private:
  friend class Workspace;
  struct Layer {
    std::size_t index = 0;  ///< over the whole network
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    bool last = false;  ///< of the network: no ReLU, no dropout
    LayerGemms gemms;
    std::size_t weight_slot = 0;
    std::size_t bias_slot = 0;
  };
  void add_slots(Layer& layer, Layout& layout) const;
  [[nodiscard]] std::span<const float> bias(ArenaView<const float> weights, const Layer& layer) const;
  [[nodiscard]] std::size_t samples_of(MatrixView<const float> input) const;
  void weight_gradient(const GradientPart& part, MatrixView<const float> input, Workspace& workspace,
                       Accumulate accumulate, ArenaView<float> gradients) const;

  MlpOptions options_;
  std::vector<Layer> layers_;
  Layout layout_, network_layout_;
  std::size_t first_slot_ = 0;
};

class Workspace {
 public:
  Workspace(const Mlp& mlp, std::size_t max_samples);
  /// Memory that it takes.
  static std::size_t bytes(const Mlp& mlp, std::size_t max_samples);

  [[nodiscard]] std::size_t max_samples() const { return max_samples_; }
  /// Where the caller puts the run's input: samples x inputs when the run begins the network, else inputs x
  /// samples.
  [[nodiscard]] MatrixView<float> input(std::size_t samples) const;
  /// For the gradient by the input (inputs x samples); empty when the run begins the network.
  [[nodiscard]] MatrixView<float> d_input(std::size_t samples) const;
  /// Output of layer i of the run, after ReLU and dropout (its outputs x samples).
  [[nodiscard]] MatrixView<float> activation(std::size_t i, std::size_t samples) const;
  /// Gradient by the output of layer i (its outputs x samples). That of the network's last layer shares the
  /// memory of its activation, since the loss turns logits into their gradient in place.
  [[nodiscard]] MatrixView<float> delta(std::size_t i, std::size_t samples) const;

 private:
  std::size_t max_samples_;
  std::size_t stride_;
  std::size_t inputs_;
  bool begins_network_;
  AlignedArray<float> input_, d_input_;
  std::vector<std::size_t> units_;  ///< outputs of each layer of the run
  std::vector<AlignedArray<float>> activations_, deltas_;
};

}  // namespace fcmnist::model
