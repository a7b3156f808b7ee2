#include "model/mlp.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/error.hpp"
#include "kernels/gemm.hpp"
#include "kernels/layer_ops.hpp"
#include "model/initializer.hpp"

namespace fcmnist::model {

using kernels::gemm;
using kernels::Op;

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
  layer.weight_slot = layout.add(name + ".weight", layer.outputs, layer.inputs);
  if (options_.use_bias) layer.bias_slot = layout.add(name + ".bias", 1, layer.outputs);
}

void Mlp::initialize(std::uint64_t seed, ArenaView<float> weights) const {
  for (const Layer& layer : layers_) {
    initialize_layer(options_.initializer, seed, layer.index, weights[layer.weight_slot],
                     options_.use_bias ? weights[layer.bias_slot].row(0) : std::span<float>());
  }
}

std::span<const float> Mlp::bias(ArenaView<const float> weights, const Layer& layer) const {
  return options_.use_bias ? weights[layer.bias_slot].row(0) : std::span<const float>();
}

std::size_t Mlp::samples_of(MatrixView<const float> input) const {
  return layers_.front().index == 0 ? input.rows : input.cols;
}

MatrixView<float> Mlp::forward(ArenaView<const float> weights, MatrixView<const float> input,
                               const DropoutContext* dropout, Workspace& workspace) const {
  const std::size_t samples = samples_of(input);
  FCMNIST_CHECK(input.rows * input.cols == samples * inputs() && samples <= workspace.max_samples(),
                fmt::format("input {} x {}, expected at most {} samples of {}", input.rows, input.cols,
                            workspace.max_samples(), inputs()));
  MatrixView<const float> below = input;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const MatrixView<float> out = workspace.activation(i, samples);
    gemm(layer.gemms.forward, Op::none, weights[layer.weight_slot],
         layer.index == 0 ? Op::transpose : Op::none, below, 1.0F, 0.0F, out);
    if (layer.last) {
      kernels::add_bias(out, bias(weights, layer));
    } else {
      kernels::add_bias_relu(out, bias(weights, layer));
      if (dropout != nullptr && options_.dropout > 0.0) {
        kernels::dropout(out, dropout->sample_ids, options_.dropout,
                         {dropout->seed, dropout->epoch, static_cast<std::uint32_t>(layer.index)});
      }
    }
    below = out;
  }
  return workspace.activation(layers_.size() - 1, samples);
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
      const Slot& bias = layout_[layers_[i].bias_slot];  // lies behind the weight
      parts.back().numbers.end = bias.offset + bias.count();
    }
  }
  return parts;
}

void Mlp::backward_deltas(ArenaView<const float> weights, std::size_t samples, Workspace& workspace,
                          MatrixView<float> d_input) const {
  const auto scale = static_cast<float>(1.0 / (1.0 - options_.dropout));
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    const MatrixView<float> delta = workspace.delta(i, samples);
    if (!layer.last) kernels::relu_dropout_backward(delta, workspace.activation(i, samples), scale);
    const MatrixView<float> below = i > 0 ? workspace.delta(i - 1, samples) : d_input;
    if (below.data != nullptr)
      gemm(layer.gemms.delta, Op::transpose, weights[layer.weight_slot], Op::none, delta, 1.0F, 0.0F, below);
  }
}

void Mlp::backward_weights(MatrixView<const float> input, Workspace& workspace, Accumulate accumulate,
                           ArenaView<float> gradients, std::span<const GradientPart> parts,
                           const std::function<void()>& on_part) const {
  for (const GradientPart& part : parts) {
    weight_gradient(part, input, workspace, accumulate, gradients);
    if (on_part) on_part();
  }
}

void Mlp::weight_gradient(const GradientPart& part, MatrixView<const float> input, Workspace& workspace,
                          Accumulate accumulate, ArenaView<float> gradients) const {
  const Layer& layer = layers_[part.layer];
  const std::size_t samples = samples_of(input);
  const MatrixView<const float> delta = workspace.delta(part.layer, samples);
  const MatrixView<const float> below =
      part.layer > 0 ? workspace.activation(part.layer - 1, samples) : input;
  const bool add = accumulate == Accumulate::add;
  gemm(layer.gemms.weight_gradient, Op::none, delta.middle(part.rows.begin, part.rows.size()),
       layer.index == 0 ? Op::none : Op::transpose, below, 1.0F, add ? 1.0F : 0.0F,
       gradients[layer.weight_slot].middle(part.rows.begin, part.rows.size()));
  if (options_.use_bias && part.rows.end == layer.outputs) {
    kernels::sum_samples(delta, gradients[layer.bias_slot].row(0), add);
  }
}

namespace {

/// Numbers from one unit's row to the next. An odd number of cache lines: rows that start a power of two
/// apart would share few places of the first-level cache.
std::size_t row_stride(std::size_t samples) {
  constexpr std::size_t line = 64 / sizeof(float);
  return ((samples + line - 1) / line | 1) * line;
}

}  // namespace

Workspace::Workspace(const Mlp& mlp, std::size_t max_samples)
    : max_samples_(max_samples),
      stride_(row_stride(max_samples)),
      inputs_(mlp.inputs()),
      begins_network_(mlp.layers_.front().index == 0),
      input_((begins_network_ ? max_samples : stride_) * inputs_),
      d_input_(begins_network_ ? 0 : stride_ * inputs_) {
  for (const auto& layer : mlp.layers_) {
    units_.push_back(layer.outputs);
    activations_.emplace_back(stride_ * layer.outputs);
    deltas_.emplace_back(layer.last ? 0 : stride_ * layer.outputs);
  }
}

std::size_t Workspace::bytes(const Mlp& mlp, std::size_t max_samples) {
  const std::size_t stride = row_stride(max_samples);
  const bool begins_network = mlp.layers_.front().index == 0;
  std::size_t numbers = (begins_network ? max_samples : 2 * stride) * mlp.inputs();
  for (const auto& layer : mlp.layers_) numbers += (layer.last ? 1 : 2) * stride * layer.outputs;
  return numbers * sizeof(float);
}

MatrixView<float> Workspace::input(std::size_t samples) const {
  if (begins_network_) return {input_.data(), samples, inputs_};
  return {input_.data(), inputs_, samples, stride_};
}

MatrixView<float> Workspace::d_input(std::size_t samples) const {
  if (begins_network_) return {};
  return {d_input_.data(), inputs_, samples, stride_};
}

MatrixView<float> Workspace::activation(std::size_t i, std::size_t samples) const {
  return {activations_[i].data(), units_[i], samples, stride_};
}

MatrixView<float> Workspace::delta(std::size_t i, std::size_t samples) const {
  const bool shared = deltas_[i].size() == 0;
  return {shared ? activations_[i].data() : deltas_[i].data(), units_[i], samples, stride_};
}

}  // namespace fcmnist::model
