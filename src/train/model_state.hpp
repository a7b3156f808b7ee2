#pragma once

#include <cstdint>
#include <optional>

#include "comm/grid.hpp"
#include "comm/replica.hpp"
#include "comm/shared_window.hpp"
#include "core/arena.hpp"
#include "model/mlp.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::train {

/// Weights, of which every rank has its own copy, and optimizer state, one copy per node in a window that its
/// ranks share: whoever owns a block uses it. With several stages a rank has those of its stage's layers;
/// what goes to and comes from files is always the whole network.
class ModelState {
 public:
  /// Collective. `mlp` has the layers of this rank's stage. Both must outlive it.
  ModelState(const comm::Grid& grid, const model::Mlp& mlp);

  /// Of this rank's stage; the same on all its ranks between steps.
  [[nodiscard]] ArenaView<float> weights() const { return weights_.mine(); }
  [[nodiscard]] const comm::Replica& replica() const { return weights_; }
  [[nodiscard]] ArenaView<float> momentum_buffer() const { return {mlp_->layout(), momentum_buffer_.data()}; }

  /// Initial weights, momentum 0. Collective.
  void initialize(std::uint64_t seed);
  /// From a checkpoint that rank 0 has read (nullptr elsewhere). Collective; all ranks throw the same
  /// StoreError.
  void load_weights(const store::Checkpoint* checkpoint);
  void load_weights_and_optimizer(const store::Checkpoint* checkpoint);

  /// Of all layers.
  struct Network {
    AlignedArray<float> all_weights, all_momentum;  ///< empty with one stage, whose arrays are not copied
    ArenaView<const float> weights, momentum_buffer;
  };
  /// Rank 0 gets the whole network, valid until the next step or load. The other ranks get nothing.
  /// Collective.
  [[nodiscard]] std::optional<Network> gather() const;

  /// Shared memory that the node needs for it.
  static std::size_t shared_bytes(const comm::Seat& stage, const Layout& layout) {
    return comm::Replica::shared_bytes(stage, layout) + layout.size() * sizeof(float);
  }

 private:
  [[nodiscard]] AlignedArray<float> room_for_network() const;
  [[nodiscard]] ArenaView<float> whole(const AlignedArray<float>& numbers, ArenaView<float> mine) const;
  [[nodiscard]] AlignedArray<float> gather(ArenaView<const float> mine) const;
  void scatter(const AlignedArray<float>& all, ArenaView<float> mine) const;

  const comm::Grid* grid_;
  const model::Mlp* mlp_;
  comm::Replica weights_;
  comm::SharedArray<float> momentum_buffer_;
};

}  // namespace fcmnist::train
