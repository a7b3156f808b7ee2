#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "comm/grid.hpp"
#include "comm/replica.hpp"
#include "comm/shared_window.hpp"
#include "core/arena.hpp"
#include "model/mlp.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::train {

/// Weights and optimizer state. Of the working weights every rank has its own copy; of the optimizer state
/// there is one copy per node in a window that its ranks share: whoever owns a block uses it. Master weights
/// are float. With the precision float32 they are the working weights; in mixed precision they lie in a
/// window as the optimizer state does, and the working weights are what is left of them when they are
/// rounded. With several stages a rank has those of its stage's layers; what goes to and comes from files is
/// always the whole network, in float.
class ModelState {
 public:
  /// Collective. `mlp` has the layers of this rank's stage, and the precision. Both must outlive it.
  ModelState(const comm::Grid& grid, const model::Mlp& mlp);

  /// Master weights of this rank's stage; the same on all its ranks between steps.
  [[nodiscard]] ArenaView<float> weights() const;
  [[nodiscard]] bool has_separate_masters() const { return masters_.all().size() > 0; }
  /// Working weights, in the numbers of the precision.
  using AnyReplica = std::variant<comm::Replica, comm::BasicReplica<BFloat16>, comm::BasicReplica<Float16>>;
  [[nodiscard]] const AnyReplica& any_replica() const { return working_; }
  template <class T = float>
  [[nodiscard]] const comm::BasicReplica<T>& replica() const {
    return std::get<comm::BasicReplica<T>>(working_);
  }
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
  static std::size_t shared_bytes(const comm::Seat& stage, const Layout& layout, model::Precision precision);

 private:
  [[nodiscard]] AlignedArray<float> room_for_network() const;
  [[nodiscard]] ArenaView<float> whole(const AlignedArray<float>& numbers, ArenaView<float> mine) const;
  [[nodiscard]] AlignedArray<float> gather(ArenaView<const float> mine) const;
  void scatter(const AlignedArray<float>& all, ArenaView<float> mine) const;
  void spread_weights();
  void spread(const comm::SharedArray<float>& of_node) const;

  const comm::Grid* grid_;
  const model::Mlp* mlp_;
  AnyReplica working_;
  comm::SharedArray<float> masters_;  ///< empty when the working weights are the masters
  comm::SharedArray<float> momentum_buffer_;
};

}  // namespace fcmnist::train
