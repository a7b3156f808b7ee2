#pragma once

#include <span>
#include <vector>

#include "comm/grid.hpp"
#include "model/mlp.hpp"
#include "optim/update.hpp"
#include "train/gradient_sum.hpp"
#include "train/model_state.hpp"
#include "train/observer.hpp"

namespace fcmnist::train {

/// How often the ranks of a node wait for each other in a step: until all gradients are written, until all
/// squares are added up if the norm must be known first, between the two phases of an optimizer that has them,
/// and until all weights are updated.
constexpr int waits_of_step(bool norm_first, bool two_phases) {
  return 2 + (norm_first ? 1 : 0) + (two_phases ? 1 : 0);
}

/// How many gradients the owner of a block adds. The update itself reads one array: the first gradient, to
/// which the others are added, or a sum that all gradients were added to before.
constexpr int additions_of_block(bool norm_first, int nodes, int node_ranks) {
  const bool sum_comes_first = norm_first || nodes > 1;
  return sum_comes_first ? node_ranks : node_ranks - 1;
}

/// From the gradient that all ranks have finished to the weights that all ranks have: each rank updates the
/// blocks that it owns, and takes those of the others. All member functions are collective.
///
/// Either  apply(), which sums and updates in one pass, and then norm();
/// or      sum_blocks(), norm(), and then, when that is good, apply(); else leave().
/// An optimizer of two phases (optim::has_two_phases) needs the second way. Both its phases are in apply(), so a
/// step that is left changes no state.
class WeightUpdate {
 public:
  /// All arguments must outlive it. `mlp` has the layers of this rank's stage.
  WeightUpdate(const optim::OptimizerOptions& options, const comm::Grid& grid, const model::Mlp& mlp,
               ModelState& state, GradientSum& gradient, StepObserver& observer);

  /// Sums the gradients of this rank's blocks, without an update.
  void sum_blocks();
  /// The norm of the gradient of all stages, as it was summed: times the loss scale.
  [[nodiscard]] double norm();
  /// The same of each array of the network, over `loss_scale`, from the last norm(). Valid until the next one.
  [[nodiscard]] std::span<const double> array_norms(double loss_scale);
  /// Updates all weights.
  ///   step               without weight decay and trust ratio, which are those of each array
  ///   blocks_are_summed  there was a sum_blocks(), as there must be for an optimizer of two phases
  ///   with_norms         weight_norms() will be asked for
  void apply(const optim::UpdateStep& step, bool blocks_are_summed, bool with_norms);
  /// 2-norms of each array of the network after the last apply(), which was told that they are asked for, and
  /// of what it changed. Valid until the next call.
  struct WeightNorms {
    std::span<const double> weights, updates;
  };
  [[nodiscard]] WeightNorms weight_norms();
  /// The weights stay as they are; nobody reads the gradients of this step any more.
  void leave();

 private:
  void find_trust_ratios(const optim::UpdateStep& step);
  [[nodiscard]] optim::UpdateStep of_array(std::size_t slot, optim::UpdateStep step) const;
  [[nodiscard]] std::span<const std::span<float>> optimizer_state(const Block& block);
  void update_my_blocks(const optim::UpdateStep& step, bool blocks_are_summed, bool with_norms);
  void set_weight_squares(std::size_t block_index, std::span<float> before);
  void sum_squares_of_slots(comm::Squares which, std::span<double> sums);

  const optim::OptimizerOptions* options_;
  const comm::Grid* grid_;
  const model::Mlp* mlp_;
  ModelState* state_;
  GradientSum* gradient_;
  StepObserver* observer_;
  std::vector<double> over_stages_;  ///< buffer of norm(): squares of the arrays, times of stages
  std::vector<double> array_norms_;
  std::vector<double> weight_norms_;              ///< of weights, then of updates
  std::vector<float> before_;                     ///< the weights of a block before its update
  std::vector<double> weight_decays_;             ///< of the arrays of this stage
  std::vector<std::size_t> bounded_rows_;         ///< of the same: UpdateStep::row
  std::vector<double> trust_ratios_;              ///< of the same
  std::vector<double> direction_squares_;         ///< buffer of find_trust_ratios()
  std::vector<std::span<float>> state_of_block_;  ///< one block of each optimizer array
};

}  // namespace fcmnist::train
