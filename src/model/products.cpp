#include "model/products.hpp"

#include "core/convert.hpp"
#include "kernels/layer_ops.hpp"

namespace fcmnist::model {

using kernels::GemmBackend;
using kernels::Op;

void Products<float>::hidden(GemmBackend backend, MatrixView<const float> weight, std::span<const float> bias,
                             Op op_b, MatrixView<const float> below, MatrixView<float> out) {
  kernels::gemm(backend, Op::none, weight, op_b, below, 1.0F, 0.0F, out);
  kernels::add_bias_relu(out, bias);
}

void Products<float>::logits(GemmBackend backend, MatrixView<const float> weight, std::span<const float> bias,
                             Op op_b, MatrixView<const float> below, MatrixView<float> out) {
  kernels::gemm(backend, Op::none, weight, op_b, below, 1.0F, 0.0F, out);
  kernels::add_bias(out, bias);
}

void Products<float>::delta(GemmBackend backend, MatrixView<const float> weight,
                            MatrixView<const float> delta, MatrixView<float> out) {
  kernels::gemm(backend, Op::transpose, weight, Op::none, delta, 1.0F, 0.0F, out);
}

void Products<float>::weight_gradient(GemmBackend backend, MatrixView<const float> delta, Op op_b,
                                      MatrixView<const float> below, bool add, MatrixView<float> out) {
  kernels::gemm(backend, Op::none, delta, op_b, below, 1.0F, add ? 1.0F : 0.0F, out);
}

template <class Half>
std::span<const float> Products<Half>::wide(std::span<const Half> bias) {
  if (bias_.size() < bias.size()) bias_ = AlignedArray<float>(bias.size());
  const std::span<float> result(bias_.data(), bias.size());
  convert(bias, result);
  return result;
}

template <class Half>
void Products<Half>::hidden(GemmBackend backend, MatrixView<const Half> weight, std::span<const Half> bias,
                            Op op_b, MatrixView<const Half> below, MatrixView<Half> out) {
  gemm_.product_bias_relu(backend, Op::none, weight, op_b, below, wide(bias), out);
}

template <class Half>
void Products<Half>::logits(GemmBackend backend, MatrixView<const Half> weight, std::span<const Half> bias,
                            Op op_b, MatrixView<const Half> below, MatrixView<float> out) {
  gemm_.product(backend, Op::none, weight, op_b, below, false, out);
  kernels::add_bias(out, wide(bias));
}

template <class Half>
void Products<Half>::delta(GemmBackend backend, MatrixView<const Half> weight, MatrixView<const Half> delta,
                           MatrixView<Half> out) {
  gemm_.product(backend, Op::transpose, weight, Op::none, delta, out);
}

template <class Half>
void Products<Half>::weight_gradient(GemmBackend backend, MatrixView<const Half> delta, Op op_b,
                                     MatrixView<const Half> below, bool add, MatrixView<float> out) {
  gemm_.product(backend, Op::none, delta, op_b, below, add, out);
}

template class Products<BFloat16>;
template class Products<Float16>;

}  // namespace fcmnist::model
