#include "train/window_bytes.hpp"

#include "optim/update.hpp"
#include "train/gradient_sum.hpp"
#include "train/microbatches.hpp"
#include "train/model_state.hpp"

namespace fcmnist::train {

std::size_t window_bytes_of_rank(const config::RunConfig& config, int replicas, int stages, int nodes,
                                 const comm::Seat& seat, const Layout& layout) {
  constexpr std::size_t small_windows_bytes = std::size_t{64}
                                              << 10;  // the barrier of a rank, and rounding to pages
  const std::size_t microbatches = most_training_microbatches(config, replicas, stages);
  return small_windows_bytes +
         gradient_sum_bytes_per_rank(config.run.reproducible, microbatches, nodes, seat, layout) +
         (seat.is_leader ? ModelState::shared_bytes(seat, layout, config.model.precision,
                                                    optim::state_arrays(config.optimizer).size())
                         : 0);
}

std::size_t shared_bytes_of_node(const Shapes& shapes) {
  constexpr std::size_t mpi_overhead_bytes = std::size_t{1} << 20;  // Open MPI has headers of its own
  return mpi_overhead_bytes + SharedDataset::bytes(shapes.train) +
         (shapes.eval ? SharedDataset::bytes(*shapes.eval) : 0);
}

}  // namespace fcmnist::train
