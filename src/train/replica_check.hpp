#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "comm/grid.hpp"
#include "comm/placement.hpp"
#include "core/arena.hpp"
#include "train/model_state.hpp"

namespace fcmnist::train {

/// One copy of what all should have alike: whose it is, and its SHA-256.
struct CopyDigest {
  int rank = 0;  ///< rank in the world
  std::string sha256;
};

/// The SHA-256 of the numbers of all slots, as bits: -0 is not 0. The gaps between slots hold nothing and do
/// not count.
std::string bits_sha256(ArenaView<const float> numbers);

/// Whose copy is not as the others': the ranks that differ from the majority or, where there is none, all
/// ranks by what they agree on. Every node has one vote. Nothing if all are equal.
///   what    "weights"
///   owners  "ranks"
///   placement  of every rank of the world
/// "rank 3 (node n2): its weights differ from those of the other 7 ranks"
std::optional<std::string> drift_text(std::span<const CopyDigest> copies, std::string_view what,
                                      std::string_view owners,
                                      std::span<const comm::RankPlacement> placement);

/// Compares the working weights of all ranks of each stage, and the optimizer state of all its nodes, with
/// their master weights where those are others: of both a node has one copy. Collective
/// over the world, to be called between steps; throws the same CommError on all ranks when a bit differs.
/// Costs a SHA-256 of the weights on every rank (of several nodes the leaders digest the optimizer state as
/// well) and one gather.
///
/// What it can find: within a node, weights are copied from the owner of a block in every step
/// (comm::WeightCopies) so that what went wrong in a copy is gone after the next step, and what went wrong at
/// the owner is everybody's. Between nodes, every owner updates weights of its own, and a difference stays
/// for good.
void check_replicas(const comm::Grid& grid, const ModelState& state, std::int64_t steps_done,
                    std::span<const comm::RankPlacement> placement);

}  // namespace fcmnist::train
