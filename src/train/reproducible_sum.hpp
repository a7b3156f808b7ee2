#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/gradient_exchange.hpp"
#include "core/fixed_point.hpp"
#include "train/gradient_sum.hpp"

namespace fcmnist::train {

/// See make_gradient_sum().
class ReproducibleSum final : public GradientSum {
 public:
  ReproducibleSum(const comm::Topology& topology, const Layout& layout, std::vector<Range> parts,
                  std::size_t small_count, const comm::CommOptions& options, bool give_way);

  comm::BlockOwners& owners() override { return exchange_; }
  ArenaView<float> target() override { return gradient_.view(); }
  model::Accumulate accumulate(bool /*first_microbatch*/) const override { return model::Accumulate::write; }
  void begin(std::span<const double> small) override;
  void part_written(bool first_microbatch, bool last_microbatch) override;
  std::span<const double> finish() override;
  std::span<const float* const> sources(const Block& block) override;
  /// NaN when a number of any replica is not finite; infinity when one does not fit.
  double collect(const Block& block) override;
  std::span<const float* const> collected(const Block& block) override;
  bool needs_norm() const override { return true; }
  bool repeat_for(double norm) override;
  int exponent() const override { return format_.exponent(); }
  void set_exponent(int exponent) override;

 private:
  bool accept(int next_exponent);

  comm::GradientExchange<std::int64_t> exchange_;
  double count_;           ///< of the gradient's numbers
  Arena<float> gradient_;  ///< of one microbatch, then the sum, in the blocks that this rank owns
  std::vector<double> small_;
  std::span<const double> sums_;  ///< of small_
  FixedPoint format_;
  std::size_t part_ = 0;                      ///< of this microbatch: the next one to be written
  float largest_ = 0.0F;                      ///< |number| of this step
  bool is_finite_ = true;                     ///< all numbers of this step
  std::optional<int> too_fine_, too_coarse_;  ///< exponents that have been tried in this step
  const float* sum_ = nullptr;
};

}  // namespace fcmnist::train
