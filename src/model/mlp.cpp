#include "model/mlp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/convert.hpp"
#include "core/error.hpp"
#include "core/transpose.hpp"
#include "kernels/gemm.hpp"
#include "kernels/half_layer_ops.hpp"
#include "kernels/layer_ops.hpp"
#include "kernels/sparse_products.hpp"
#include "model/initializer.hpp"

namespace fcmnist::model {

using kernels::Op;

namespace {

/// Takes the place of the layer in the key of the inputs' dropout masks. Hidden layers have 0 to 254.
constexpr std::uint32_t layer_of_inputs = 255;

}  // namespace

std::vector<std::size_t> widths_of(const MlpOptions& options, std::size_t features) {
  std::vector<std::size_t> widths = {features};
  for (const int size : options.hidden_sizes) widths.push_back(static_cast<std::size_t>(size));
  widths.push_back(static_cast<std::size_t>(options.num_classes));
  return widths;
}

Mlp::Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, const GemmChoice& gemms)
    : Mlp(widths, options, gemms, LayerRange{0, widths.size() - 1}) {}

Mlp::Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, const GemmChoice& gemms,
         LayerRange range)
    : options_(options) {
  const std::size_t all_layers = widths.size() - 1;
  FCMNIST_CHECK(range.begin < range.end && range.end <= all_layers,
                fmt::format("layers [{}, {}) of {}", range.begin, range.end, all_layers));
  for (std::size_t i = 0; i < all_layers; ++i) {
    Layer layer{i, widths[i], widths[i + 1], i + 1 == all_layers, gemms.of(i)};
    if (i == range.begin) first_slot_ = network_layout_.slots().size();
    add_slots(layer, network_layout_);
    if (i < range.begin || i >= range.end) continue;
    add_slots(layer, layout_);
    layers_.push_back(layer);
  }
}

void Mlp::add_slots(Layer& layer, Layout& layout) const {
  const std::string name = layer.last ? "last_layer" : fmt::format("fc_layers.{}", layer.index);
  layer.weight_slot = layer.index == 0 && has_sparse_first_layer()
                          ? layout.add(name + ".weight", layer.inputs, layer.outputs, Order::transposed)
                          : layout.add(name + ".weight", layer.outputs, layer.inputs);
  if (options_.use_bias) layer.bias_slot = layout.add(name + ".bias", 1, layer.outputs);
}

void Mlp::initialize(std::uint64_t seed, ArenaView<float> weights) const {
  for (const Layer& layer : layers_) {
    initialize_layer(options_.initializer, seed, layer.index, weights[layer.weight_slot],
                     layout_[layer.weight_slot].order,
                     options_.use_bias ? weights[layer.bias_slot].row(0) : std::span<float>());
  }
}

template <class T>
std::span<const T> Mlp::bias(ArenaView<const T> weights, const Layer& layer) const {
  return options_.use_bias ? weights[layer.bias_slot].row(0) : std::span<const T>();
}

template <class T>
std::size_t Mlp::samples_of(const Input<T>& input) const {
  if (input.sparse() != nullptr) return input.sparse()->samples.rows();
  return begins_network() ? input.dense().rows : input.dense().cols;
}

template <class T>
void Mlp::drop_inputs(MatrixView<T> images, const DropoutContext& dropout) const {
  FCMNIST_CHECK(!takes_sparse_input() && images.cols == inputs(),
                fmt::format("{} inputs, {} expected", images.cols, inputs()));
  if (!drops_inputs()) return;
  kernels::dropout_by_sample(images, dropout.sample_ids, options_.input_dropout,
                             {dropout.seed, dropout.epoch, layer_of_inputs});
}

