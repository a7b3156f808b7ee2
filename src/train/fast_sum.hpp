#pragma once

#include <utility>
#include <vector>

#include "comm/gradient_exchange.hpp"
#include "core/ordered_sum.hpp"
#include "train/gradient_sum.hpp"

namespace fcmnist::train {

/// Microbatches are added where backward() writes them, at no cost; the parts of the last one travel while
/// the rest is computed.
class FastSum final : public GradientSum {
 public:
  FastSum(const comm::Grid& grid, const Layout& layout, std::vector<Range> parts, std::size_t small_count,
          const comm::CommOptions& options, bool give_way)
      : grid_(&grid), exchange_(grid.of_stage(), layout, std::move(parts), small_count, options, give_way) {}

  comm::BlockOwners& owners() override { return exchange_; }
  ArenaView<float> target() override { return exchange_.local_gradient(); }
  model::Accumulate accumulate(bool first_microbatch) const override {
    return first_microbatch ? model::Accumulate::write : model::Accumulate::add;
  }
  void begin(std::span<const double> small) override { exchange_.begin(small); }
  void part_written(bool /*first_microbatch*/, bool last_microbatch) override {
    if (last_microbatch) exchange_.post();
  }
  void wait_for_node() override { exchange_.wait_for_node(); }
  std::span<const double> finish() override {
    const std::span<double> sums = exchange_.finish();
    grid_->sum_over_stages(sums);
    return sums;
  }

  std::span<const float* const> sources(const Block& block) override { return exchange_.sources(block); }
  double collect(const Block& block) override {
    const auto from = exchange_.sources(block);
    if (from.size() == 1) return sum_of_squares({from[0], block.count});
    return ordered_sum(from, target().block(block));
  }
  std::span<const float* const> collected(const Block& block) override {
    const auto from = exchange_.sources(block);
    if (from.size() == 1) return from;
    sum_ = target().block(block).data();
    return {&sum_, 1};
  }

 private:
  const comm::Grid* grid_;
  comm::GradientExchange<float> exchange_;
  const float* sum_ = nullptr;
};

}  // namespace fcmnist::train
