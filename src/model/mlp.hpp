#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/matrix_view.hpp"
#include "core/share.hpp"
#include "core/sparse_rows.hpp"
#include "model/options.hpp"
#include "model/products.hpp"

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
  std::span<const std::uint32_t> sample_ids;  ///< one for each sample
};

enum class Accumulate { write, add };

/// Rows of one layer's weight gradient, and the bias gradient with the last of them: what backward_weights()
/// finishes at once.
struct GradientPart {
  std::size_t layer = 0;  ///< index in the Mlp
  Range rows;
  Range numbers;  ///< the same numbers in the flat array
};

/// What forward() and backward_deltas() multiply. (What backward_weights() computes has parts of its own.)
enum class Product { forward, delta };

/// Told after the product of a layer: which one it was, and the layer's index over the network.
using OnProduct = std::function<void(Product product, std::size_t layer)>;

/// The images of a microbatch without their zeros. A feature is value + constant, where most values are 0.
struct SparseInput {
  SparseRows samples;  ///< (samples x inputs)
  SparseRows inputs;   ///< its transpose; for backward_weights() only
  float constant = 0.0F;
};

/// What forward() is given: the output of the stage before, or images, dense or sparse.
template <class T>
class Input {
 public:
  Input(MatrixView<const T> dense) : dense_(dense) {}     // NOLINT(google-explicit-constructor)
  Input(MatrixView<T> dense) : dense_(dense) {}           // NOLINT(google-explicit-constructor)
  Input(const SparseInput& sparse) : sparse_(&sparse) {}  // NOLINT(google-explicit-constructor)
  [[nodiscard]] MatrixView<const T> dense() const { return dense_; }
  /// nullptr if it is dense.
  [[nodiscard]] const SparseInput* sparse() const { return sparse_; }

 private:
  MatrixView<const T> dense_;
  const SparseInput* sparse_ = nullptr;
};

/// Activations and their gradients of one microbatch of at most `max_samples` samples, in numbers of type T
/// (float, BFloat16, Float16). Allocated once.
template <class T>
class BasicWorkspace;
using Workspace = BasicWorkspace<float>;

/// The layers of one stage of a multi-layer perceptron, or all of them: hidden layers Linear -> ReLU ->
/// Dropout, a last Linear whose outputs are the logits. Owns no numbers: weights and gradients are arenas of
/// layout(), activations a workspace, whose type is that of the weights. Gradients and logits are float.
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
  /// Index over the network of the first layer.
  [[nodiscard]] std::size_t first_layer() const { return layers_.front().index; }
  [[nodiscard]] std::size_t inputs() const { return layers_.front().inputs; }
  [[nodiscard]] std::size_t outputs() const { return layers_.back().outputs; }
  [[nodiscard]] bool begins_network() const { return layers_.front().index == 0; }
  [[nodiscard]] bool ends_network() const { return layers_.back().last; }
  [[nodiscard]] Precision precision() const { return options_.precision; }
  [[nodiscard]] double label_smoothing() const { return options_.label_smoothing; }
  /// Whether forward() and backward_weights() take images without their zeros.
  [[nodiscard]] bool takes_sparse_input() const { return begins_network() && has_sparse_first_layer(); }

  /// Writes initial weights: a pure function of (seed, layer, position), the same whatever the range is.
  void initialize(std::uint64_t seed, ArenaView<float> weights) const;

  /// Whether drop_inputs() does anything: with input_dropout, on the stage that begins the network.
  [[nodiscard]] bool drops_inputs() const { return begins_network() && options_.input_dropout > 0.0; }
  /// Dropout of the images of a training step, before forward(): inverted, of normalised pixels, as a torch.nn.Dropout in
  /// front of the first layer.
  ///   images  (samples x inputs()), dense; read and written
  template <class T>
  void drop_inputs(MatrixView<T> images, const DropoutContext& dropout) const;

  /// Computes all activations of a microbatch.
  ///   input       samples x inputs(), as images lie in memory, when the stage begins the network (in training after
  ///               drop_inputs()); else
  ///               inputs() x samples. At most workspace.max_samples() samples. Sparse if takes_sparse_input().
  ///   dropout     nullptr: evaluation, nothing is dropped
  /// The last layer's output is in the workspace: logits() when the stage ends the network, else output().
  ///   on_product  called after the product of each layer, if given
  template <class T>
  void forward(ArenaView<const T> weights, const Input<T>& input, const DropoutContext* dropout,
               BasicWorkspace<T>& workspace, const OnProduct& on_product = {}) const;

  /// The order in which backward_weights() finishes the gradient: the largest layer (by numbers) first, in
  /// parts of about `target` numbers that begin and end with a block (core/layout.hpp); 0: a layer is one
  /// part.
  [[nodiscard]] std::vector<GradientPart> gradient_parts(std::size_t target = 0) const;

  /// Backward, first half: gradients by the output of every layer, the deltas, after a forward() of the same
  /// samples with dropout (if the model has any). The gradient by this stage's output is in the workspace
  /// already, written by the caller: in place of the logits, or in d_output().
  ///   d_input  (inputs() x samples) receives the gradient by the input, or empty: not computed
  template <class T>
  void backward_deltas(ArenaView<const T> weights, std::size_t samples, BasicWorkspace<T>& workspace,
                       MatrixView<T> d_input = {}, const OnProduct& on_product = {}) const;

  /// Second half: gradients of the weights, from the deltas and activations.
  ///   input      as given to forward()
  ///   gradients  every slot is overwritten, or added to
  ///   parts      of gradient_parts(), computed in this order
  ///   on_part    called after each part, if given
  template <class T>
  void backward_weights(const Input<T>& input, BasicWorkspace<T>& workspace, Accumulate accumulate,
                        ArenaView<float> gradients, std::span<const GradientPart> parts,
                        const std::function<void()>& on_part = {}) const;

 private:
  template <class T>
  friend class BasicWorkspace;
  struct Layer {
    std::size_t index = 0;  ///< counted over the whole network
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    bool last = false;  ///< the network ends here: no ReLU, no dropout
    LayerGemms gemms;
    std::size_t weight_slot = 0;
    std::size_t bias_slot = 0;
  };
  [[nodiscard]] bool has_sparse_first_layer() const {
    return options_.input_products == InputProducts::sparse && options_.precision == Precision::float32;
  }
  void add_slots(Layer& layer, Layout& layout) const;
  template <class T>
  [[nodiscard]] std::span<const T> bias(ArenaView<const T> weights, const Layer& layer) const;
  template <class T>
  [[nodiscard]] std::size_t samples_of(const Input<T>& input) const;
  void sparse_hidden(ArenaView<const float> weights, const SparseInput& input, Workspace& workspace,
                     MatrixView<float> out) const;
  template <class T>
  void weight_gradient(const GradientPart& part, const Input<T>& input, BasicWorkspace<T>& workspace,
                       Accumulate accumulate, ArenaView<float> gradients) const;
  void sparse_weight_gradient(const GradientPart& part, const SparseInput& input, Workspace& workspace,
                              Accumulate accumulate, ArenaView<float> gradients) const;

  MlpOptions options_;
  std::vector<Layer> layers_;
  Layout layout_, network_layout_;
  std::size_t first_slot_ = 0;
};

