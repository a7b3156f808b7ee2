#include "plan/plan_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>

#include "comm/session.hpp"
#include "config/readers.hpp"
#include "kernels/gemm.hpp"
#include "model/layer_placement.hpp"
#include "model/precision.hpp"
#include "plan/comparison.hpp"
#include "plan/product_timer.hpp"
#include "train/gradient_sum.hpp"
#include "train/step_time.hpp"
#include "train/trainer.hpp"

namespace fcmnist::plan {

namespace {

using kernels::GemmBackend;

constexpr double timing_s = 0.8;  // of each of two
constexpr int most_streams = 8;

std::string name_of(GemmBackend backend) { return config::write_choice(backend, config::gemm_backends); }

/// What has a library of its own.
struct Product {
  const char* name;
  double LayerTime::*time_s;
  GemmBackend model::LayerGemms::*library;
};
constexpr Product products[] = {
    {"forward", &LayerTime::forward_s, &model::LayerGemms::forward},
    {"delta", &LayerTime::delta_s, &model::LayerGemms::delta},
    {"weight gradient", &LayerTime::weight_gradient_s, &model::LayerGemms::weight_gradient},
};

/// One number of each round.
template <class Number>
std::vector<double> by_round(const std::vector<std::vector<LayerTime>>& rounds, Number number) {
  std::vector<double> numbers;
  for (const std::vector<LayerTime>& layers : rounds) numbers.push_back(number(layers));
  return numbers;
}

double total_s(std::span<const LayerTime> layers) {
  return std::accumulate(layers.begin(), layers.end(), 0.0,
                         [](double sum, const LayerTime& layer) { return sum + layer.total_s(); });
}

std::string row(const std::string& what, const std::string& from, const std::string& to,
                const Comparison& times, bool taken) {
  return fmt::format("  {:<26} {:>10} {:>9.1f} us  {:>10} {:>9.1f} us  {:+6.1f} %  {}", what, from,
                     times.base_s * 1e6, to, times.other_s * 1e6, 100.0 * (times.ratio - 1.0),
                     taken ? to : from);
}

class Search {
 public:
  Search(const config::RunConfig& config, const comm::Grid& grid, const std::vector<std::size_t>& widths,
         std::size_t samples, kernels::HalfCompute compute, bool give_way)
      : config_(&config),
        grid_(&grid),
        world_(&grid.world().world()),
        widths_(widths),
        samples_(samples),
        compute_(compute),
        give_way_(give_way) {}

  FoundPlan run() {
    if (compute_ == kernels::HalfCompute::emulated) {
      choose_libraries();
    } else {
      found_.report.push_back(fmt::format("products: {}: no library to choose",
                                          model::describe(config_->model.precision, compute_)));
    }
    check_whole_step();
    if (grid_->stages() > 1) place_stages();
    choose_streams();
    if (found_.report.empty()) {
      found_.report.emplace_back("nothing to choose: one library in this build, one node, one stage");
    }
    return std::move(found_);
  }

 private:
  [[nodiscard]] std::size_t layers() const { return widths_.size() - 1; }
  void choose_libraries();
  void check_whole_step();
  void place_stages();
  void choose_streams();

  const config::RunConfig* config_;
  const comm::Grid* grid_;
  const comm::Communicator* world_;
  std::vector<std::size_t> widths_;
  std::size_t samples_;
  kernels::HalfCompute compute_;
  bool give_way_;
  FoundPlan found_;
  std::vector<std::vector<LayerTime>> rounds_;  ///< of the libraries that were chosen
};

void Search::choose_libraries() {
  const GemmBackend now = config_->kernels.gemm;
  found_.plan.gemm.assign(layers(), {now, now, now});
  for (const auto& [word, other] : config::gemm_backends) {
    if (other == now || !kernels::available(other)) continue;
    found_.report.push_back(
        fmt::format("products of a microbatch of {} samples: {} against {}", samples_, name_of(now), word));
    const auto times = time_products(*config_, *grid_, widths_, samples_, {now, other}, timing_s);
    for (std::size_t i = 0; i < layers(); ++i) {
      for (const auto [name, time_s, library] : products) {
        if (i == 0 && library == &model::LayerGemms::delta) continue;
        const auto of_product = [i, time_s = time_s](const auto& layers) { return layers[i].*time_s; };
        const Comparison compared =
            of_slowest_rank(*world_, compare(by_round(times[0], of_product), by_round(times[1], of_product)));
        if (compared.is_gain()) found_.plan.gemm[i].*library = other;
        found_.report.push_back(row(fmt::format("layer {} {}", i, name), name_of(now), name_of(other),
                                    compared, compared.is_gain()));
      }
    }
  }
}

/// The libraries together: one may disturb the other, and what was gained in one product may be lost in the
/// next.
void Search::check_whole_step() {
  const GemmBackend now = config_->kernels.gemm;
  std::vector<model::LayerGemms> unchanged(found_.plan.gemm.size(), {now, now, now});
  const bool changed = found_.plan.gemm != unchanged;
  if (!changed && grid_->stages() == 1) return;
  std::vector<model::GemmChoice> ways = {now};
  if (changed) ways.emplace_back(found_.plan.gemm);
  auto times = time_products(*config_, *grid_, widths_, samples_, ways, timing_s);
  rounds_ = std::move(times.front());
  if (!changed) return;
  const auto whole = [](const std::vector<LayerTime>& layers) { return total_s(layers); };
  const Comparison compared =
      of_slowest_rank(*world_, compare(by_round(rounds_, whole), by_round(times[1], whole)));
  found_.report.push_back(row("all of them", name_of(now), "the plan", compared, compared.is_gain()));
  if (compared.is_gain()) {
    rounds_ = std::move(times[1]);
  } else {
    found_.plan.gemm = std::move(unchanged);
  }
}

/// By the measured times of the layers instead of their FLOPs.
void Search::place_stages() {
  const auto count = static_cast<std::size_t>(grid_->stages());
  std::vector<double> costs;
  for (std::size_t i = 0; i < layers(); ++i) {
    const auto of_layer = [i](const std::vector<LayerTime>& layers) { return layers[i].total_s(); };
    const std::vector<double> seconds = by_round(rounds_, of_layer);
    costs.push_back(of_slowest_rank(*world_, compare(seconds, seconds)).base_s);
  }
  const auto by_flops = model::place_layers(model::layer_costs(widths_), count);
  const auto by_time = model::place_layers(costs, count);
  const auto slowest_stage = [](const std::vector<model::LayerRange>& stages) {
    return [&stages](const std::vector<LayerTime>& layers) {
      double most_s = 0.0;
      for (const auto [begin, end] : stages) {
        most_s = std::max(most_s, total_s(std::span(layers).subspan(begin, end - begin)));
      }
      return most_s;
    };
  };
  const Comparison compared = of_slowest_rank(*world_, compare(by_round(rounds_, slowest_stage(by_flops)),
                                                               by_round(rounds_, slowest_stage(by_time))));
  const auto text = [](const auto& stages) { return config::write(model::first_layers_of(stages)); };
  found_.plan.first_layers = model::first_layers_of(compared.is_gain() ? by_time : by_flops);
  found_.report.push_back(
      "slowest stage of a microbatch: first layers of the stages by FLOPs against by time");
  found_.report.push_back(row("slowest stage", text(by_flops), text(by_time), compared, compared.is_gain()));
}

/// One gradient on its way through GradientSum.
class Exchange {
 public:
  Exchange(const config::RunConfig& config, const comm::Grid& grid, const model::Mlp& mlp, int streams,
           bool give_way)
      : world_(&grid.world().world()),
        parts_(train::gradient_parts(mlp, grid.of_stage().node_count(), config.run.reproducible)),
        small_(small_count) {
    comm::CommOptions options = config.comm;
    options.exchange_streams = streams;
    sum_ = train::make_gradient_sum(config.run.reproducible, 1, grid, mlp.layout(),
                                    mlp.network_layout().parameter_count(), train::ranges_of(parts_),
                                    small_count, options, give_way);
  }

