#include "plan/plan_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "comm/host_memory.hpp"
#include "config/readers.hpp"
#include "kernels/gemm.hpp"
#include "model/layer_placement.hpp"
#include "model/precision.hpp"
#include "plan/comparison.hpp"
#include "plan/exchange_timer.hpp"
#include "plan/product_timer.hpp"

namespace fcmnist::plan {

namespace {

using kernels::GemmBackend;
using Layers = std::vector<LayerTime>;  ///< the layers of the network in one round

constexpr double timing_s = 0.8;  // each call of time_products() may take so long
constexpr int most_streams = 8;

std::string name_of(GemmBackend backend) { return config::write_choice(backend, config::gemm_backends); }

/// A product of a layer, for which a library is chosen.
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
std::vector<double> by_round(const std::vector<Layers>& rounds, Number number) {
  std::vector<double> numbers;
  for (const Layers& layers : rounds) numbers.push_back(number(layers));
  return numbers;
}

double total_s(std::span<const LayerTime> layers) {
  return std::accumulate(layers.begin(), layers.end(), 0.0,
                         [](double sum, const LayerTime& layer) { return sum + layer.total_s(); });
}

double slowest_stage_s(std::span<const LayerTime> layers, std::span<const model::LayerRange> stages) {
  double most_s = 0.0;
  for (const auto [begin, end] : stages) {
    most_s = std::max(most_s, total_s(layers.subspan(begin, end - begin)));
  }
  return most_s;
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
      report(fmt::format("products: {}: no library to choose",
                         model::describe(config_->model.precision, compute_)));
    }
    check_whole_step();
    if (grid_->stages() > 1) place_stages();
    choose_streams();
    if (found_.report.empty()) report("nothing to choose: one library in this build, one node, one stage");
    return std::move(found_);
  }

 private:
  [[nodiscard]] std::size_t layers() const { return widths_.size() - 1; }
  void report(std::string line) { found_.report.push_back(std::move(line)); }
  [[nodiscard]] Comparison compare_on_all_ranks(std::span<const double> base,
                                                std::span<const double> other) const {
    return of_slowest_rank(*world_, compare(base, other));
  }

  void choose_libraries();
  void try_library(GemmBackend other);
  void check_whole_step();
  void keep_if_faster(std::vector<Layers> with_choice);
  void place_stages();
  void choose_streams();
  [[nodiscard]] std::vector<int> streams_to_try() const;
  [[nodiscard]] model::Mlp my_stage() const;
  [[nodiscard]] bool has_room_for_exchanges(const model::Mlp& mlp, std::size_t count) const;
  void take_fastest(const std::vector<int>& streams, const std::vector<std::vector<double>>& seconds);

  const config::RunConfig* config_;
  const comm::Grid* grid_;
  const comm::Communicator* world_;
  std::vector<std::size_t> widths_;
  std::size_t samples_;
  kernels::HalfCompute compute_;
  bool give_way_;
  FoundPlan found_;
  std::vector<Layers> rounds_;  ///< times with the libraries that were chosen
};

void Search::choose_libraries() {
  const GemmBackend now = config_->kernels.gemm;
  found_.plan.gemm.assign(layers(), {now, now, now});
  for (const auto& [word, other] : config::gemm_backends) {
    if (other == now || !kernels::available(other)) continue;
    report(
        fmt::format("products of a microbatch of {} samples: {} against {}", samples_, name_of(now), word));
    try_library(other);
  }
}

/// Takes the library for each product that is faster with it.
void Search::try_library(GemmBackend other) {
  const GemmBackend now = config_->kernels.gemm;
  const auto times = time_products(*config_, *grid_, widths_, samples_, {now, other}, timing_s);
  for (std::size_t i = 0; i < layers(); ++i) {
    for (const auto [name, time_s, library] : products) {
      if (i == 0 && library == &model::LayerGemms::delta) continue;  // the first layer has no such product
      const auto of_product = [i, time_s = time_s](const Layers& all) { return all[i].*time_s; };
      const Comparison compared =
          compare_on_all_ranks(by_round(times[0], of_product), by_round(times[1], of_product));
      if (compared.is_gain()) found_.plan.gemm[i].*library = other;
      report(row(fmt::format("layer {} {}", i, name), name_of(now), name_of(other), compared,
                 compared.is_gain()));
    }
  }
}

/// Times the chosen libraries together: one may disturb the other, and what was gained in one product may be
/// lost in the next.
void Search::check_whole_step() {
  const GemmBackend now = config_->kernels.gemm;
  const std::vector<model::LayerGemms> unchanged(found_.plan.gemm.size(), {now, now, now});
  const bool changed = found_.plan.gemm != unchanged;
  if (!changed && grid_->stages() == 1) return;
  std::vector<model::GemmChoice> ways = {now};
  if (changed) ways.emplace_back(found_.plan.gemm);
  auto times = time_products(*config_, *grid_, widths_, samples_, ways, timing_s);
  rounds_ = std::move(times.front());
  if (changed) keep_if_faster(std::move(times.back()));
}

