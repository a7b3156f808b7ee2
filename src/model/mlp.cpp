#include "model/mlp.hpp"

#include <fmt/format.h>

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

Mlp::Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, kernels::GemmBackend gemm_backend)
    : Mlp(widths, options, gemm_backend, LayerRange{0, widths.size() - 1}) {}

Mlp::Mlp(const std::vector<std::size_t>& widths, const MlpOptions& options, kernels::GemmBackend gemm_backend,
         LayerRange range)
    : options_(options), gemm_backend_(gemm_backend) {
  const std::size_t all_layers = widths.size() - 1;
  FCMNIST_CHECK(range.begin < range.end && range.end <= all_layers,
                fmt::format("layers [{}, {}) of {}", range.begin, range.end, all_layers));
  for (std::size_t i = range.begin; i < range.end; ++i) {
    Layer layer{i, widths[i], widths[i + 1], i + 1 == all_layers};
    const std::string name = layer.last ? "last_layer" : fmt::format("fc_layers.{}", i);
    layer.weight_slot = layout_.add(name + ".weight", layer.outputs, layer.inputs);
    if (options_.use_bias) layer.bias_slot = layout_.add(name + ".bias", 1, layer.outputs);
    layers_.push_back(layer);
  }
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

MatrixView<float> Mlp::forward(ArenaView<const float> weights, MatrixView<const float> input,
                               const DropoutContext* dropout, Workspace& workspace) const {
  FCMNIST_CHECK(input.cols == inputs() && input.rows <= workspace.max_rows(),
                fmt::format("input {} x {}, expected at most {} x {}", input.rows, input.cols,
                            workspace.max_rows(), inputs()));
  MatrixView<const float> below = input;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const MatrixView<float> out = workspace.activation(i, input.rows);
    gemm(gemm_backend_, Op::none, below, Op::transpose, weights[layer.weight_slot], 1.0F, 0.0F, out);
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
  return workspace.output(input.rows);
}

void Mlp::backward(ArenaView<const float> weights, MatrixView<const float> input, Workspace& workspace,
                   Accumulate accumulate, ArenaView<float> gradients, MatrixView<float> d_input) const {
  const std::size_t rows = input.rows;
  const auto scale = static_cast<float>(1.0 / (1.0 - options_.dropout));
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const Layer& layer = layers_[i];
    const MatrixView<float> delta = workspace.delta(i, rows);
    if (!layer.last) kernels::relu_dropout_backward(delta, workspace.activation(i, rows), scale);
    const MatrixView<float> below = i > 0 ? workspace.delta(i - 1, rows) : d_input;
    if (below.data != nullptr)
      gemm(gemm_backend_, Op::none, delta, Op::none, weights[layer.weight_slot], 1.0F, 0.0F, below);
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    weight_gradients(layers_[i], i > 0 ? workspace.activation(i - 1, rows) : input, workspace.delta(i, rows),
                     accumulate, gradients);
  }
}

void Mlp::weight_gradients(const Layer& layer, MatrixView<const float> input, MatrixView<const float> delta,
                           Accumulate accumulate, ArenaView<float> gradients) const {
  const bool add = accumulate == Accumulate::add;
  gemm(gemm_backend_, Op::transpose, delta, Op::none, input, 1.0F, add ? 1.0F : 0.0F,
       gradients[layer.weight_slot]);
  if (options_.use_bias) kernels::sum_rows(delta, gradients[layer.bias_slot].row(0), add);
}

Workspace::Workspace(const Mlp& mlp, std::size_t max_rows) : max_rows_(max_rows) {
  for (const auto& layer : mlp.layers_) {
    widths_.push_back(layer.outputs);
    activations_.emplace_back(max_rows * layer.outputs);
    deltas_.emplace_back(&layer == &mlp.layers_.back() && layer.last ? 0 : max_rows * layer.outputs);
  }
}

MatrixView<float> Workspace::activation(std::size_t i, std::size_t rows) const {
  return {activations_[i].data(), rows, widths_[i]};
}

MatrixView<float> Workspace::delta(std::size_t i, std::size_t rows) const {
  const bool shared = deltas_[i].size() == 0;
  return {shared ? activations_[i].data() : deltas_[i].data(), rows, widths_[i]};
}

}  // namespace fcmnist::model
