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

std::size_t gradient_number_bytes(bool reproducible, std::size_t most_microbatches, int nodes) {
  const bool integers = reproducible && ReproducibleSum::needs_integers(most_microbatches, nodes);
  return integers ? sizeof(std::int64_t) : sizeof(float);
}

std::size_t gradient_sum_private_bytes(bool reproducible, std::size_t most_microbatches, int nodes,
                                       const Layout& layout) {
  const bool integers = reproducible && ReproducibleSum::needs_integers(most_microbatches, nodes);
  return integers ? layout.size() * sizeof(float) : 0;
}

std::size_t gradient_sum_bytes_per_rank(bool reproducible, std::size_t most_microbatches, int nodes,
                                        const comm::Seat& seat, const Layout& layout) {
  if (gradient_number_bytes(reproducible, most_microbatches, nodes) == sizeof(std::int64_t)) {
    return comm::GradientExchange<std::int64_t>::bytes_per_rank(seat, layout, 0);
  }
  return comm::GradientExchange<float>::bytes_per_rank(seat, layout, 0);
}

}  // namespace fcmnist::train
