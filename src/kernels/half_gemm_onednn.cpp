#include "kernels/half_gemm_onednn.hpp"

#include <fmt/format.h>

#include <compare>
#include <dnnl.hpp>
#include <map>
#include <new>
#include <unordered_map>

#include "core/error.hpp"
#include "kernels/gemm_onednn.hpp"

namespace fcmnist::kernels {

namespace {

using dnnl::memory;

/// Describes a row-major matrix, or the transpose of one, to oneDNN.
struct Matrix {
  std::size_t rows, cols, stride;
  bool transposed, half;
  auto operator<=>(const Matrix&) const = default;

  [[nodiscard]] memory::desc description() const {
    const auto dim = [](std::size_t value) { return static_cast<memory::dim>(value); };
    const memory::data_type type = half ? memory::data_type::bf16 : memory::data_type::f32;
    if (transposed) return {{dim(cols), dim(rows)}, type, memory::dims{1, dim(stride)}};
    return {{dim(rows), dim(cols)}, type, memory::dims{dim(stride), 1}};
  }
};

template <class T>
Matrix matrix_of(Op op, MatrixView<T> view) {
  return {view.rows, view.cols, view.stride, op == Op::transpose,
          std::is_same_v<std::remove_const_t<T>, BFloat16>};
}

struct Shape {
  Matrix a, b, c;
  bool add;
  auto operator<=>(const Shape&) const = default;
};

/// oneDNN's code for one shape, and the arguments of a call. To make new arguments takes three times as long
/// as a call for a small product.
struct Primitive {
  dnnl::matmul matmul;
  memory a, b, c;
  std::unordered_map<int, memory> arguments;
};

Primitive make_primitive(const dnnl::engine& engine, const Shape& shape) {
  dnnl::primitive_attr attributes;
  if (shape.add) {
    dnnl::post_ops after;
    after.append_sum(1.0F);
    attributes.set_post_ops(after);
  }
  const memory::desc a = shape.a.description(), b = shape.b.description(), c = shape.c.description();
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, engine);
  Primitive made{dnnl::matmul(description),
                 memory(a, engine, nullptr),
                 memory(b, engine, nullptr),
                 memory(c, engine, nullptr),
                 {}};
  made.arguments = {{DNNL_ARG_SRC, made.a}, {DNNL_ARG_WEIGHTS, made.b}, {DNNL_ARG_DST, made.c}};
  return made;
}

/// An instruction set of oneDNN is a bit mask. It has all bits of the sets that it includes.
bool includes(dnnl_cpu_isa_t isa, dnnl_cpu_isa_t other) { return (isa & other) == other; }

}  // namespace

HalfCompute onednn_half_compute() {
  const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
  if (includes(isa, dnnl_cpu_isa_avx512_core_amx)) return HalfCompute::amx_bf16;
  return includes(isa, dnnl_cpu_isa_avx512_core_bf16) ? HalfCompute::avx512_bf16 : HalfCompute::emulated;
}

struct OneDnnProducts::State {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::map<Shape, Primitive> primitives;

  template <class T>
  void product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b, bool add,
               MatrixView<T> c) {
    const Shape shape{matrix_of(op_a, a), matrix_of(op_b, b), matrix_of(Op::none, c), add};
    try {
      auto place = primitives.find(shape);
      if (place == primitives.end()) {
        check_memory_for_code();
        place = primitives.emplace(shape, make_primitive(engine, shape)).first;
      }
      Primitive& primitive = place->second;
      primitive.a.set_data_handle(const_cast<BFloat16*>(a.data));  // oneDNN has no constant memory
      primitive.b.set_data_handle(const_cast<BFloat16*>(b.data));
      primitive.c.set_data_handle(c.data);
      primitive.matmul.execute(stream, primitive.arguments);
      stream.wait();
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_out_of_memory) throw std::bad_alloc();
      FCMNIST_CHECK(false, fmt::format("oneDNN matmul into {} x {}: {}", c.rows, c.cols, error.what()));
    }
  }
};

OneDnnProducts::OneDnnProducts() : state_(std::make_unique<State>()) {}
OneDnnProducts::~OneDnnProducts() = default;
OneDnnProducts::OneDnnProducts(OneDnnProducts&&) noexcept = default;

void OneDnnProducts::product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b,
                             MatrixView<BFloat16> c) {
  state_->product(op_a, a, op_b, b, false, c);
}

void OneDnnProducts::product(Op op_a, MatrixView<const BFloat16> a, Op op_b, MatrixView<const BFloat16> b,
                             bool add, MatrixView<float> c) {
  state_->product(op_a, a, op_b, b, add, c);
}

}  // namespace fcmnist::kernels
