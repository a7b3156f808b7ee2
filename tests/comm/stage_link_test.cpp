#include "comm/stage_link.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <vector>

#include "core/half.hpp"
#include "support/mpi_test.hpp"

namespace fcmnist::comm {
namespace {

using test::world;

constexpr std::size_t max_samples = 70;

/// A matrix with a stride. Each number tells its microbatch, its sender and its place in the matrix.
class Numbered {
 public:
  Numbered(std::size_t units, std::size_t samples)
      : numbers_(units * stride, untouched), view_(numbers_.data(), units, samples, stride) {}

  void fill(std::size_t microbatch, int sender) {
    for (std::size_t u = 0; u < view_.rows; ++u) {
      for (std::size_t s = 0; s < view_.cols; ++s) view_.row(u)[s] = number(microbatch, sender, u, s);
    }
  }
  void expect(std::size_t microbatch, int sender) const {
    for (std::size_t u = 0; u < view_.rows; ++u) {
      for (std::size_t s = 0; s < view_.cols; ++s)
        ASSERT_EQ(view_.row(u)[s], number(microbatch, sender, u, s));
      for (std::size_t s = view_.cols; s < stride; ++s) ASSERT_EQ(numbers_[u * stride + s], untouched);
    }
  }
  [[nodiscard]] MatrixView<float> view() const { return view_; }

 private:
  static constexpr std::size_t stride = max_samples + 2;
  static constexpr float untouched = -1.0F;
  static float number(std::size_t microbatch, int sender, std::size_t unit, std::size_t sample) {
    return static_cast<float>((microbatch * 100 + static_cast<std::size_t>(sender)) * 1000 + unit % 10 * 100 +
                              sample % 97);
  }
  std::vector<float> numbers_;
  MatrixView<float> view_;
};

/// Microbatches may differ in size, and the last ones of an epoch may be short or empty.
std::size_t samples_of(std::size_t microbatch) {
  return microbatch % 4 == 3 ? 0 : max_samples - microbatch % 3;
}

/// Units of the activation between stage s and s + 1. It takes one message, or several.
std::size_t units_after(int stage) { return stage % 2 == 0 ? 5 : 700; }

class Links : public testing::TestWithParam<StageLink::Purpose> {};

TEST_P(Links, ActivationsArriveAtTheNextStageAndGradientsAtTheOneBefore) {
  const StageLink::Purpose purpose = GetParam();
  const Topology topology(world());
  for (int stages = 1; stages <= world().size(); ++stages) {
    if (world().size() % stages != 0) continue;
    const Grid grid(topology, stages);
    const int me = world().rank(), before = me - grid.replicas(), next = me + grid.replicas();
    const std::size_t inputs = units_after(grid.stage() - 1 + 2), outputs = units_after(grid.stage());
    StageLink link(grid, purpose, inputs, outputs, max_samples, true);
    for (const std::size_t count : {0U, 1U, 2U, 9U}) {  // fewer and more than may be on their way at once
      link.begin(count);
      for (std::size_t m = 0; m < count; ++m) {
        Numbered in(inputs, samples_of(m)), out(outputs, samples_of(m));
        link.receive_activation(in.view());
        if (!grid.is_first_stage()) in.expect(m, before);
        out.fill(m, me);
        link.send_activation(out.view());
        out.fill(99, 99);  // A change after send() must not reach the receiver.
        link.progress();
      }
      for (std::size_t m = 0; purpose == StageLink::Purpose::training && m < count; ++m) {
        Numbered d_in(inputs, samples_of(m)), d_out(outputs, samples_of(m));
        link.receive_gradient(d_out.view());
        if (!grid.is_last_stage()) d_out.expect(m, next);
        d_in.fill(m, me);
        link.send_gradient(d_in.view());
      }
      link.finish();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(BothPurposes, Links,
                         testing::Values(StageLink::Purpose::training, StageLink::Purpose::evaluation));

/// Activations of halves have no gaps between their rows, so these matrices have none.
TEST(StageLink, HalvesTravelUnchanged) {
  // The matrix holds every bit pattern of a half, and takes several messages.
  constexpr std::size_t units = 512, samples = 128;
  const Topology topology(world());
  const Grid grid(topology, world().size());
  const int me = world().rank();
  for (const std::size_t room : {samples, 2 * samples + 5}) {  // room for just enough samples, and for more
    StageLink link(grid, StageLink::Purpose::training, units, units, room, true, sizeof(BFloat16));
    std::vector<BFloat16> out(units * samples), in(units * samples);
    const auto bits_of = [](std::size_t place, int sender) {
      return static_cast<std::uint16_t>(place + static_cast<std::size_t>(sender) * 31);
    };
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::bit_cast<BFloat16>(bits_of(i, me));
    const auto expect_from = [&](int sender) {
      for (std::size_t i = 0; i < in.size(); ++i) {
        ASSERT_EQ(std::bit_cast<std::uint16_t>(in[i]), bits_of(i, sender)) << i;
      }
    };
    const MatrixView<BFloat16> to_send(out.data(), units, samples), received(in.data(), units, samples);
    link.begin(1);
    link.receive_activation(received);
    if (!grid.is_first_stage()) expect_from(me - 1);
    link.send_activation(to_send);
    link.receive_gradient(received);
    if (!grid.is_last_stage()) expect_from(me + 1);
    link.send_gradient(to_send);
    link.finish();
  }
}

TEST(StageLink, HalvesNeedHalfTheMemory) {
  const auto bytes = [](std::size_t number_bytes) {
    return StageLink::bytes(StageLink::Purpose::training, 1, 1, 500, 300, 64, number_bytes);
  };
  EXPECT_EQ(2 * bytes(sizeof(BFloat16)), bytes(sizeof(float)));
}

TEST(StageLink, TwoLinksDoNotMixTheirMessages) {
  const Topology topology(world());
  const Grid grid(topology, world().size());
  StageLink training(grid, StageLink::Purpose::training, 5, 5, max_samples, true),
      evaluation(grid, StageLink::Purpose::evaluation, 5, 5, max_samples, true);
  const int me = world().rank();
  for (StageLink* link : {&training, &evaluation}) link->begin(1);
  Numbered of_training(5, 7), of_evaluation(5, 7);
  of_training.fill(1, me);
  of_evaluation.fill(2, me);
  training.send_activation(of_training.view());
  evaluation.send_activation(of_evaluation.view());
  evaluation.receive_activation(of_evaluation.view());
  training.receive_activation(of_training.view());
  if (me > 0) {
    of_training.expect(1, me - 1);
    of_evaluation.expect(2, me - 1);
  }
  for (StageLink* link : {&training, &evaluation}) link->finish();
}

}  // namespace
}  // namespace fcmnist::comm
