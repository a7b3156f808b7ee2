#include "plan/exchange_timer.hpp"

#include <memory>

#include "train/gradient_sum.hpp"
#include "train/step_time.hpp"
#include "train/trainer.hpp"

namespace fcmnist::plan {

namespace {

constexpr std::size_t most_microbatches = 1;  // as if each replica had one, whose gradient is written

/// One gradient on its way through a GradientSum.
class Exchange {
 public:
  Exchange(const config::RunConfig& config, const comm::Grid& grid, const model::Mlp& mlp, int streams,
           bool give_way)
      : world_(&grid.world().world()),
        parts_(train::gradient_parts(mlp, grid.of_stage().node_count(), config.run.reproducible)),
        small_(small_count) {
    comm::CommOptions options = config.comm;
    options.exchange_streams = streams;
    sum_ = train::make_gradient_sum(config.run.reproducible, most_microbatches, grid, mlp.layout(),
                                    mlp.network_layout().parameter_count(), train::ranges_of(parts_),
                                    small_count, options, give_way);
  }

  double seconds() {
    world_->barrier();
    train::Stopwatch watch;
    sum_->begin(small_);
    for (std::size_t p = 0; p < parts_.size(); ++p) sum_->part_written(true, true);
    sum_->wait_for_node();
    sum_->finish();
    sum_->owners().publish();
    return watch.lap_s();
  }

 private:
  static constexpr std::size_t small_count = 8;
  const comm::Communicator* world_;
  std::vector<model::GradientPart> parts_;
  std::vector<double> small_;
  std::unique_ptr<train::GradientSum> sum_;
};

}  // namespace

std::vector<std::vector<double>> time_exchanges(const config::RunConfig& config, const comm::Grid& grid,
                                                const model::Mlp& mlp, const std::vector<int>& streams,
                                                bool give_way) {
  constexpr int warm_up_rounds = 2, rounds = 15;
  std::vector<std::unique_ptr<Exchange>> exchanges;
  for (const int count : streams) {
    exchanges.push_back(std::make_unique<Exchange>(config, grid, mlp, count, give_way));
  }
  std::vector<std::vector<double>> seconds(streams.size());
  for (int round = 0; round < warm_up_rounds + rounds; ++round) {
    for (std::size_t i = 0; i < exchanges.size(); ++i) {
      const double once_s = exchanges[i]->seconds();
      if (round >= warm_up_rounds) seconds[i].push_back(once_s);
    }
  }
  return seconds;
}

std::size_t exchange_timing_bytes(const config::RunConfig& config, const comm::Grid& grid,
                                  const model::Mlp& mlp, std::size_t count) {
  const comm::Seat seat = grid.of_stage().seat();
  return count * static_cast<std::size_t>(seat.node_ranks) *
         train::gradient_sum_bytes_per_rank(config.run.reproducible, most_microbatches,
                                            grid.world().node_count(), seat, mlp.layout());
}

}  // namespace fcmnist::plan
