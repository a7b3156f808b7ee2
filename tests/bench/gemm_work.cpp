#include "bench/gemm_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fcmnist::bench {

using kernels::Op;

namespace {

/// Ordinary numbers: time depends on values only when they are denormal.
template <class T>
AlignedArray<T> some_numbers(std::size_t count) {
  AlignedArray<T> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers.data()[i] = T(static_cast<float>(i % 1000) / 500.0F - 1.0F);
  return numbers;
}

/// A stored matrix whose op is rows x cols.
template <class T>
MatrixView<T> operand(const AlignedArray<T>& numbers, Op op, std::size_t rows, std::size_t cols) {
  if (op == Op::transpose) std::swap(rows, cols);
  return {numbers.data(), rows, cols};
}

// In the names below a batch matrix is "rows" as (samples x units) and "columns" as (units x samples).

/// Y = X W^T in rows, or Y^T = W X^T in columns.
Product forward(std::size_t batch, std::size_t in, std::size_t out, bool first) {
  Product product{{{batch, out, in, Op::none, Op::transpose}, {out, batch, in, Op::none, Op::transpose}}};
  if (!first) {
    product.ways.push_back({batch, out, in, Op::transpose, Op::transpose});
    product.ways.push_back({out, batch, in, Op::none, Op::none});
  }
  return product;
}

/// dX = dY W in rows, or dX^T = W^T dY^T in columns.
Product delta(std::size_t batch, std::size_t in, std::size_t out) {
  return {{{batch, in, out, Op::none, Op::none},
           {batch, in, out, Op::transpose, Op::none},
           {in, batch, out, Op::transpose, Op::none},
           {in, batch, out, Op::transpose, Op::transpose}}};
}

/// dW = dY^T X.
Product weight_gradient(std::size_t batch, std::size_t in, std::size_t out, bool first) {
  Product product{
      {{out, in, batch, Op::transpose, Op::none, true}, {out, in, batch, Op::none, Op::none, true}}};
  if (!first) {
    product.ways.push_back({out, in, batch, Op::transpose, Op::transpose, true});
    product.ways.push_back({out, in, batch, Op::none, Op::transpose, true});
  }
  return product;
}

/// The fastest way, the same on every rank.
template <class Call>
Gemm fastest(const Bench& bench, const Product& product) {
  std::vector<Call> calls;
  for (const Gemm& way : product.ways) calls.emplace_back(bench, way);
  std::vector<Timed> parts;
  for (const Call& call : calls) parts.push_back(in_a_row(bench.world(), [&call] { call(); }));
  Settings settings = bench.settings;
  settings.min_time_s /= static_cast<double>(parts.size());
  const Timings timings = time_in_turn(bench.world(), settings, parts);
  std::size_t best = 0;
  for (std::size_t way = 1; way < parts.size(); ++way) {
    if (timings.seconds(way) < timings.seconds(best)) best = way;
  }
  return product.ways[best];
}

}  // namespace

std::string to_string(const Gemm& gemm) {
  const auto letter = [](Op op) { return op == Op::none ? 'n' : 't'; };
  return fmt::format("{}x{}x{}/{}{}", gemm.m, gemm.n, gemm.k, letter(gemm.op_a), letter(gemm.op_b));
}

std::vector<Product> products_of(std::span<const std::size_t> widths, std::size_t batch) {
  std::vector<Product> products;
  const auto need = [&](Product product) {
    const auto same = std::ranges::find(products, product.ways, &Product::ways);
    if (same == products.end()) {
      products.push_back(std::move(product));
    } else {
      ++same->count;
    }
  };
  for (std::size_t layer = 0; layer + 1 < widths.size(); ++layer) {
    const std::size_t in = widths[layer], out = widths[layer + 1];
    const bool first = layer == 0;
    need(forward(batch, in, out, first));
    if (!first) need(delta(batch, in, out));
    need(weight_gradient(batch, in, out, first));
  }
  return products;
}

GemmCall::GemmCall(const Bench& bench, const Gemm& gemm)
    : backend_(bench.settings.gemm),
      gemm_(gemm),
      a_(some_numbers<float>(gemm.m * gemm.k)),
      b_(some_numbers<float>(gemm.k * gemm.n)),
      c_(gemm.m * gemm.n) {}

void GemmCall::operator()() const {
  const auto& [m, n, k, op_a, op_b, gradient] = gemm_;
  kernels::gemm(backend_, op_a, operand(a_, op_a, m, k), op_b, operand(b_, op_b, k, n), 1.0F, 0.0F,
                {c_.data(), m, n});
}

HalfGemmCall::HalfGemmCall(const Bench& bench, const Gemm& gemm)
    : backend_(bench.settings.gemm),
      gemm_(gemm),
      a_(some_numbers<BFloat16>(gemm.m * gemm.k)),
      b_(some_numbers<BFloat16>(gemm.k * gemm.n)),
      half_c_(gemm.gradient ? 0 : gemm.m * gemm.n),
      c_(gemm.gradient ? gemm.m * gemm.n : 0),
      multiply_(std::make_unique<kernels::HalfGemm<BFloat16>>()) {}

void HalfGemmCall::operator()() const {
  const auto& [m, n, k, op_a, op_b, gradient] = gemm_;
  const MatrixView<const BFloat16> a = operand(a_, op_a, m, k), b = operand(b_, op_b, k, n);
  if (gradient) {
    multiply_->product(backend_, op_a, a, op_b, b, false, MatrixView(c_.data(), m, n));
  } else {
    multiply_->product(backend_, op_a, a, op_b, b, MatrixView(half_c_.data(), m, n));
  }
}

template <class Call>
GemmsOfStep<Call>::GemmsOfStep(const Bench& bench, std::span<const std::size_t> widths, std::size_t batch)
    : world_(&bench.world()) {
  for (const Product& product : products_of(widths, batch)) {
    choices_.push_back({Call(bench, fastest<Call>(bench, product)), product.count});
  }
}

template <class Call>
double GemmsOfStep<Call>::flop() const {
  double sum = 0.0;
  for (const Choice& choice : choices_) sum += choice.count * choice.call.gemm().flop();
  return sum;
}

template <class Call>
Timed GemmsOfStep<Call>::timed() const {
  return [this](int calls) {
    double sum_s = 0.0;
    for (const Choice& choice : choices_) {
      sum_s += choice.count * in_a_row(*world_, [&choice] { choice.call(); })(calls);
    }
    return sum_s;
  };
}

template class GemmsOfStep<GemmCall>;
template class GemmsOfStep<HalfGemmCall>;

}  // namespace fcmnist::bench