template <class T>
void Mlp::forward(ArenaView<const T> weights, const Input<T>& input, const DropoutContext* dropout,
                  BasicWorkspace<T>& workspace, const OnProduct& on_product) const {
  const std::size_t samples = samples_of(input);
  const bool is_sparse = input.sparse() != nullptr;
  FCMNIST_CHECK(is_sparse == takes_sparse_input() && samples <= workspace.max_samples() &&
                    (is_sparse || input.dense().rows * input.dense().cols == samples * inputs()),
                fmt::format("{} input, {} samples, expected at most {} of {}", is_sparse ? "sparse" : "dense",
                            samples, workspace.max_samples(), inputs()));
  Products<T>& products = workspace.products_;
  MatrixView<const T> below = input.dense();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const MatrixView<const T> weight = weights[layer.weight_slot];
    const Op op_b = layer.index == 0 ? Op::transpose : Op::none;
    if (layer.last) {
      products.logits(layer.gemms.forward, weight, bias(weights, layer), op_b, below,
                      workspace.logits(samples));
      if (on_product) on_product(Product::forward, layer.index);
      return;
    }
    const MatrixView<T> out = workspace.activation(i, samples);
    if constexpr (std::is_same_v<T, float>) {
      if (is_sparse && i == 0) sparse_hidden(weights, *input.sparse(), workspace, out);
    }
    if (!is_sparse || i > 0) {
      products.hidden(layer.gemms.forward, weight, bias(weights, layer), op_b, below, out);
    }
    const double dropped = options_.dropout.of(layer.index);
    if (dropout != nullptr && dropped > 0.0) {
      kernels::dropout(out, dropout->sample_ids, dropped,
                       {dropout->seed, dropout->epoch, static_cast<std::uint32_t>(layer.index)});
    }
    if (on_product) on_product(Product::forward, layer.index);
    below = out;
  }
}

void Mlp::sparse_hidden(ArenaView<const float> weights, const SparseInput& input, Workspace& workspace,
                        MatrixView<float> out) const {
  const Layer& layer = layers_.front();
  const MatrixView<float> by_sample = workspace.by_sample(out.cols);
  kernels::sparse_hidden(input.samples, input.constant, weights[layer.weight_slot], bias(weights, layer),
                         by_sample);
  transpose(by_sample, out);
}

std::vector<GradientPart> Mlp::gradient_parts(std::size_t target) const {
  std::vector<std::size_t> order(layers_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return layers_[i].inputs * layers_[i].outputs; });
  const std::vector<Block> blocks = blocks_of(layout_);
  std::vector<GradientPart> parts;
  for (const std::size_t i : order) {
    const Slot& weight = layout_[layers_[i].weight_slot];
    std::size_t begin = 0;
    for (const Block& block : blocks) {
      if (block.slot != layers_[i].weight_slot) continue;
      const std::size_t end = block.offset - weight.offset + block.count;
      const bool last = end == weight.count();
      const bool enough = target > 0 && end - begin >= target && end % weight.cols == 0;
      if (!last && !enough) continue;
      parts.push_back(
          {i, {begin / weight.cols, end / weight.cols}, {weight.offset + begin, weight.offset + end}});
      begin = end;
    }
    if (options_.use_bias) {
      const Slot& bias = layout_[layers_[i].bias_slot];  // it lies behind the weight
      parts.back().numbers.end = bias.offset + bias.count();
    }
  }
  return parts;
}

template <class T>
void Mlp::backward_deltas(ArenaView<const T> weights, std::size_t samples, BasicWorkspace<T>& workspace,
                          MatrixView<T> d_input, const OnProduct& on_product) const {
  if constexpr (!std::is_same_v<T, float>) {
    if (ends_network()) {
      convert(MatrixView<const float>(workspace.logits(samples)), workspace.d_output(samples));
    }
  }
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    const MatrixView<T> delta = workspace.delta(i, samples);
    if (!layer.last) {
      const auto scale = static_cast<float>(1.0 / (1.0 - options_.dropout.of(layer.index)));
      kernels::relu_dropout_backward(delta, MatrixView<const T>(workspace.activation(i, samples)), scale);
    }
    const MatrixView<T> below = i > 0 ? workspace.delta(i - 1, samples) : d_input;
    if (below.data != nullptr) {
      workspace.products_.delta(layer.gemms.delta, weights[layer.weight_slot], delta, below);
    }
    if (on_product) on_product(Product::delta, layer.index);
  }
}

