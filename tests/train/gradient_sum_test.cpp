#include "train/gradient_sum.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/ordered_sum.hpp"
#include "support/mpi_test.hpp"
#include "support/random_matrix.hpp"

namespace fcmnist::train {
namespace {

using test::random_numbers;
using test::world;

constexpr auto infinity = std::numeric_limits<float>::infinity();
constexpr auto not_a_number = std::numeric_limits<float>::quiet_NaN();

Layout small_net() {
  Layout layout;
  layout.add("weight", 120, 84);
  layout.add("bias", 1, 112);  // without a gap
  return layout;
}

using Microbatch = std::vector<float>;  ///< its gradient

struct Sum {
  std::vector<float> gradient;
  double norm = 0.0;
  int repeats = 0;
};

/// The sum of one step after the other, whose microbatches are dealt to the ranks of a group.
class ASum {
 public:
  /// `most`: microbatches of a rank.
  ASum(bool reproducible, const comm::Communicator& group, int ranks_per_node, std::size_t most = 1000)
      : topology_(group, ranks_per_node),
        grid_(topology_),
        parts_{{layout_[0].offset, layout_[0].offset + layout_[0].count()},
               {layout_[1].offset, layout_[1].offset + layout_[1].count()}},
        result_(topology_.node(), layout_.size()),
        sum_(make_gradient_sum(reproducible, most, grid_, layout_, layout_.parameter_count(), parts_, 1, {},
                               true)) {}

  GradientSum* operator->() { return sum_.get(); }

  Sum step(const std::vector<Microbatch>& all) {
    Sum result;
    for (;; ++result.repeats) {
      post(all);
      sum_->wait_for_node();
      EXPECT_EQ(sum_->finish()[0], topology_.world().size());
      comm::BlockOwners& owners = sum_->owners();
      for (const std::size_t b : owners.owned()) {
        owners.set_squares(comm::Squares::of_gradient, b, sum_->collect(owners.blocks()[b]));
      }
      owners.share_squares();
      std::vector<double> squares(layout_.slots().size());
      owners.sum_squares(comm::Squares::of_gradient, squares);
      result.norm = std::sqrt(std::accumulate(squares.begin(), squares.end(), 0.0));
      if (!sum_->repeat_for(result.norm)) break;
      owners.publish();
      if (result.repeats > 20) {
        ADD_FAILURE() << "no end of repeats";
        break;
      }
    }
    comm::BlockOwners& owners = sum_->owners();
    for (const std::size_t b : owners.owned()) {
      const Block& block = owners.blocks()[b];
      ordered_sum(sum_->collected(block), result_.all().subspan(block.offset, block.count));
    }
    owners.publish();
    result.gradient.assign(result_.all().begin(), result_.all().end());
    topology_.world().barrier();
    return result;
  }

 private:
  void post(const std::vector<Microbatch>& all) {
    const auto ranks = static_cast<std::size_t>(topology_.world().size());
    const Range mine = share_of(all.size(), ranks, static_cast<std::size_t>(topology_.world().rank()));
    const Microbatch nothing(layout_.size(), 0.0F);
    const std::size_t count = std::max<std::size_t>(mine.size(), 1);
    for (std::size_t m = 0; m < count; ++m) {
      const bool first = m == 0, last = m + 1 == count;
      const Microbatch& gradient = mine.size() > 0 ? all[mine.begin + m] : nothing;
      const double one[] = {1.0};
      if (last) sum_->begin(one);
      for (const Range& part : parts_) {
        const bool adds = sum_->accumulate(first) == model::Accumulate::add;
        for (std::size_t i = part.begin; i < part.end; ++i) {
          sum_->target().all()[i] = gradient[i] + (adds ? sum_->target().all()[i] : 0.0F);
        }
        sum_->part_written(first, last);
      }
    }
  }

