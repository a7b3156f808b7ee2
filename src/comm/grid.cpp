#include "comm/grid.hpp"

#include <fmt/format.h>

#include "core/error.hpp"

namespace fcmnist::comm {

Grid::Grid(const Topology& world, int stages) : world_(&world), stages_(stages) {
  const int ranks = world.world().size();
  FCMNIST_CHECK(stages >= 1 && ranks % stages == 0, fmt::format("{} stages, {} ranks", stages, ranks));
  if (stages == 1) return;
  stage_group_.emplace(world.world().split(stage()));
  replica_group_.emplace(world.world().split(replica()));
  stage_topology_.emplace(world, *stage_group_, stage());
}

void Grid::sum_over_stages(std::span<double> numbers) const {
  if (stages_ > 1) replica_group_->sum(numbers);
}

}  // namespace fcmnist::comm
