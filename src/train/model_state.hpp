#pragma once

#include <cstdint>

#include "comm/replica.hpp"
#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "model/mlp.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::train {

/// Weights, of which every rank has its own copy, and optimizer state, one copy per node in a window that its
/// ranks share: whoever owns a block uses it, and rank 0 saves without a gather.
class ModelState {
 public:
  /// Collective. `mlp` must outlive it.
  ModelState(const comm::Topology& topology, const model::Mlp& mlp);

  /// Of this rank; the same on all ranks between steps.
  [[nodiscard]] ArenaView<float> weights() const { return weights_.mine(); }
  [[nodiscard]] const comm::Replica& replica() const { return weights_; }
  [[nodiscard]] ArenaView<float> momentum_buffer() const { return {mlp_->layout(), momentum_buffer_.data()}; }

  /// Initial weights, momentum 0. Collective.
  void initialize(std::uint64_t seed);
  /// From a checkpoint that rank 0 has read (nullptr elsewhere). Collective; all ranks throw the same
  /// StoreError.
  void load_weights(const store::Checkpoint* checkpoint);
  void load_weights_and_optimizer(const store::Checkpoint* checkpoint);

  /// Shared memory that the node needs for it.
  static std::size_t shared_bytes(const comm::Topology& topology, const Layout& layout) {
    return comm::Replica::shared_bytes(topology, layout) + layout.size() * sizeof(float);
  }

 private:
  const comm::Topology* topology_;
  const model::Mlp* mlp_;
  comm::Replica weights_;
  comm::SharedArray<float> momentum_buffer_;
};

}  // namespace fcmnist::train
