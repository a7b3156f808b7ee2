#include "model/mlp.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/gemm.hpp"
#include "kernels/layer_ops.hpp"
#include "kernels/softmax_loss.hpp"
#include "support/random_half.hpp"
#include "support/random_matrix.hpp"
#include "support/sparse_rows.hpp"

namespace fcmnist::model {
namespace {

using kernels::GemmBackend;
using test::random_numbers;

struct Net {
  MlpOptions options;
  std::vector<std::size_t> widths;
  Mlp mlp;
  Arena<float> weights;
  std::size_t rows = 6;
  std::vector<float> input;
  std::vector<std::uint8_t> labels;
  std::vector<std::uint32_t> ids;

  explicit Net(MlpOptions o)
      : options(std::move(o)),
        widths(widths_of(options, 12)),
        mlp(widths, options, GemmBackend::openblas),
        weights(mlp.layout()) {
    mlp.initialize(5, weights.view());
    if (options.use_bias) {  // He initialisation leaves biases at 0, where ReLU has its kink
      for (const Slot& slot : mlp.layout().slots()) {
        if (slot.rows != 1) continue;
        const auto noise = random_numbers(slot.cols, slot.offset);
        for (std::size_t i = 0; i < slot.cols; ++i) weights.view().data()[slot.offset + i] = 0.1F * noise[i];
      }
    }
    input = random_numbers(rows * 12, 6);
    for (std::size_t r = 0; r < rows; ++r) labels.push_back(static_cast<std::uint8_t>(r * 3 % widths.back()));
    ids.resize(rows);
    std::iota(ids.begin(), ids.end(), 100U);
  }

