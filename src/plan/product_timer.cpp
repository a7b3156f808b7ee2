#include "plan/product_timer.hpp"

#include <algorithm>
#include <utility>

#include "comm/clock.hpp"
#include "plan/lone_work.hpp"
#include "plan/made_up_data.hpp"
#include "train/step_time.hpp"

namespace fcmnist::plan {

namespace {

/// A whole network on each rank, on made-up samples. All ways use the same memory.
class ProductTimer {
 public:
  ProductTimer(const config::RunConfig& config, const comm::Grid& grid,
               const std::vector<std::size_t>& widths, std::size_t samples,
               const std::vector<model::GemmChoice>& ways);
  ProductTimes run(double budget_s);

 private:
  std::vector<LayerTime> run_once(const model::Mlp& network);

  const comm::Communicator* world_;
  std::vector<model::Mlp> by_way_;
  train::SharedDataset data_;
  data::Dataset dataset_;
  LoneWork lone_;
};

ProductTimer::ProductTimer(const config::RunConfig& config, const comm::Grid& grid,
                           const std::vector<std::size_t>& widths, std::size_t samples,
                           const std::vector<model::GemmChoice>& ways)
    : world_(&grid.world().world()),
      by_way_([&] {
        std::vector<model::Mlp> networks;
        for (const model::GemmChoice& way : ways) networks.emplace_back(widths, config.model, way);
        return networks;
      }()),
      data_(made_up_data(grid.world(), {samples, 1, widths.front()}, config.model)),
      dataset_(data_.view()),
      lone_(config, grid.world(), by_way_.front(), grid.of_stage().node_count(), dataset_, samples) {}

std::vector<LayerTime> ProductTimer::run_once(const model::Mlp& network) {
  std::vector<LayerTime> times(network.layer_count());
  train::Stopwatch watch;
  std::size_t part = 0;
  lone_.work().use(network);
  lone_.work().set_on_product([&](model::Product product, std::size_t layer) {
    const auto member = product == model::Product::forward ? &LayerTime::forward_s : &LayerTime::delta_s;
    times[layer].*member += watch.lap_s();
  });
  world_->barrier();
  watch.lap_s();
  lone_.compute_microbatch(
      [&] { times[lone_.gradient_parts()[part++].layer].weight_gradient_s += watch.lap_s(); });
  // The samples were gathered before the first product, and the loss was computed before the first delta.
  times.front().forward_s -= lone_.observer().seconds(train::Activity::data);
  times.back().delta_s -= lone_.observer().seconds(train::Activity::loss);
  return times;
}

ProductTimes ProductTimer::run(double budget_s) {
  constexpr int warm_up_rounds = 3, least_rounds = 9, most_rounds = 301;
  constexpr double slow_round_s = 0.5;
  const std::size_t ways = by_way_.size();
  ProductTimes times(ways);
  int rounds = warm_up_rounds + 1;
  for (int round = 0; round < rounds; ++round) {
    const double begin_s = comm::now_s();
    for (std::size_t turn = 0; turn < ways; ++turn) {
      const std::size_t way = round % 2 == 0 ? turn : ways - 1 - turn;
      std::vector<LayerTime> once = run_once(by_way_[way]);
      if (round >= warm_up_rounds) times[way].push_back(std::move(once));
    }
    if (round == warm_up_rounds) {
      const double round_s = world_->max(comm::now_s() - begin_s);
      const int least = round_s < slow_round_s ? least_rounds : least_rounds / 3;
      rounds = warm_up_rounds + std::clamp(static_cast<int>(budget_s / round_s), least, most_rounds);
    }
  }
  return times;
}

}  // namespace

ProductTimes time_products(const config::RunConfig& config, const comm::Grid& grid,
                           const std::vector<std::size_t>& widths, std::size_t samples,
                           const std::vector<model::GemmChoice>& ways, double budget_s) {
  return ProductTimer(config, grid, widths, samples, ways).run(budget_s);
}

std::size_t product_timing_bytes(const model::Mlp& network, std::size_t samples) {
  return LoneWork::bytes(network, samples) + samples * network.inputs();
}

}  // namespace fcmnist::plan
