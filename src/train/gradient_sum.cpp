#include "train/gradient_sum.hpp"

#include "train/fast_sum.hpp"
#include "train/reproducible_sum.hpp"

namespace fcmnist::train {

std::unique_ptr<GradientSum> make_gradient_sum(bool reproducible, std::size_t most_microbatches,
                                               const comm::Grid& grid, const Layout& layout,
                                               std::size_t parameters, std::vector<Range> parts,
                                               std::size_t small_count, const comm::CommOptions& options,
                                               bool give_way) {
  if (reproducible) {
    return std::make_unique<ReproducibleSum>(most_microbatches, grid, layout, parameters, std::move(parts),
                                             small_count, options, give_way);
  }
  return std::make_unique<FastSum>(grid, layout, std::move(parts), small_count, options, give_way);
}

std::size_t gradient_sum_bytes_per_rank(bool reproducible, std::size_t most_microbatches,
                                        const comm::Grid& grid, const Layout& layout) {
  const comm::Topology& stage = grid.of_stage();
  if (reproducible && ReproducibleSum::needs_integers(most_microbatches, grid.world())) {
    return comm::GradientExchange<std::int64_t>::bytes_per_rank(stage, layout, 0);
  }
  return comm::GradientExchange<float>::bytes_per_rank(stage, layout, 0);
}

}  // namespace fcmnist::train