  [[nodiscard]] DropoutContext context() const { return {9, 2, ids}; }
  [[nodiscard]] MatrixView<const float> batch() const { return {input.data(), rows, 12}; }
};

/// An independent forward pass in double that shares nothing with the program but the dropout draw.
double naive_loss(const Net& net, std::span<const float> w, std::span<const std::vector<float>> kept) {
  double loss = 0.0;
  for (std::size_t r = 0; r < net.rows; ++r) {
    std::vector<double> x(net.input.begin() + static_cast<long>(r * 12),
                          net.input.begin() + static_cast<long>((r + 1) * 12));
    std::size_t slot = 0;
    for (std::size_t layer = 0; layer + 1 < net.widths.size(); ++layer) {
      const bool last = layer + 2 == net.widths.size();
      const Slot& weight = net.mlp.layout()[slot++];
      std::vector<double> y(weight.rows, 0.0);
      if (net.options.use_bias) {
        const Slot& bias = net.mlp.layout()[slot++];
        for (std::size_t o = 0; o < y.size(); ++o) y[o] = w[bias.offset + o];
      }
      for (std::size_t o = 0; o < y.size(); ++o) {
        for (std::size_t i = 0; i < x.size(); ++i) y[o] += x[i] * w[weight.offset + o * weight.cols + i];
        if (!last) y[o] = std::max(y[o], 0.0) * kept[layer][r * y.size() + o];
      }
      x = y;
    }
    double sum = 0.0;
    for (const double v : x) sum += std::exp(v);
    loss += std::log(sum) - x[net.labels[r]];
  }
  return loss;
}

/// Factor of every hidden unit: 0 where it is dropped. Read off the program's own draw on all-positive
/// activations.
std::vector<std::vector<float>> dropout_factors(const Net& net) {
  std::vector<std::vector<float>> kept;
  MlpOptions open = net.options;
  open.use_bias = true;
  open.initializer = Initializer::zeros;
  const Mlp probe(net.widths, open, GemmBackend::openblas);
  Arena<float> ones(probe.layout());
  for (const Slot& slot : probe.layout().slots()) {
    if (slot.rows == 1) std::fill_n(ones.view().data() + slot.offset, slot.cols, 1.0F);
  }
  Workspace workspace(probe, net.rows);
  const DropoutContext context = net.context();
  probe.forward<float>(ones.view(), net.batch(), &context, workspace);
  for (std::size_t layer = 0; layer + 2 < net.widths.size(); ++layer) {
    const auto view = workspace.activation(layer, net.rows);
    auto& factors = kept.emplace_back();
    for (std::size_t s = 0; s < net.rows; ++s) {
      for (std::size_t u = 0; u < view.rows; ++u) factors.push_back(view.row(u)[s]);
    }
  }
  return kept;
}

/// Both halves, one part for each layer.
void backward(const Mlp& mlp, ArenaView<const float> weights, MatrixView<const float> input,
              Workspace& workspace, Accumulate accumulate, ArenaView<float> gradients,
              MatrixView<float> d_input = {}) {
  mlp.backward_deltas<float>(weights, input.rows * input.cols / mlp.inputs(), workspace, d_input);
  mlp.backward_weights<float>(input, workspace, accumulate, gradients, mlp.gradient_parts());
}

class Gradients : public testing::TestWithParam<MlpOptions> {};

/// With all that is dropped and rectified: what a library computes differs by rounding only.
TEST_P(Gradients, AreTheSameToRoundingWithOtherLibraries) {
  if (!kernels::available(GemmBackend::onednn)) GTEST_SKIP() << "one library only";
  const Net net(GetParam());
  constexpr auto openblas = GemmBackend::openblas, onednn = GemmBackend::onednn;
  std::vector<LayerGemms> mixed;
  for (std::size_t i = 0; i + 1 < net.widths.size(); ++i) {
    const bool odd = i % 2 == 1;
    mixed.push_back({odd ? openblas : onednn, odd ? onednn : openblas, odd ? openblas : onednn});
  }
  const Mlp other(net.widths, net.options, GemmChoice(mixed));
  std::vector<float> results[2];
  for (const Mlp* mlp : {&net.mlp, &other}) {
    Workspace workspace(*mlp, net.rows);
    const DropoutContext context = net.context();
    mlp->forward<float>(net.weights.view(), net.batch(), &context, workspace);
    const auto logits = workspace.logits(net.rows);
    static_cast<void>(kernels::softmax_cross_entropy_gradient(logits, {net.labels}, 1.0F));
    Arena<float> gradients(mlp->layout());
    backward(*mlp, net.weights.view(), net.batch(), workspace, Accumulate::write, gradients.view());
    const auto all = gradients.view().all();
    results[mlp == &other ? 1 : 0].assign(all.begin(), all.end());
  }
  for (std::size_t i = 0; i < results[0].size(); ++i) ASSERT_NEAR(results[1][i], results[0][i], 1e-5) << i;
}

/// The gradient of all weights by finite differences in double.
std::vector<double> reference_gradient(const Net& net, std::span<const std::vector<float>> kept) {
  std::vector<float> w(net.weights.view().all().begin(), net.weights.view().all().end());
  std::vector<double> gradient(w.size(), 0.0);
  for (const Slot& slot : net.mlp.layout().slots()) {
    for (std::size_t i = slot.offset; i < slot.offset + slot.count(); ++i) {
      const float saved = w[i];
      w[i] = saved + 1e-3F;
      const double up = naive_loss(net, w, kept), x_up = w[i];
      w[i] = saved - 1e-3F;
      const double down = naive_loss(net, w, kept), x_down = w[i];
      w[i] = saved;
      gradient[i] = (up - down) / (x_up - x_down);
    }
  }
  return gradient;
}

TEST_P(Gradients, AgreeWithFiniteDifferencesInDouble) {
  const Net net(GetParam());
  const auto kept = dropout_factors(net);
  Workspace workspace(net.mlp, net.rows);
  const DropoutContext context = net.context();
  net.mlp.forward<float>(net.weights.view(), net.batch(), &context, workspace);
  const auto logits = workspace.logits(net.rows);
  const auto sums = kernels::softmax_cross_entropy_gradient(logits, {net.labels}, 1.0F);
  std::vector<float> w(net.weights.view().all().begin(), net.weights.view().all().end());
  EXPECT_NEAR(sums.loss, naive_loss(net, w, kept), 1e-4);

  Arena<float> gradients(net.mlp.layout());
  backward(net.mlp, net.weights.view(), net.batch(), workspace, Accumulate::write, gradients.view());
  const std::vector<double> expected = reference_gradient(net, kept);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(gradients.view().data()[i], expected[i], 2e-3) << i;
  }
}

template <class Half>
void expect_half_gradients(const MlpOptions& options) {
  Net net(options);
  const std::vector<Half> input = test::to_half<Half>(net.input);
  Arena<Half> weights(net.mlp.layout());
  for (std::size_t i = 0; i < net.input.size(); ++i) net.input[i] = static_cast<float>(input[i]);
  for (std::size_t i = 0; i < net.mlp.layout().size(); ++i) {
    float& w = net.weights.view().data()[i];
    weights.view().data()[i] = Half(w);
    w = static_cast<float>(weights.view().data()[i]);
  }
  const auto kept = dropout_factors(net);
  BasicWorkspace<Half> workspace(net.mlp, net.rows);
  const DropoutContext context = net.context();
  const MatrixView<const Half> batch(input.data(), net.rows, 12);
  net.mlp.forward<Half>(weights.view(), batch, &context, workspace);
  const auto sums = kernels::softmax_cross_entropy_gradient(workspace.logits(net.rows), {net.labels}, 1.0F);
  const double unit = test::unit_roundoff<Half>;
  const double loss = naive_loss(net, net.weights.view().all(), kept);
  EXPECT_NEAR(sums.loss, loss, 4.0 * unit * loss);

  Arena<float> gradients(net.mlp.layout());
  net.mlp.backward_deltas<Half>(weights.view(), net.rows, workspace);
  net.mlp.backward_weights<Half>(batch, workspace, Accumulate::write, gradients.view(),
                                 net.mlp.gradient_parts());
  const std::vector<double> expected = reference_gradient(net, kept);
  for (const Slot& slot : net.mlp.layout().slots()) {
    double squares = 0.0, errors = 0.0;
    for (std::size_t i = slot.offset; i < slot.offset + slot.count(); ++i) {
      squares += expected[i] * expected[i];
      errors += std::pow(gradients.view().data()[i] - expected[i], 2.0);
    }
    // A few roundings of activations and deltas in each of up to four layers.
    EXPECT_LE(std::sqrt(errors / squares), 4.0 * unit + 1e-5) << slot.name;
    EXPECT_GT(std::sqrt(errors / squares), unit / 100.0) << slot.name << ": was anything rounded?";
  }
}

TEST_P(Gradients, InHalfAgreeWithFiniteDifferencesInDouble) {
  expect_half_gradients<BFloat16>(GetParam());
  expect_half_gradients<Float16>(GetParam());
}

TEST_P(Gradients, MicrobatchesAddUpToTheWholeBatch) {
  const Net net(GetParam());
  Arena<float> whole(net.mlp.layout()), parts(net.mlp.layout());
  const auto run = [&](std::size_t begin, std::size_t end, Accumulate accumulate,
                       ArenaView<float> gradients) {
    Workspace workspace(net.mlp, net.rows);
    const MatrixView<const float> input(net.input.data() + begin * 12, end - begin, 12);
    const DropoutContext context{9, 2, std::span(net.ids).subspan(begin, end - begin)};
    net.mlp.forward<float>(net.weights.view(), input, &context, workspace);
    const auto logits = workspace.logits(input.rows);
    kernels::softmax_cross_entropy_gradient(logits, {std::span(net.labels).subspan(begin, end - begin)},
                                            1.0F);
    net.mlp.backward_deltas<float>(net.weights.view(), input.rows, workspace);
    net.mlp.backward_weights<float>(input, workspace, accumulate, gradients, net.mlp.gradient_parts(40));
  };
  run(0, net.rows, Accumulate::write, whole.view());
  run(0, 4, Accumulate::write, parts.view());
  run(4, 4, Accumulate::add, parts.view());  // a replica's share of a small tail can be empty
  run(4, net.rows, Accumulate::add, parts.view());
  for (std::size_t i = 0; i < net.mlp.layout().size(); ++i) {
    EXPECT_NEAR(parts.view().data()[i], whole.view().data()[i], 1e-5);
  }
}

/// Values of which most are zero, and what is added to all.
SparseInput sparse_images(std::span<const float> values, std::size_t rows, std::size_t inputs,
                          float constant) {
  std::vector<float> transposed(values.size());
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < inputs; ++i) transposed[i * rows + r] = values[r * inputs + i];
  }
  return {test::sparse_of({values.data(), rows, inputs}), test::sparse_of({transposed.data(), inputs, rows}),
          constant};
}