template <class T>
class BasicWorkspace {
 public:
  using Number = T;

  BasicWorkspace(const Mlp& mlp, std::size_t max_samples);
  /// Memory that it takes, at most, without the code that oneDNN generates.
  static std::size_t bytes(const Mlp& mlp, std::size_t max_samples);

  [[nodiscard]] std::size_t max_samples() const { return max_samples_; }
  /// Where the caller puts the stage's input: samples x inputs when the stage begins the network, else
  /// inputs x samples.
  [[nodiscard]] MatrixView<T> input(std::size_t samples) const;
  /// For the gradient by the input (inputs x samples); empty when the stage begins the network.
  [[nodiscard]] MatrixView<T> d_input(std::size_t samples) const;
  /// Output of layer i, after ReLU and dropout (its outputs x samples). The network's last layer has one only
  /// when T is float: see logits().
  [[nodiscard]] MatrixView<T> activation(std::size_t i, std::size_t samples) const;
  /// Gradient by the output of layer i (its outputs x samples). In float, that of the network's last layer
  /// shares the memory of the logits, since the loss turns them into their gradient in place; with 16-bit
  /// numbers it is rounded from there.
  [[nodiscard]] MatrixView<T> delta(std::size_t i, std::size_t samples) const;
  /// Of a stage that ends the network (outputs x samples); empty in other stages.
  [[nodiscard]] MatrixView<float> logits(std::size_t samples) const;
  /// Of a stage that does not: its output, and the gradient by it.
  [[nodiscard]] MatrixView<T> output(std::size_t samples) const {
    return activation(units_.size() - 1, samples);
  }
  [[nodiscard]] MatrixView<T> d_output(std::size_t samples) const {
    return delta(units_.size() - 1, samples);
  }

 private:
  friend class Mlp;
  [[nodiscard]] std::size_t stride(std::size_t samples) const;

  std::size_t max_samples_;
  std::size_t inputs_;
  bool begins_network_, ends_network_;
  Products<T> products_;
  AlignedArray<T> input_, d_input_;
  std::vector<std::size_t> units_;  ///< outputs of each layer
  std::vector<AlignedArray<T>> activations_, deltas_;
  /// With sparse input: activations or deltas of the first layer, samples x outputs.
  [[nodiscard]] MatrixView<float> by_sample(std::size_t samples) const;
  AlignedArray<float> by_sample_;
  AlignedArray<float> logits_;  ///< empty when T is float: the last activation holds them
};

extern template class BasicWorkspace<float>;
extern template class BasicWorkspace<BFloat16>;
extern template class BasicWorkspace<Float16>;

/// Memory of a workspace in the numbers of the model's precision.
std::size_t workspace_bytes(const Mlp& mlp, std::size_t max_samples);

}  // namespace fcmnist::model
