#pragma once

#include <cstdint>

#include "comm/shared_window.hpp"
#include "comm/topology.hpp"
#include "core/arena.hpp"
#include "model/mlp.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::train {

/// Weights and optimizer state: one copy per node, in windows that its ranks share. Whoever owns a block
/// writes it; all read the weights, and rank 0 saves without a gather.
class ModelState {
 public:
  /// Collective. `mlp` must outlive it.
  ModelState(const comm::Topology& topology, const model::Mlp& mlp);

  [[nodiscard]] ArenaView<float> weights() const { return {mlp_->layout(), weights_.data()}; }
  [[nodiscard]] ArenaView<float> momentum_buffer() const { return {mlp_->layout(), momentum_buffer_.data()}; }

  /// Initial weights, momentum 0. Collective.
  void initialize(std::uint64_t seed);
  /// From a checkpoint that rank 0 has read (nullptr elsewhere). Collective; all ranks throw the same
  /// StoreError.
  void load_weights(const store::Checkpoint* checkpoint);
  void load_weights_and_optimizer(const store::Checkpoint* checkpoint);

  /// Shared memory that the node needs for it.
  static std::size_t bytes(const Layout& layout) { return 2 * layout.size() * sizeof(float); }

 private:
  void spread(ArenaView<float> values) const;

  const comm::Topology* topology_;
  const model::Mlp* mlp_;
  comm::SharedArray<float> weights_;
  comm::SharedArray<float> momentum_buffer_;
};

}  // namespace fcmnist::train