/// With the same weights a network that skips zeros computes what one does that multiplies them.
TEST(SparseInputs, GiveTheLogitsAndGradientsOfDenseOnes) {
  constexpr std::size_t rows = 6, inputs = 12;
  constexpr float constant = -0.42F;
  for (const bool use_bias : {true, false}) {
    MlpOptions options;
    options.hidden_sizes = {40, 7};
    options.num_classes = 4;
    options.use_bias = use_bias;
    options.dropout = 0.3;
    options.initializer = use_bias ? Initializer::pytorch : Initializer::he_normal;
    const auto widths = widths_of(options, inputs);
    const Mlp dense(widths, options, GemmBackend::openblas);
    options.input_products = InputProducts::sparse;
    const Mlp sparse(widths, options, GemmBackend::openblas);
    ASSERT_TRUE(sparse.takes_sparse_input() && !dense.takes_sparse_input());
    EXPECT_EQ(sparse.layout()[0].order, Order::transposed);

    auto values = random_numbers(rows * inputs, 21);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i % 3 == i / inputs % 3 ? values[i] : 0.0F;
    const SparseInput images = sparse_images(values, rows, inputs, constant);
    std::vector<float> features = values;
    for (float& feature : features) feature += constant;
    const std::vector<std::uint32_t> ids = {5, 1, 4, 1, 9, 2};
    const std::vector<std::uint8_t> labels = {0, 3, 1, 2, 2, 0};
    const DropoutContext context{9, 2, ids};
    const auto compute = [&](const Mlp& mlp, bool is_sparse, Arena<float>& gradients) {
      const Arena<float> weights(mlp.layout());
      mlp.initialize(5, weights.view());
      Workspace workspace(mlp, rows);
      const MatrixView<const float> batch(features.data(), rows, inputs);
      const Input<float> input = is_sparse ? Input<float>(images) : Input<float>(batch);
      std::vector<float> logits;
      for (const Accumulate accumulate : {Accumulate::write, Accumulate::add}) {
        mlp.forward<float>(weights.view(), input, &context, workspace);
        const auto view = workspace.logits(rows);
        for (std::size_t c = 0; c < view.rows; ++c)
          logits.insert(logits.end(), view.row(c).begin(), view.row(c).end());
        kernels::softmax_cross_entropy_gradient(view, {labels}, 1.0F);
        mlp.backward_deltas<float>(weights.view(), rows, workspace);
        mlp.backward_weights<float>(input, workspace, accumulate, gradients.view(), mlp.gradient_parts(64));
      }
      return logits;
    };
    Arena<float> of_dense(dense.layout()), of_sparse(sparse.layout());
    const auto expected = compute(dense, false, of_dense), found = compute(sparse, true, of_sparse);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5) << i;
    for (std::size_t slot = 0; slot < dense.layout().slots().size(); ++slot) {
      const auto left = of_dense.view()[slot], right = of_sparse.view()[slot];
      for (std::size_t r = 0; r < left.rows; ++r) {
        for (std::size_t c = 0; c < left.cols; ++c) {
          EXPECT_NEAR(slot == 0 ? right.row(c)[r] : right.row(r)[c], left.row(r)[c], 1e-5)
              << dense.layout()[slot].name << ' ' << r << ' ' << c;
        }
      }
    }
  }
}