template <class T>
void Mlp::backward_weights(const Input<T>& input, BasicWorkspace<T>& workspace, Accumulate accumulate,
                           ArenaView<float> gradients, std::span<const GradientPart> parts,
                           const std::function<void()>& on_part) const {
  for (const GradientPart& part : parts) {
    weight_gradient(part, input, workspace, accumulate, gradients);
    if (on_part) on_part();
  }
}

template <class T>
void Mlp::weight_gradient(const GradientPart& part, const Input<T>& input, BasicWorkspace<T>& workspace,
                          Accumulate accumulate, ArenaView<float> gradients) const {
  const Layer& layer = layers_[part.layer];
  if constexpr (std::is_same_v<T, float>) {
    if (input.sparse() != nullptr && part.layer == 0) {
      return sparse_weight_gradient(part, *input.sparse(), workspace, accumulate, gradients);
    }
  }
  const std::size_t samples = samples_of(input);
  const MatrixView<const T> delta = workspace.delta(part.layer, samples);
  const MatrixView<const T> below =
      part.layer > 0 ? workspace.activation(part.layer - 1, samples) : input.dense();
  const bool add = accumulate == Accumulate::add;
  workspace.products_.weight_gradient(layer.gemms.weight_gradient,
                                      delta.middle(part.rows.begin, part.rows.size()),
                                      layer.index == 0 ? Op::none : Op::transpose, below, add,
                                      gradients[layer.weight_slot].middle(part.rows.begin, part.rows.size()));
  if (options_.use_bias && part.rows.end == layer.outputs) {
    kernels::sum_samples(delta, gradients[layer.bias_slot].row(0), add);
  }
}

/// Of a part these are the rows of some inputs.
void Mlp::sparse_weight_gradient(const GradientPart& part, const SparseInput& input, Workspace& workspace,
                                 Accumulate accumulate, ArenaView<float> gradients) const {
  const Layer& layer = layers_.front();
  const std::size_t samples = input.samples.rows();
  const bool add = accumulate == Accumulate::add;
  const MatrixView<float> delta = workspace.delta(0, samples);
  const MatrixView<float> by_sample = workspace.by_sample(samples);
  if (part.rows.begin == 0) transpose(delta, by_sample);  // the parts of a layer come in order
  const MatrixView<float> gradient = gradients[layer.weight_slot];
  kernels::sparse_weight_gradient(input.inputs, part.rows.begin, input.constant, by_sample, add,
                                  gradient.middle(part.rows.begin, part.rows.size()));
  if (options_.use_bias && part.rows.end == gradient.rows) {
    kernels::sum_samples(delta, gradients[layer.bias_slot].row(0), add);
  }
}

// The three arithmetics.
#define FCMNIST_INSTANTIATE(T)                                                                              \
  template void Mlp::drop_inputs<T>(MatrixView<T>, const DropoutContext&) const;                            \
  template void Mlp::forward<T>(ArenaView<const T>, const Input<T>&, const DropoutContext*,                 \
                                BasicWorkspace<T>&, const OnProduct&) const;                                \
  template void Mlp::backward_deltas<T>(ArenaView<const T>, std::size_t, BasicWorkspace<T>&, MatrixView<T>, \
                                        const OnProduct&) const;                                            \
  template void Mlp::backward_weights<T>(const Input<T>&, BasicWorkspace<T>&, Accumulate, ArenaView<float>, \
                                         std::span<const GradientPart>, const std::function<void()>&) const;
FCMNIST_INSTANTIATE(float)
FCMNIST_INSTANTIATE(BFloat16)
FCMNIST_INSTANTIATE(Float16)
#undef FCMNIST_INSTANTIATE

}  // namespace fcmnist::model
