#include "train/replica_check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/digest.hpp"
#include "core/error.hpp"

namespace fcmnist::train {

namespace {

using Ranks = std::vector<int>;

/// Who is right. Every node has one vote, which its copies share: what goes wrong at the owner of a block is
/// wrong in all copies of its node.
class Votes {
 public:
  Votes(std::span<const CopyDigest> copies, std::span<const comm::RankPlacement> placement)
      : placement_(placement) {
    for (const CopyDigest& copy : copies) ++copies_of_node_[node_of(copy.rank)];
  }
  [[nodiscard]] double of(const Ranks& ranks) const {
    double votes = 0.0;
    for (const int rank : ranks) votes += 1.0 / copies_of_node_.at(node_of(rank));
    return votes;
  }
  /// With some room for rounding.
  [[nodiscard]] bool are_most(const Ranks& ranks) const {
    return 2.0 * of(ranks) > static_cast<double>(copies_of_node_.size()) + 1e-9;
  }

 private:
  [[nodiscard]] int node_of(int rank) const { return placement_[static_cast<std::size_t>(rank)].node; }
  std::span<const comm::RankPlacement> placement_;
  std::map<int, int> copies_of_node_;
};

/// Ranks by what their copies agree on, those with most votes first, then by lowest rank.
std::vector<Ranks> groups_of(std::span<const CopyDigest> copies, const Votes& votes) {
  std::vector<Ranks> groups;
  std::map<std::string_view, std::size_t> group_of;
  for (const CopyDigest& copy : copies) {
    const std::size_t group = group_of.try_emplace(copy.sha256, groups.size()).first->second;
    groups.resize(group_of.size());
    groups[group].push_back(copy.rank);
  }
  std::ranges::stable_sort(groups, std::ranges::greater(),
                           [&](const Ranks& ranks) { return std::lround(1e6 * votes.of(ranks)); });
  return groups;
}

/// "rank 3 (node n2), ranks 8, 9 (node n4)"
std::string names_of(const Ranks& ranks, std::span<const comm::RankPlacement> placement) {
  std::map<int, Ranks> by_node;
  for (const int rank : ranks) by_node[placement[static_cast<std::size_t>(rank)].node].push_back(rank);
  std::vector<std::string> names;
  for (const auto& [node, here] : by_node) {
    names.push_back(fmt::format("rank{} {} (node {})", here.size() == 1 ? "" : "s", fmt::join(here, ", "),
                                placement[static_cast<std::size_t>(here.front())].host));
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

template <class T>
std::string sha256_of(ArenaView<const T> numbers) {
  Sha256 sum;
  for (const Slot& slot : numbers.layout().slots()) {
    sum.add(std::as_bytes(numbers.all().subspan(slot.offset, slot.count())));
  }
  return sum.hex();
}

}  // namespace

std::string bits_sha256(ArenaView<const float> numbers) { return sha256_of(numbers); }

std::optional<std::string> drift_text(std::span<const CopyDigest> copies, std::string_view what,
                                      std::string_view owners,
                                      std::span<const comm::RankPlacement> placement) {
  const Votes votes(copies, placement);
  const std::vector<Ranks> groups = groups_of(copies, votes);
  if (groups.size() == 1) return std::nullopt;
  if (votes.are_most(groups.front())) {
    Ranks others;
    for (const Ranks& group : std::span(groups).subspan(1)) {
      others.insert(others.end(), group.begin(), group.end());
    }
    std::ranges::sort(others);
    return fmt::format("{}: {} {} differ from those of the other {} {}", names_of(others, placement),
                       others.size() == 1 ? "its" : "their", what, groups.front().size(), owners);
  }
  std::vector<std::string> names;
  for (const Ranks& group : groups) names.push_back(names_of(group, placement));
  return fmt::format("{} differ, and no majority says which are right: {}", what,
                     fmt::join(names, " against "));
}

void check_replicas(const comm::Grid& grid, const ModelState& state, std::int64_t steps_done,
                    std::span<const comm::RankPlacement> placement) {
  if (grid.replicas() == 1) return;
  const comm::Topology& stage = grid.of_stage();
  const model::WorkingWeights working = state.working_weights();
  std::string mine = model::with_number_type(
      working.precision(), [&]<class T>() { return sha256_of(ArenaView<const T>(working.as<T>())); });
  const std::size_t length = mine.size();
  if (stage.node_count() > 1 && stage.is_leader()) {
    for (const OptimizerArray& array : state.optimizer_arrays()) mine += bits_sha256(array.values);
    if (state.has_separate_masters()) mine += bits_sha256(state.weights());
  }

  const std::vector<std::string> all = grid.world().world().all_gather(mine);
  std::optional<std::string> drift;
  for (int rank = 0; !drift && rank < static_cast<int>(all.size());) {
    std::vector<CopyDigest> weights, optimizer;
    for (const int end = rank + grid.replicas(); rank < end; ++rank) {  // the ranks of one stage
      const std::string& digests = all[static_cast<std::size_t>(rank)];
      weights.push_back({rank, digests.substr(0, length)});
      if (digests.size() > length) optimizer.push_back({rank, digests.substr(length)});
    }
    drift = drift_text(weights, "weights", "ranks", placement);
    const char* const of_node =
        state.has_separate_masters() ? "master weights or optimizer values" : "optimizer values";
    if (!drift && !optimizer.empty()) drift = drift_text(optimizer, of_node, "nodes", placement);
  }
  if (!drift) return;
  throw CommError(
      fmt::format("{} step {}: {}", steps_done == 0 ? "before" : "after",
                  std::max<std::int64_t>(steps_done, 1), *drift),
      "look for memory and processor errors of the node (dmesg, rasdaemon), and whether it runs the same "
      "program and libraries as the others; nothing of this state is saved, the same command goes on "
      "from the newest checkpoint")
      .as_agreed();
}

}  // namespace fcmnist::train