/// The mask of the inputs is one that no hidden layer has, and the same in any order of the samples.
TEST(InputDropout, IsThatOfALayerOfItsOwn) {
  MlpOptions options;
  options.hidden_sizes = {20};
  EXPECT_FALSE(Mlp(widths_of(options, 20), options, GemmBackend::openblas).drops_inputs());
  options.input_dropout = 0.4;
  const auto widths = widths_of(options, 20);
  const Mlp mlp(widths, options, GemmBackend::openblas);
  ASSERT_TRUE(mlp.drops_inputs());
  EXPECT_FALSE(Mlp(widths, options, GemmBackend::openblas, {1, 2}).drops_inputs()) << "a later stage";
  const std::vector<std::uint32_t> ids = {7, 3, 8};
  std::vector<float> images(3 * 20, 1.0F);
  mlp.drop_inputs<float>({images.data(), 3, 20}, {9, 2, ids});
  for (const std::uint32_t layer : {255U, 0U, 1U}) {
    std::vector<float> mask(20 * 3, 1.0F), by_sample;
    kernels::dropout({mask.data(), 20, 3}, ids, 0.4, {9, 2, layer});
    for (std::size_t s = 0; s < 3; ++s) {
      for (std::size_t u = 0; u < 20; ++u) by_sample.push_back(mask[u * 3 + s]);
    }
    EXPECT_EQ(images == by_sample, layer == 255) << layer;
  }
}

