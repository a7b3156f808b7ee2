#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "comm/gradient_exchange.hpp"
#include "core/fixed_point.hpp"
#include "train/exponent_search.hpp"
#include "train/gradient_sum.hpp"

namespace fcmnist::train {

/// See make_gradient_sum().
///
/// When every replica has one microbatch and there is one node, the owner of a block reads the others' floats
/// and adds them in fixed point: half the bytes. Otherwise each replica adds up its microbatches in integers,
/// which are then exchanged.
class ReproducibleSum final : public GradientSum {
 public:
  ReproducibleSum(std::size_t most_microbatches, const comm::Grid& grid, const Layout& layout,
                  std::size_t parameters, std::vector<Range> parts, std::size_t small_count,
                  const comm::CommOptions& options, bool give_way);
  /// The same on all stages, also where only some of them have ranks on several nodes.
  static bool needs_integers(std::size_t most_microbatches, int nodes) {
    return most_microbatches > 1 || nodes > 1;
  }

  comm::BlockOwners& owners() override;
  /// In the blocks of the owner, after collect(), the sum.
  ArenaView<float> target() override;
  model::Accumulate accumulate(bool /*first_microbatch*/) const override { return model::Accumulate::write; }
  void begin(std::span<const double> small) override;
  void part_written(bool first_microbatch, bool last_microbatch) override;
  void wait_for_node() override;
  std::span<const double> finish() override;
  std::span<const float* const> sources(const Block& block) override;
  /// NaN when a number of any rank is not finite; infinity when one does not fit; `below_unit` when the
  /// sum is 0 because the unit is too large.
  double collect(const Block& block) override;
  std::span<const float* const> collected(const Block& block) override;
  bool repeat_for(double norm) override;
  int exponent() const override { return search_.exponent(); }
  void set_exponent(int exponent) override;

 private:
  void add_part(bool first_microbatch, bool last_microbatch);
  double collect_floats(const Block& block);
  double collect_integers(const Block& block);

  const comm::Grid* grid_;
  std::optional<comm::GradientExchange<float>> floats_;  ///< there if integers_ is not
  std::optional<comm::GradientExchange<std::int64_t>> integers_;
  std::optional<Arena<float>> microbatch_;  ///< the gradient of one microbatch, before it is rounded
  std::vector<double> small_;
  std::span<const double> sums_;  ///< the sums of small_ over all ranks
  ExponentSearch search_;
  FixedPoint format_;
  std::size_t part_ = 0;   ///< the next part that backward will write
  float largest_ = 0.0F;   ///< the largest |number| of this step, when integers are summed
  bool is_finite_ = true;  ///< whether all numbers of this step are, when integers are summed
  const float* sum_ = nullptr;
};

}  // namespace fcmnist::train
