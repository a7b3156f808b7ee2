#include <algorithm>
#include <type_traits>

#include "model/mlp.hpp"

namespace fcmnist::model {

namespace {

/// Numbers from one unit's row to the next. In float an odd number of cache lines: rows that start a power of
/// two apart would share few places of the first-level cache. Products of 16-bit numbers are fastest
/// without gaps.
template <class T>
std::size_t row_stride(std::size_t samples) {
  if constexpr (!std::is_same_v<T, float>) return samples;
  constexpr std::size_t line = 64 / sizeof(float);
  return ((samples + line - 1) / line | 1) * line;
}

}  // namespace

template <class T>
BasicWorkspace<T>::BasicWorkspace(const Mlp& mlp, std::size_t max_samples)
    : max_samples_(max_samples),
      inputs_(mlp.inputs()),
      begins_network_(mlp.begins_network()),
      ends_network_(mlp.ends_network()),
      input_(mlp.takes_sparse_input()
                 ? 0
                 : (begins_network_ ? max_samples : row_stride<T>(max_samples)) * inputs_),
      d_input_(begins_network_ ? 0 : row_stride<T>(max_samples) * inputs_) {
  constexpr bool is_float = std::is_same_v<T, float>;
  for (const auto& layer : mlp.layers_) {
    const std::size_t numbers = row_stride<T>(max_samples) * layer.outputs;
    units_.push_back(layer.outputs);
    activations_.emplace_back(layer.last && !is_float ? 0 : numbers);
    deltas_.emplace_back(layer.last && is_float ? 0 : numbers);
  }
  if (mlp.takes_sparse_input()) {
    by_sample_ = AlignedArray<float>(max_samples * row_stride<float>(units_.front()));
  }
  if (ends_network_ && !is_float) logits_ = AlignedArray<float>(max_samples * mlp.outputs());
}

template <class T>
std::size_t BasicWorkspace<T>::bytes(const Mlp& mlp, std::size_t max_samples) {
  const std::size_t stride = row_stride<T>(max_samples);
  const bool begins_network = mlp.begins_network();
  std::size_t numbers = (begins_network ? max_samples : 2 * stride) * mlp.inputs();
  if (mlp.takes_sparse_input()) numbers = max_samples * row_stride<float>(mlp.layers_.front().outputs);
  for (const auto& layer : mlp.layers_) numbers += (layer.last ? 1 : 2) * stride * layer.outputs;
  if constexpr (std::is_same_v<T, float>) return numbers * sizeof(T);
  std::size_t wide = mlp.ends_network() ? max_samples * mlp.outputs() : 0;  // for the logits
  std::size_t widest = 0, largest_weight = 0;
  for (const auto& layer : mlp.layers_) {
    widest = std::max({widest, layer.inputs, layer.outputs});
    largest_weight = std::max(largest_weight, layer.inputs * layer.outputs);
  }
  wide += widest * max_samples;  // 16-bit products are added up there; see kernels::HalfGemm
  if (kernels::best_half_compute(kernels::half_type_of<T>) == kernels::HalfCompute::emulated) {
    wide += std::max(largest_weight, widest * max_samples) + widest * max_samples;
  }
  return numbers * sizeof(T) + wide * sizeof(float);
}

template <class T>
MatrixView<float> BasicWorkspace<T>::by_sample(std::size_t samples) const {
  return {by_sample_.data(), samples, units_.front(), row_stride<float>(units_.front())};
}

template <class T>
std::size_t BasicWorkspace<T>::stride(std::size_t samples) const {
  return row_stride<T>(std::is_same_v<T, float> ? max_samples_ : samples);
}

template <class T>
MatrixView<T> BasicWorkspace<T>::input(std::size_t samples) const {
  if (begins_network_) return {input_.data(), samples, inputs_};
  return {input_.data(), inputs_, samples, stride(samples)};
}

template <class T>
MatrixView<T> BasicWorkspace<T>::d_input(std::size_t samples) const {
  if (begins_network_) return {};
  return {d_input_.data(), inputs_, samples, stride(samples)};
}

template <class T>
MatrixView<T> BasicWorkspace<T>::activation(std::size_t i, std::size_t samples) const {
  return {activations_[i].data(), units_[i], samples, stride(samples)};
}

template <class T>
MatrixView<T> BasicWorkspace<T>::delta(std::size_t i, std::size_t samples) const {
  const bool shared = deltas_[i].size() == 0;
  return {shared ? activations_[i].data() : deltas_[i].data(), units_[i], samples, stride(samples)};
}

template <class T>
MatrixView<float> BasicWorkspace<T>::logits(std::size_t samples) const {
  if (!ends_network_) return {};
  if constexpr (std::is_same_v<T, float>) {
    return output(samples);
  } else {
    return {logits_.data(), units_.back(), samples};
  }
}

template class BasicWorkspace<float>;
template class BasicWorkspace<BFloat16>;
template class BasicWorkspace<Float16>;

std::size_t workspace_bytes(const Mlp& mlp, std::size_t max_samples) {
  return with_number_type(mlp.precision(),
                          [&]<class T>() { return BasicWorkspace<T>::bytes(mlp, max_samples); });
}

}  // namespace fcmnist::model