/// Gives the choice up unless the whole step is faster with it.
void Search::keep_if_faster(std::vector<Layers> with_choice) {
  const GemmBackend now = config_->kernels.gemm;
  const auto whole = [](const Layers& all) { return total_s(all); };
  const Comparison compared = compare_on_all_ranks(by_round(rounds_, whole), by_round(with_choice, whole));
  report(row("all of them", name_of(now), "the plan", compared, compared.is_gain()));
  if (compared.is_gain()) {
    rounds_ = std::move(with_choice);
  } else {
    found_.plan.gemm.assign(found_.plan.gemm.size(), {now, now, now});
  }
}

/// Compares stages of equal measured times with those of equal FLOPs.
void Search::place_stages() {
  const auto count = static_cast<std::size_t>(grid_->stages());
  std::vector<double> costs;
  for (std::size_t i = 0; i < layers(); ++i) {
    const std::vector<double> seconds =
        by_round(rounds_, [i](const Layers& all) { return all[i].total_s(); });
    costs.push_back(compare_on_all_ranks(seconds, seconds).base_s);
  }
  const auto by_flops = model::place_layers(model::layer_costs(widths_), count);
  const auto by_time = model::place_layers(costs, count);
  const auto slowest = [&](const std::vector<model::LayerRange>& stages) {
    return by_round(rounds_, [&](const Layers& all) { return slowest_stage_s(all, stages); });
  };
  const Comparison compared = compare_on_all_ranks(slowest(by_flops), slowest(by_time));
  const auto text = [](const auto& stages) { return config::write(model::first_layers_of(stages)); };
  found_.plan.first_layers = model::first_layers_of(compared.is_gain() ? by_time : by_flops);
  report("slowest stage of a microbatch: first layers of the stages by FLOPs against by time");
  report(row("slowest stage", text(by_flops), text(by_time), compared, compared.is_gain()));
}

/// By the time of the exchange alone, of which training hides a part behind the backward pass.
void Search::choose_streams() {
  if (world_->max(grid_->of_stage().node_count()) <= 1) return;
  found_.plan.exchange_streams = config_->comm.exchange_streams;
  const std::vector<int> streams = streams_to_try();
  if (streams.size() == 1) return;
  const model::Mlp mlp = my_stage();
  if (!has_room_for_exchanges(mlp, streams.size())) {
    report("exchange_streams: not compared, /dev/shm is too small for all at once");
    return;
  }
  take_fastest(streams, time_exchanges(*config_, *grid_, mlp, streams, give_way_));
}

/// The number of streams that is configured, then the powers of two that every node has ranks for.
std::vector<int> Search::streams_to_try() const {
  std::vector<int> streams = {config_->comm.exchange_streams};
  const auto ranks = static_cast<int>(world_->min(grid_->of_stage().smallest_node()));
  for (int count = 1; count <= std::min(ranks, most_streams); count *= 2) {
    if (count != streams.front()) streams.push_back(count);
  }
  return streams;
}

model::Mlp Search::my_stage() const {
  const std::vector<model::LayerRange> stages = found_.plan.first_layers.empty()
                                                    ? std::vector<model::LayerRange>{{0, layers()}}
                                                    : model::stages_from(found_.plan.first_layers, layers());
  return {widths_, config_->model, config_->kernels.gemm, stages[static_cast<std::size_t>(grid_->stage())]};
}

/// The same answer on all ranks.
bool Search::has_room_for_exchanges(const model::Mlp& mlp, std::size_t count) const {
  const std::size_t needed = exchange_timing_bytes(*config_, *grid_, mlp, count);
  const auto available = comm::free_shared_memory();
  return world_->min(available && *available < needed ? 0 : 1) == 1;
}

/// Each is compared with the first, the configured one.
void Search::take_fastest(const std::vector<int>& streams, const std::vector<std::vector<double>>& seconds) {
  report("exchange of a gradient: ranks of each node that send");
  double best = 1.0;
  for (std::size_t i = 1; i < streams.size(); ++i) {
    const Comparison compared = compare_on_all_ranks(seconds.front(), seconds[i]);
    const bool taken = compared.is_gain() && compared.ratio < best;
    if (taken) {
      best = compared.ratio;
      found_.plan.exchange_streams = streams[i];
    }
    report(row("exchange_streams", std::to_string(streams.front()), std::to_string(streams[i]), compared,
               taken));
  }
}

}  // namespace

FoundPlan search_plan(const config::RunConfig& config, const comm::Grid& grid,
                      const std::vector<std::size_t>& widths, std::size_t samples,
                      kernels::HalfCompute compute, bool give_way) {
  return Search(config, grid, widths, samples, compute, give_way).run();
}

}  // namespace fcmnist::plan