MlpOptions make(std::vector<int> hidden, bool use_bias, Dropout dropout) {
  MlpOptions options;
  options.hidden_sizes = std::move(hidden);
  options.use_bias = use_bias;
  options.dropout = std::move(dropout);
  options.num_classes = 4;
  return options;
}
INSTANTIATE_TEST_SUITE_P(Shapes, Gradients,
                         testing::Values(make({9, 7}, true, 0.0), make({9, 7}, false, 0.0),
                                         make({8, 8, 8}, true, 0.4), make({}, true, 0.0),
                                         make({8, 8, 8}, true, Dropout({0.5, 0.0, 0.2})),
                                         make({5}, false, 0.5)));

TEST(GradientParts, ComputeWhatOnePartForEachLayerComputes) {
  const Net net(make({900, 40}, true, 0.2));  // 12 x 900, 900 x 40: several parts each
  const DropoutContext context = net.context();
  Workspace workspace(net.mlp, net.rows);
  net.mlp.forward<float>(net.weights.view(), net.batch(), &context, workspace);
  const auto logits = workspace.logits(net.rows);
  kernels::softmax_cross_entropy_gradient(logits, {net.labels}, 1.0F);
  Arena<float> whole(net.mlp.layout()), cut(net.mlp.layout());
  const auto parts = net.mlp.gradient_parts(4'000);
  EXPECT_GT(parts.size(), 8U);
  net.mlp.backward_deltas<float>(net.weights.view(), net.rows, workspace);
  for (const Accumulate accumulate : {Accumulate::write, Accumulate::add}) {
    net.mlp.backward_weights<float>(net.batch(), workspace, accumulate, whole.view(),
                                    net.mlp.gradient_parts());
    std::size_t calls = 0;
    net.mlp.backward_weights<float>(net.batch(), workspace, accumulate, cut.view(), parts, [&] {
      // What a part claims is final when it is announced.
      const Range numbers = parts[calls++].numbers;
      for (std::size_t i = numbers.begin; i < numbers.end; ++i) {
        ASSERT_NEAR(cut.view().data()[i], whole.view().data()[i], 1e-5) << i;
      }
    });
    EXPECT_EQ(calls, parts.size());
  }
}

TEST(GradientParts, CoverTheGradientLargestLayerFirst) {
  MlpOptions options;
  options.hidden_sizes = {20, 5000, 30};
  for (const bool use_bias : {true, false}) {
    options.use_bias = use_bias;
    const Mlp mlp(widths_of(options, 784), options, GemmBackend::openblas);
    for (const std::size_t target : {0U, 1U, 10'000U, 1'000'000U}) {
      const auto parts = mlp.gradient_parts(target);
      EXPECT_EQ(mlp.layout()[mlp.layout().slots().size() - (use_bias ? 2 : 1)].name, "last_layer.weight");
      EXPECT_EQ(parts.front().layer, 2U) << "30 x 5000";
      std::vector<int> covered(mlp.layout().size(), 0);
      for (const GradientPart& part : parts) {
        for (std::size_t i = part.numbers.begin; i < part.numbers.end; ++i) ++covered[i];
      }
      for (const Slot& slot : mlp.layout().slots()) {
        for (std::size_t i = slot.offset; i < slot.offset + slot.count(); ++i)
          ASSERT_EQ(covered[i], 1) << slot.name;
      }
      // Blocks are what ranks own, so none may lie in two parts.
      for (const Block& block : blocks_of(mlp.layout())) {
        const auto holds = [&](const GradientPart& part) {
          return part.numbers.begin <= block.offset && block.offset + block.count <= part.numbers.end;
        };
        EXPECT_EQ(std::ranges::count_if(parts, holds), 1) << block.offset;
      }
      if (target == 0) {
        EXPECT_EQ(parts.size(), 4U);
      }
    }
  }
}

TEST(Mlp, NamesAndShapesAreThoseOfThePytorchModule) {
  MlpOptions options;
  const Mlp mlp(widths_of(options, 784), options, GemmBackend::openblas);
  std::string text;
  for (const Slot& slot : mlp.layout().slots()) {
    text += slot.name + " " + std::to_string(slot.rows) + "x" + std::to_string(slot.cols) + "\n";
  }
  EXPECT_EQ(text,
            "fc_layers.0.weight 500x784\nfc_layers.0.bias 1x500\nfc_layers.1.weight "
            "300x500\nfc_layers.1.bias 1x300\n"
            "last_layer.weight 10x300\nlast_layer.bias 1x10\n");
  EXPECT_EQ(mlp.layout().parameter_count(), 545'810U);
}

TEST(Mlp, TwoRunsOfLayersComputeWhatOneComputes) {
  const Net net(make({9, 7, 5}, true, 0.3));
  const DropoutContext context = net.context();
  Workspace workspace(net.mlp, net.rows);
  net.mlp.forward<float>(net.weights.view(), net.batch(), &context, workspace);
  const auto logits = workspace.logits(net.rows);

  const Mlp front(net.widths, net.options, GemmBackend::openblas, {0, 2}),
      back(net.widths, net.options, GemmBackend::openblas, {2, 4});
  Arena<float> front_weights(front.layout()), back_weights(back.layout());
  const auto copy = [&](const Mlp& part, ArenaView<float> to) {
    for (const Slot& slot : part.layout().slots()) {
      for (const Slot& from : net.mlp.layout().slots()) {
        if (from.name == slot.name)
          std::copy_n(net.weights.view().data() + from.offset, slot.count(), to.data() + slot.offset);
      }
    }
  };
  copy(front, front_weights.view());
  copy(back, back_weights.view());
  Workspace front_space(front, net.rows), back_space(back, net.rows);
  front.forward<float>(front_weights.view(), net.batch(), &context, front_space);
  const auto middle = front_space.output(net.rows);
  back.forward<float>(back_weights.view(), middle, &context, back_space);
  const auto same = back_space.logits(net.rows);
  for (std::size_t c = 0; c < 4; ++c) {
    for (std::size_t s = 0; s < net.rows; ++s) ASSERT_EQ(same.row(c)[s], logits.row(c)[s]);
  }

  kernels::softmax_cross_entropy_gradient(logits, {net.labels}, 1.0F);
  kernels::softmax_cross_entropy_gradient(same, {net.labels}, 1.0F);
  Arena<float> whole(net.mlp.layout()), front_gradient(front.layout()), back_gradient(back.layout());
  backward(net.mlp, net.weights.view(), net.batch(), workspace, Accumulate::write, whole.view());
  backward(back, back_weights.view(), middle, back_space, Accumulate::write, back_gradient.view(),
           front_space.delta(1, net.rows));
  backward(front, front_weights.view(), net.batch(), front_space, Accumulate::write, front_gradient.view());
  for (std::size_t i = 0; i < front.layout().size(); ++i) {
    ASSERT_EQ(front_gradient.view().data()[i], whole.view().data()[i]);
  }
  for (std::size_t i = 0; i < back.layout().size(); ++i) {
    ASSERT_EQ(back_gradient.view().data()[i], whole.view().data()[front.layout().size() + i]);
  }
}

TEST(Mlp, LayoutsOfRunsOfLayersAreThatOfTheNetworkOneAfterTheOther) {
  for (const bool use_bias : {true, false}) {
    const MlpOptions options = make({9, 7, 5}, use_bias, 0.0);
    const std::vector<std::size_t> widths = widths_of(options, 12);
    const Mlp whole(widths, options, GemmBackend::openblas);
    EXPECT_EQ(whole.network_layout(), whole.layout());
    std::size_t offset = 0, slot = 0;
    for (const LayerRange range : {LayerRange{0, 1}, LayerRange{1, 3}, LayerRange{3, 4}}) {
      const Mlp part(widths, options, GemmBackend::openblas, range);
      EXPECT_EQ(part.network_layout(), whole.layout());
      EXPECT_EQ(part.first_slot(), slot);
      for (Slot expected : part.layout().slots()) {
        expected.offset += offset;
        EXPECT_EQ(expected, whole.layout()[slot++]) << expected.name;
      }
      offset += part.layout().size();
    }
    EXPECT_EQ(offset, whole.layout().size());
  }
}

}  // namespace
}  // namespace fcmnist::model
