#include "plan/rates.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <type_traits>
#include <utility>

#include "comm/clock.hpp"
#include "comm/placement.hpp"
#include "core/arena.hpp"
#include "core/convert.hpp"
#include "core/fixed_point.hpp"
#include "core/ordered_sum.hpp"
#include "core/statistics.hpp"
#include "optim/update.hpp"
#include "plan/lone_work.hpp"
#include "plan/made_up_data.hpp"
#include "train/step_time.hpp"
#include "train/trainer.hpp"

namespace fcmnist::plan {

namespace {

constexpr double wait_assumed_s = 0.3e-6;           // a cache line travels to another core and back
constexpr double message_in_node_assumed_s = 5e-6;  // a rank that polls sees the message after so long

/// Calls `measure` for about `seconds`, at least four times: the first time does not count.
void repeat_for(double seconds, const std::function<void()>& measure) {
  measure();
  const double end_s = comm::now_s() + seconds;
  for (int done = 0; done < 3 || comm::now_s() < end_s; ++done) measure();
}

double median_time_s(double seconds, const std::function<void()>& action) {
  std::vector<double> times;
  repeat_for(seconds, [&] {
    train::Stopwatch watch;
    action();
    times.push_back(watch.lap_s());
  });
  times.erase(times.begin());
  return median(std::move(times));
}

/// The median of each part of the time by itself.
StageTime median_of(const std::vector<StageTime>& times) {
  constexpr std::array parts = {&StageTime::data_s, &StageTime::forward_s, &StageTime::deltas_s,
                                &StageTime::weights_s};
  StageTime result;
  for (const auto part : parts) {
    std::vector<double> of_part(times.size());
    std::ranges::transform(times, of_part.begin(), part);
    result.*part = median(std::move(of_part));
  }
  return result;
}

/// Times passes over arrays that come from memory or a far cache, as gradients that other cores have written
/// do. T is the type of the working weights, which the update writes and other ranks copy.
template <class T>
class PassTimer {
 public:
  explicit PassTimer(const config::RunConfig& config)
      : config_(&config), state_(optim::state_arrays(config.optimizer).size()) {}

  void measure(Rates& rates) {
    rates.copy_s = seconds_per_number([&] { std::ranges::copy(next(working_), next(working_).begin()); });
    rates.update_s = seconds_per_number([&] { update(); });
    rates.add_s = std::max(0.0, seconds_to_add(4) - seconds_to_add(2)) / 2.0;
    if (!config_->run.reproducible) return;
    rates.fixed_point_s = seconds_per_number([&] {
      FixedPoint(-40).add(next(floats_), FixedPoint::Into::add, {integers_.data(), numbers});
    });
  }

 private:
  static constexpr std::size_t numbers = std::size_t{1} << 18, arrays = 16;
  static constexpr double seconds_per_pass = 0.05;

  double seconds_per_number(const std::function<void()>& pass) {
    return median_time_s(seconds_per_pass, pass) / static_cast<double>(numbers);
  }

  /// One array after the other, so that it has left the caches when its turn comes again.
  template <class Number>
  std::span<Number> next(const AlignedArray<Number>& all) {
    return {all.data() + next_++ % arrays * numbers, numbers};
  }

  void update() {
    const std::array<const float*, 1> gradient = {next(floats_).data()};
    const std::span<float> weights = next(floats_);
    for (std::span<float>& array : state_) array = next(floats_);
    const optim::UpdateStep step{.learning_rate = 0.0};
    if (optim::has_two_phases(config_->optimizer)) {
      optim::prepare_update(config_->optimizer, step, {gradient[0], numbers}, weights, state_);
    }
    optim::update_weights(config_->optimizer, step, gradient, weights, state_);
    if constexpr (!std::is_same_v<T, float>) convert(std::span<const float>(weights), next(working_));
  }

  double seconds_to_add(std::size_t terms) {
    return seconds_per_number([&] {
      std::array<const float*, 4> from = {};
      for (std::size_t i = 0; i < terms; ++i) from[i] = next(floats_).data();
      ordered_sum(std::span(from).first(terms), next(floats_));
    });
  }

  const config::RunConfig* config_;
  const AlignedArray<float> floats_{arrays * numbers};
  const AlignedArray<T> working_{arrays * numbers};
  const AlignedArray<std::int64_t> integers_{numbers};
  std::vector<std::span<float>> state_;
  std::size_t next_ = 0;
};

}  // namespace

StageTime measure_stage(const config::RunConfig& config, const comm::Topology& topology,
                        const model::Mlp& mlp, int nodes, const data::Dataset& dataset, std::size_t samples,
                        double seconds) {
  using train::Activity;
  LoneWork lone(config, topology, mlp, nodes, dataset, samples);
  std::vector<StageTime> times;
  repeat_for(seconds, [&] {
    lone.compute_microbatch();
    const train::StepObserver& took = lone.observer();
    times.push_back({took.seconds(Activity::data),
                     took.seconds(Activity::forward) + took.seconds(Activity::loss),
                     took.seconds(Activity::delta), took.seconds(Activity::weight_gradient)});
  });
  times.erase(times.begin());
  return median_of(times);
}

Rates measure_rates(const config::RunConfig& config, const Mapping& mapping, const data::DatasetShape& shape,
                    const comm::Topology& topology) {
  constexpr double seconds = 0.5;  // all stages together
  const auto widths = model::widths_of(config.model, shape.features());
  const train::SharedDataset data =
      made_up_data(topology, enough_to_measure(shape, mapping.microbatch_samples), config.model);
  const data::Dataset view = data.view();
  Rates rates;
  for (const StageMapping& stage : mapping.stages) {
    const model::Mlp mlp(widths, config.model, config.kernels.gemm, stage.layers);
    rates.stages.push_back(measure_stage(config, topology, mlp, stage.nodes, view, mapping.microbatch_samples,
                                         seconds / static_cast<double>(mapping.stages.size())));
  }
  model::with_number_type(config.model.precision, [&]<class T>() { PassTimer<T>(config).measure(rates); });
  rates.wait_s = wait_assumed_s;
  const auto number_bytes = static_cast<double>(model::number_bytes(config.model.precision));
  constexpr double copies = 3.0;  // a message within a node is copied so often on its way
  rates.within_node = {number_bytes / (copies * rates.copy_s), message_in_node_assumed_s};
  rates.between_nodes = {config.run.network_gbit_s * 1e9 / 8, config.run.network_latency_us * 1e-6};
  rates.ranks_per_core = comm::threads_per_core(mapping.placement, config.kernels.blas_threads);
  return rates;
}

}  // namespace fcmnist::plan
