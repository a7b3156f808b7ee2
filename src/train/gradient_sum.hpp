#pragma once

#include <memory>
#include <span>
#include <vector>

#include "comm/block_owners.hpp"
#include "comm/grid.hpp"
#include "comm/options.hpp"
#include "core/arena.hpp"
#include "core/layout.hpp"
#include "core/share.hpp"
#include "model/mlp.hpp"

namespace fcmnist::train {

/// The gradient of a step, of the layers of one stage, on its way from the microbatches of all replicas to
/// the owners of its blocks:
///
///   per microbatch: backward() into target() with accumulate(first), part_written() after each part;
///     with the last one, begin(small) before its first part
///   wait_for_node();  finish();  per owned block: use sources(), or collect() and later collected();  owners().publish()
class GradientSum {
 public:
  virtual ~GradientSum() = default;

  [[nodiscard]] virtual comm::BlockOwners& owners() = 0;

  /// Where backward() writes the gradient of a microbatch, and how.
  [[nodiscard]] virtual ArenaView<float> target() = 0;
  [[nodiscard]] virtual model::Accumulate accumulate(bool first_microbatch) const = 0;
  /// Numbers that are summed over all ranks with the gradient; as many as the constructor was told.
  virtual void begin(std::span<const double> small) = 0;
  /// The next part of the gradient of a microbatch is written; parts come in the order of the constructor's.
  virtual void part_written(bool first_microbatch, bool last_microbatch) = 0;

  /// Collective: waits for the gradients of the ranks of this node.
  virtual void wait_for_node() = 0;
  /// Collective: waits for the sums of the other nodes. Returns the sums of the small numbers.
  virtual std::span<const double> finish() = 0;
  /// The arrays whose sum over this owned block, in this order, is the gradient. Valid until the next call.
  [[nodiscard]] virtual std::span<const float* const> sources(const Block& block) = 0;
  /// Adds them into one array, and returns the sum of the squares. From then on collected(block) is that
  /// array, and sources(block) must not be used any more.
  virtual double collect(const Block& block) = 0;
  [[nodiscard]] virtual std::span<const float* const> collected(const Block& block) = 0;

  /// Whether the microbatches must be computed again before the gradient, of this norm, may be used. The same
  /// answer on all ranks.
  [[nodiscard]] virtual bool repeat_for(double /*norm*/) { return false; }

  /// What a checkpoint must hold for the same bits after a resume.
  [[nodiscard]] virtual int exponent() const { return 0; }
  virtual void set_exponent(int /*exponent*/) {}
};

/// `reproducible`: adds the gradients of microbatches in fixed point: as long as these are the same, the sum
/// is the same bits on any number of ranks and nodes, however the microbatches are dealt. Otherwise it adds
/// floats, in an order that depends on the world.
///
/// The unit of the fixed point is chosen for each step by an ExponentSearch. Small numbers must be exact in
/// sums themselves (ExactSum).
///
/// Collective over the world.
///   most_microbatches  that a replica computes in a step
///   parameters         numbers of the whole gradient
/// The other arguments are those of comm::GradientExchange, which adds up the gradient of each stage.
std::unique_ptr<GradientSum> make_gradient_sum(bool reproducible, std::size_t most_microbatches,
                                               const comm::Grid& grid, const Layout& layout,
                                               std::size_t parameters, std::vector<Range> parts,
                                               std::size_t small_count, const comm::CommOptions& options,
                                               bool give_way);

/// Bytes of one number of the gradient where it is summed and sent.
///   nodes  of the world
std::size_t gradient_number_bytes(bool reproducible, std::size_t most_microbatches, int nodes);

/// Memory of its own that a rank needs for the sum: in integers a microbatch's gradient before it is rounded.
std::size_t gradient_sum_private_bytes(bool reproducible, std::size_t most_microbatches, int nodes,
                                       const Layout& layout);

/// Bytes of shared memory that one rank of the node allocates.
///   seat  among the ranks of its stage
std::size_t gradient_sum_bytes_per_rank(bool reproducible, std::size_t most_microbatches, int nodes,
                                        const comm::Seat& seat, const Layout& layout);

}  // namespace fcmnist::train