  Layout layout_ = small_net();
  comm::Topology topology_;
  comm::Grid grid_;
  std::vector<Range> parts_;
  comm::SharedArray<float> result_;
  std::unique_ptr<GradientSum> sum_;
};

Microbatch scaled(Microbatch numbers, float factor) {
  for (float& number : numbers) number *= factor;
  return numbers;
}

/// Gradients of very different sizes, as they follow each other in a training and in none.
std::vector<std::vector<Microbatch>> steps() {
  const std::size_t size = small_net().size();
  std::vector<std::vector<Microbatch>> all;
  std::uint64_t seed = 1;
  for (const float scale : {1.0F, 1e-3F, 0.3F, 1e-12F, 1e-30F, 1e12F, 1e-44F, 1.0F, 1e17F}) {
    all.emplace_back();
    for (int m = 0; m < 9; ++m) all.back().push_back(scaled(random_numbers(size, seed++), scale));
  }
  all.push_back({Microbatch(size, 0.0F)});  // none
  all.push_back({Microbatch(size, 0.0F), Microbatch(size, 0.0F)});
  all.back()[1][77] = 1e-6F;  // one number only
  return all;
}

double root_mean_square(const std::vector<double>& numbers) {
  double squares = 0.0;
  for (const double number : numbers) squares += number * number;
  return std::sqrt(squares / static_cast<double>(numbers.size()));
}

void expect_sum(const Sum& sum, const std::vector<Microbatch>& microbatches, double share_of_rms) {
  std::vector<double> exact(sum.gradient.size(), 0.0);
  for (const Microbatch& gradient : microbatches) {
    for (std::size_t i = 0; i < exact.size(); ++i) exact[i] += gradient[i];
  }
  const double tolerance = share_of_rms * root_mean_square(exact) * static_cast<double>(microbatches.size());
  for (std::size_t i = 0; i < exact.size(); ++i) {
    ASSERT_NEAR(sum.gradient[i], exact[i], tolerance + std::abs(exact[i]) * 1e-7 + 1e-45) << i;
  }
}

TEST(GradientSum, BothKindsAddUpTheMicrobatchesOfAllReplicas) {
  for (const int ranks_per_node : {0, 1, 2, 3}) {
    for (const bool reproducible : {false, true}) {
      ASum sum(reproducible, world(), ranks_per_node);
      for (const auto& microbatches : steps()) {
        expect_sum(sum.step(microbatches), microbatches, reproducible ? 1e-8 : 1e-6);
      }
    }
  }
}

TEST(GradientSum, ReproducibleIsTheSameBitsInAnyWorld) {
  const comm::Communicator alone = world().split(world().rank());
  ASum serial(true, alone, 0);
  std::vector<Sum> expected;
  for (const auto& microbatches : steps()) expected.push_back(serial.step(microbatches));
  for (const int ranks_per_node : {0, 1, 2, 3}) {
    ASum shared(true, world(), ranks_per_node);
    for (std::size_t s = 0; s < expected.size(); ++s) {
      const Sum sum = shared.step(steps()[s]);
      EXPECT_TRUE(sum.gradient == expected[s].gradient) << "step " << s;
      EXPECT_EQ(sum.norm, expected[s].norm) << "step " << s;
      EXPECT_EQ(sum.repeats, expected[s].repeats) << "step " << s;
    }
    EXPECT_EQ(shared->exponent(), serial->exponent());
  }
}

/// One microbatch on each rank of one node is added without integers in between.
TEST(GradientSum, OfOneMicrobatchEachIsTheSameBitsAsOfSeveral) {
  const auto ranks = static_cast<std::size_t>(world().size());
  const comm::Communicator alone = world().split(world().rank());
  ASum serial(true, alone, 0), shared(true, world(), 0, 1);
  for (std::vector<Microbatch> microbatches : steps()) {
    microbatches.resize(std::min(microbatches.size(), ranks));
    const Sum expected = serial.step(microbatches), sum = shared.step(microbatches);
    EXPECT_TRUE(sum.gradient == expected.gradient);
    EXPECT_EQ(sum.norm, expected.norm);
    EXPECT_EQ(sum.repeats, expected.repeats);
    EXPECT_EQ(shared->exponent(), serial->exponent());
  }
  for (const float bad : {infinity, not_a_number}) {
    std::vector<Microbatch> microbatches(ranks, Microbatch(small_net().size(), 1.0F));
    microbatches[ranks / 2][123] = bad;
    EXPECT_TRUE(std::isnan(shared.step(microbatches).norm));
  }
}

TEST(GradientSum, GradientsOfSimilarSizeAreComputedOnce) {
  const std::size_t size = small_net().size();
  ASum sum(true, world(), 0);
  sum.step({random_numbers(size, 1)});
  for (const float scale : {1.0F, 5.0F, 0.3F, 20.0F, 1.0F}) {
    EXPECT_EQ(sum.step({scaled(random_numbers(size, 2), scale)}).repeats, 0) << scale;
  }
  EXPECT_GT(sum.step({scaled(random_numbers(size, 2), 1e6F)}).repeats, 0);
  EXPECT_GT(sum.step({scaled(random_numbers(size, 2), 1e-6F)}).repeats, 0);
}

TEST(GradientSum, AResumedSumHasTheSameBits) {
  const std::size_t size = small_net().size();
  const std::vector<Microbatch> next = {random_numbers(size, 3), random_numbers(size, 4)};
  ASum first(true, world(), 2), second(true, world(), 1);
  first.step({scaled(random_numbers(size, 1), 3.0F)});
  second->set_exponent(first->exponent());
  const Sum a = first.step(next), b = second.step(next);
  EXPECT_TRUE(a.gradient == b.gradient);
  EXPECT_EQ(a.repeats, b.repeats);
}

/// The sum is a millionth of its terms: there is no unit that is fine enough for it and holds them.
TEST(GradientSum, MicrobatchesThatCancelEachOtherEndWithTheFinestUnitThatHoldsThem) {
  const std::size_t size = small_net().size();
  const Microbatch large = random_numbers(size, 1);
  const std::vector<Microbatch> microbatches = {large, scaled(large, -1.0F),
                                                scaled(random_numbers(size, 2), 1e-9F)};
  for (const int ranks_per_node : {0, 2}) {
    ASum sum(true, world(), ranks_per_node);
    sum.step({scaled(random_numbers(size, 3), 1e-9F)});
    const Sum cancelled = sum.step(microbatches);
    EXPECT_GT(cancelled.repeats, 1);
    expect_sum(cancelled, {microbatches[2]}, 1e-5);
    const std::vector<Microbatch> next = {random_numbers(size, 4)};
    expect_sum(sum.step(next), next, 1e-8);
  }
}

TEST(GradientSum, WhatIsNotFiniteOnOneRankHasNoNormAnywhere) {
  const std::size_t size = small_net().size();
  const auto ranks = static_cast<std::size_t>(world().size());
  for (const float bad : {infinity, -infinity, not_a_number}) {
    for (const int ranks_per_node : {0, 1, 2}) {
      ASum sum(true, world(), ranks_per_node);
      sum.step({random_numbers(size, 1)});
      const int exponent = sum->exponent();
      std::vector<Microbatch> microbatches;
      for (std::size_t m = 0; m < 2 * ranks; ++m) microbatches.push_back(random_numbers(size, m));
      microbatches[ranks / 2][123] = bad;
      const Sum spoilt = sum.step(microbatches);
      EXPECT_TRUE(std::isnan(spoilt.norm));
      EXPECT_EQ(spoilt.repeats, 0);
      EXPECT_EQ(sum->exponent(), exponent);
      microbatches[ranks / 2][123] = 0.0F;
      expect_sum(sum.step(microbatches), microbatches, 1e-8);
    }
  }
}

TEST(GradientSum, SquaresBeyondAllFloatsEndAsAnInfiniteNorm) {
  const std::size_t size = small_net().size();
  ASum sum(true, world(), 0);
  EXPECT_EQ(sum.step({scaled(random_numbers(size, 1), 1e30F)}).norm, infinity);
}

}  // namespace
}  // namespace fcmnist::train
