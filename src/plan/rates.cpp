#include "plan/rates.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <type_traits>

#include "comm/session.hpp"
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

constexpr double wait_assumed_s = 0.3e-6;           // a cache line from one core to another, and back
constexpr double message_in_node_assumed_s = 5e-6;  // until a rank that polls has it

/// Calls `measure` for about `seconds`, three times at least after a first one that does not count.
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

/// Each part by itself.
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

/// Passes over arrays that come from memory or a far cache, as gradients that other cores have written do.
/// T is the type of the working weights, which the update writes and other ranks copy.
template <class T>
void measure_passes(const config::RunConfig& config, Rates& rates) {
  constexpr std::size_t numbers = std::size_t{1} << 18, arrays = 16;
  constexpr double seconds = 0.05;
  const AlignedArray<float> all(arrays * numbers);
  const AlignedArray<T> working(arrays * numbers);
  const AlignedArray<std::int64_t> integers(numbers);
  std::vector<std::span<float>> state(optim::state_arrays(config.optimizer).size());
  std::size_t next = 0;
  const auto take_from = [&](const auto& array) {
    return std::span(array.data() + next++ % arrays * numbers, numbers);
  };
  const auto take = [&] { return take_from(all); };
  const auto count = static_cast<double>(numbers);
  rates.copy_s =
      median_time_s(seconds, [&] { std::ranges::copy(take_from(working), take_from(working).begin()); }) /
      count;
  rates.update_s = median_time_s(seconds,
                                 [&] {
                                   const std::array<const float*, 1> from = {take().data()};
                                   const auto weights = take();
                                   for (std::span<float>& array : state) array = take();
                                   optim::update_weights(config.optimizer, {0.0, 1.0}, from, weights, state);
                                   if constexpr (!std::is_same_v<T, float>) {
                                     convert(std::span<const float>(weights), take_from(working));
                                   }
                                 }) /
                   count;
  const auto sum_of = [&](std::size_t terms) {
    return median_time_s(seconds, [&] {
      std::array<const float*, 4> from = {};
      for (std::size_t i = 0; i < terms; ++i) from[i] = take().data();
      ordered_sum(std::span(from).first(terms), take());
    });
  };
  rates.add_s = std::max(0.0, sum_of(4) - sum_of(2)) / 2.0 / count;
  if (!config.run.reproducible) return;
  rates.fixed_point_s =
      median_time_s(seconds,
                    [&] {
                      FixedPoint(-40).add(take(), FixedPoint::Into::add, {integers.data(), numbers});
                    }) /
      count;
}

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
    times.push_back({took.seconds(Activity::data), took.seconds(Activity::forward),
                     took.seconds(Activity::deltas), took.seconds(Activity::weight_gradient)});
  });
  times.erase(times.begin());
  return median_of(times);
}

Rates measure_rates(const config::RunConfig& config, const Mapping& mapping, const data::DatasetShape& shape,
                    const comm::Topology& topology) {
  constexpr double seconds = 0.5;  // for all stages
  const auto widths = model::widths_of(config.model, shape.features());
  const train::SharedDataset data =
      made_up_data(topology, enough_to_measure(shape, mapping.microbatch_samples), config.model.num_classes);
  const data::Dataset view = data.view();
  Rates rates;
  for (const StageMapping& stage : mapping.stages) {
    const model::Mlp mlp(widths, config.model, config.kernels.gemm, stage.layers);
    rates.stages.push_back(measure_stage(config, topology, mlp, stage.nodes, view, mapping.microbatch_samples,
                                         seconds / static_cast<double>(mapping.stages.size())));
  }
  model::with_number_type(config.model.precision, [&]<class T>() { measure_passes<T>(config, rates); });
  rates.wait_s = wait_assumed_s;
  const auto number_bytes = static_cast<double>(model::number_bytes(config.model.precision));
  rates.within_node = {number_bytes / (3.0 * rates.copy_s), message_in_node_assumed_s};  // three copies
  rates.between_nodes = between_nodes_assumed;
  rates.ranks_per_core = comm::threads_per_core(mapping.placement, config.kernels.blas_threads);
  return rates;
}

}  // namespace fcmnist::plan
