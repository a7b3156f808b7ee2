#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "comm/grid.hpp"
#include "comm/shared_window.hpp"
#include "comm/weight_copies.hpp"
#include "core/arena.hpp"
#include "model/mlp.hpp"
#include "model/working_weights.hpp"
#include "store/checkpoint.hpp"

namespace fcmnist::train {

/// An array of the optimizer, of the layers of this rank's stage.
struct OptimizerArray {
  std::string_view name;
  ArenaView<float> values;
};

/// Weights and optimizer state. Of the working weights every rank has its own copy; of the optimizer state
/// there is one copy per node in a window that its ranks share: whoever owns a block uses it. Master weights
/// are float. With the precision float32 they are the working weights; in mixed precision they lie in a
/// window as the optimizer state does, and the working weights are what is left of them when they are
/// rounded. With several stages a rank has those of its stage's layers; what goes to and comes from files is
/// always the whole network, in float.
class ModelState {
 public:
  /// Collective. `mlp` has the layers of this rank's stage, and the precision; `grid` and `mlp` must outlive
  /// it. `optimizer_arrays`: their names (optim::state_arrays), none for a model that is not trained.
  ModelState(const comm::Grid& grid, const model::Mlp& mlp,
             std::span<const std::string_view> optimizer_arrays);

  /// Master weights of this rank's stage; the same on all its ranks between steps.
  [[nodiscard]] ArenaView<float> weights() const;
  [[nodiscard]] bool has_separate_masters() const { return masters_.all().size() > 0; }
  /// Working weights of this rank.
  [[nodiscard]] model::WorkingWeights working_weights() const;
  [[nodiscard]] std::span<const OptimizerArray> optimizer_arrays() const { return optimizer_arrays_; }
  /// Whether one of them is the average of the weights (optim::weight_average).
  [[nodiscard]] bool keeps_average() const { return average_ != nullptr; }

  /// Until the other is called, the working weights of this rank are the average of the weights. Only between steps,
  /// and if it is kept; no rank may begin a step before all are back.
  void use_average();
  void use_trained();

  /// The owner of a block has updated its master weights: they become working weights, and are offered to the
  /// other ranks of the node.
  void publish(const Block& block) const;
  /// Another rank has published the block, and there has been a barrier since.
  void take(const Block& block) const;

  /// Initial weights; optimizer state 0, but the average of the weights is they. Collective.
  void initialize(std::uint64_t seed);
  /// From a checkpoint that rank 0 has read (nullptr elsewhere). Collective; all ranks throw the same
  /// StoreError.
  void load_weights(const store::Checkpoint* checkpoint);
  /// The average of the weights in their place.
  void load_average(const store::Checkpoint* checkpoint);
  void load_weights_and_optimizer(const store::Checkpoint* checkpoint);

  /// Of all layers.
  struct Network {
    std::vector<AlignedArray<float>> gathered;  ///< the memory of the views; empty with one stage
    ArenaView<const float> weights;
    std::vector<store::OptimizerArray> optimizer;
  };
  /// Rank 0 gets the whole network, valid until the next step or load. The other ranks get nothing.
  /// Collective.
  [[nodiscard]] std::optional<Network> gather() const;

  /// Memory of its own that a rank needs for it.
  static std::size_t private_bytes(const Layout& layout, model::Precision precision, bool keeps_average);
  /// What gather() needs more on rank 0.
  ///   network  the layout of all layers
  static std::size_t gathered_bytes(int stages, const Layout& network, std::size_t optimizer_arrays);
  /// Shared memory that the node needs for it.
  static std::size_t shared_bytes(const comm::Seat& stage, const Layout& layout, model::Precision precision,
                                  std::size_t optimizer_arrays);

 private:
  [[nodiscard]] AlignedArray<float> room_for_network() const;
  [[nodiscard]] ArenaView<float> whole(const AlignedArray<float>& numbers, ArenaView<float> mine) const;
  [[nodiscard]] AlignedArray<float> gather(ArenaView<const float> mine) const;
  void scatter(const AlignedArray<float>& all, ArenaView<float> mine) const;
  template <class Load>
  void load_weights_by(Load load);
  void spread_weights();
  void begin_average();
  void spread_to_nodes(ArenaView<float> of_node) const;

  const comm::Grid* grid_;
  const model::Mlp* mlp_;
  comm::WeightCopies working_;
  comm::SharedArray<float> masters_;  ///< empty when the working weights are the masters
  std::vector<comm::SharedArray<float>> optimizer_windows_;
  std::vector<OptimizerArray> optimizer_arrays_;  ///< views of these windows
  const OptimizerArray* average_ = nullptr;       ///< one of these
  AlignedArray<float> trained_;  ///< what use_trained() restores, if the working weights are the masters
};

}  // namespace fcmnist::train