  double seconds() {
    world_->barrier();
    train::Stopwatch watch;
    sum_->begin(small_);
    for (std::size_t p = 0; p < parts_.size(); ++p) sum_->part_written(true, true);
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

/// By the time of the exchange alone, of which training hides a part behind the backward pass.
void Search::choose_streams() {
  if (world_->max(grid_->of_stage().node_count()) <= 1) return;
  const int now = config_->comm.exchange_streams;
  const auto most = static_cast<int>(world_->min(grid_->of_stage().smallest_node()));
  std::vector<int> candidates = {now};
  for (int streams = 1; streams <= std::min(most, most_streams); streams *= 2) {
    if (streams != now) candidates.push_back(streams);
  }
  found_.plan.exchange_streams = now;
  if (candidates.size() == 1) return;
  const auto placed = found_.plan.first_layers.empty()
                          ? std::vector<model::LayerRange>{{0, layers()}}
                          : model::stages_from(found_.plan.first_layers, layers());
  const model::Mlp mlp(widths_, config_->model, config_->kernels.gemm,
                       placed[static_cast<std::size_t>(grid_->stage())]);
  const comm::Seat seat = grid_->of_stage().seat();
  const std::size_t bytes = train::gradient_sum_bytes_per_rank(
      config_->run.reproducible, 1, grid_->world().node_count(), seat, mlp.layout());
  const auto available = comm::free_shared_memory();
  const std::size_t needed = candidates.size() * bytes * static_cast<std::size_t>(seat.node_ranks);
  if (world_->min(available && *available < needed ? 0 : 1) == 0) {
    found_.report.push_back("exchange_streams: not compared, /dev/shm is too small for all at once");
    return;
  }
  std::vector<std::unique_ptr<Exchange>> exchanges;
  for (const int streams : candidates) {
    exchanges.push_back(std::make_unique<Exchange>(*config_, *grid_, mlp, streams, give_way_));
  }
  std::vector<std::vector<double>> seconds(candidates.size());
  constexpr int warm_up_rounds = 2, rounds = 15;
  for (int round = 0; round < warm_up_rounds + rounds; ++round) {
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const double once_s = exchanges[i]->seconds();
      if (round >= warm_up_rounds) seconds[i].push_back(once_s);
    }
  }
  found_.report.push_back("exchange of a gradient: ranks of each node that send");
  double best = 1.0;
  for (std::size_t i = 1; i < candidates.size(); ++i) {
    const Comparison compared = of_slowest_rank(*world_, compare(seconds[0], seconds[i]));
    const bool taken = compared.is_gain() && compared.ratio < best;
    if (taken) {
      best = compared.ratio;
      found_.plan.exchange_streams = candidates[i];
    }
    found_.report.push_back(
        row("exchange_streams", std::to_string(now), std::to_string(candidates[i]), compared, taken));
  }
}

}  // namespace

FoundPlan search_plan(const config::RunConfig& config, const comm::Grid& grid,
                      const std::vector<std::size_t>& widths, std::size_t samples,
                      kernels::HalfCompute compute, bool give_way) {
  return Search(config, grid, widths, samples, compute, give_way).run();
}

}  // namespace fcmnist::plan
