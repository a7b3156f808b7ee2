// Layers on stages, one for each rank, against one rank that has all of them.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <utility>

#include "bench/bench.hpp"
#include "bench/problem.hpp"
#include "comm/session.hpp"
#include "data/batch_loader.hpp"
#include "kernels/softmax_loss.hpp"
#include "train/forecast.hpp"

namespace fcmnist::bench {

namespace {

/// Microbatches of a step, and the samples of each.
struct Shape {
  int count = 0;
  int samples = 0;
};

config::RunConfig one_rank_config(const Bench& bench, const Model& model, Shape shape) {
  config::RunConfig config = config_of(bench, model, shape.count * shape.samples);
  config.run.microbatch = shape.samples;
  return config;
}

/// What a microbatch takes on the stage of this rank, when all stages compute all the time.
class StageWork {
 public:
  StageWork(const Bench& bench, const config::RunConfig& config)
      : bench_(&bench),
        grid_(*bench.topology, bench.world().size()),
        mlp_(stage_of(config, grid_, config.kernels.gemm)),
        weights_(mlp_.layout()),
        gradient_(mlp_.layout()),
        workspace_(mlp_, static_cast<std::size_t>(config.run.microbatch)),
        ids_(workspace_.max_samples()),
        labels_(ids_.size()),
        parts_(mlp_.gradient_parts()) {
    mlp_.initialize(1, weights_.view());
    std::iota(ids_.begin(), ids_.end(), 0U);
    std::ranges::fill(workspace_.input(ids_.size()).row(0), 0.5F);
    forward();
    if (!grid_.is_last_stage()) {
      const MatrixView<float> delta = workspace_.delta(mlp_.layer_count() - 1, ids_.size());
      for (std::size_t unit = 0; unit < delta.rows; ++unit) std::ranges::fill(delta.row(unit), 1e-3F);
    }
  }

  void forward() {
    const MatrixView<float> input = workspace_.input(ids_.size());
    if (grid_.is_first_stage()) data::fill_features(bench_->dataset, ids_, input);
    if (grid_.is_last_stage()) data::fill_labels(bench_->dataset, ids_, labels_);
    mlp_.forward(weights_.view(), input, nullptr, workspace_);
    if (!grid_.is_last_stage()) return;
    kernels::softmax_cross_entropy_gradient(workspace_.logits(ids_.size()), labels_, 1e-3F);
  }
  void deltas() {
    mlp_.backward_deltas(weights_.view(), ids_.size(), workspace_, workspace_.d_input(ids_.size()));
  }
  void weights() {
    mlp_.backward_weights(workspace_.input(ids_.size()), workspace_, model::Accumulate::add, gradient_.view(),
                          parts_);
  }

  /// Of all stages, on every rank.
  [[nodiscard]] std::vector<train::StageTime> times() {
    const comm::Communicator& world = bench_->world();
    const std::array<std::function<void()>, 3> passes = {[this] { forward(); }, [this] { deltas(); },
                                                         [this] { weights(); }};
    std::vector<std::vector<double>> seconds(passes.size());
    world.barrier();
    for (const double end_s = comm::now_s() + bench_->settings.min_time_s; comm::now_s() < end_s;) {
      for (std::size_t p = 0; p < passes.size(); ++p) {
        const double begin_s = comm::now_s();
        passes[p]();
        seconds[p].push_back(comm::now_s() - begin_s);
      }
    }
    std::vector<double> all(passes.size() * static_cast<std::size_t>(world.size()));
    for (std::size_t p = 0; p < passes.size(); ++p) {
      all[passes.size() * static_cast<std::size_t>(world.rank()) + p] = median(std::move(seconds[p]));
    }
    world.sum(all);
    std::vector<train::StageTime> stages;
    for (std::size_t i = 0; i < all.size(); i += passes.size()) {
      stages.push_back({0.0, all[i], all[i + 1], all[i + 2]});
    }
    return stages;
  }

 private:
  const Bench* bench_;
  comm::Grid grid_;
  model::Mlp mlp_;
  Arena<float> weights_, gradient_;
  model::Workspace workspace_;
  std::vector<std::uint32_t> ids_;
  std::vector<std::uint8_t> labels_;
  std::vector<model::GradientPart> parts_;
};

double measure_pipeline(const Bench& bench, const Model& model, Shape shape, benchmark::State& state) {
  const comm::Communicator& world = bench.world();
  const config::RunConfig on_one = one_rank_config(bench, model, shape);
  config::RunConfig config = on_one;
  config.run.execution = config::Execution::layer_pipelined;
  config.run.pipeline_stages = world.size();
  const comm::Communicator alone = world.split(world.rank());
  const comm::Topology topology(alone);
  const Bench one_rank{&topology, bench.settings, false, bench.dataset};
  Training pipeline(bench, config), whole(one_rank, on_one);
  StageWork work(bench, config);

  enum Part : std::size_t { staged, on_one_rank };
  const auto only_rank_0 = [&] {
    if (world.rank() == 0) whole.step();
  };
  std::vector<double> allowed, with_early_sends;  // speed-ups, if messages were free
  const auto simulate = [&](int /*calls*/) {
    std::vector<train::StageTime> stages = work.times();
    const auto count = static_cast<std::size_t>(shape.count);
    double serial_s = 0.0;
    for (const train::StageTime& stage : stages) serial_s += shape.count * stage.total_s();
    const std::vector<double> free_messages(stages.size() - 1, 0.0);
    with_early_sends.push_back(serial_s / train::simulate_pipeline(stages, free_messages, count).total_s);
    for (train::StageTime& stage : stages) {
      stage.deltas_s += std::exchange(stage.weights_s, 0.0);
    }
    allowed.push_back(serial_s / train::simulate_pipeline(stages, free_messages, count).total_s);
    return bench.settings.min_time_s;
  };
  const std::array<Timed, 3> parts = {pipeline.steps(), in_a_row(world, only_rank_0), simulate};
  const Timings timings = time_in_turn(world, bench.settings, parts);
  const double speed_up = timings.ratio(on_one_rank, staged);
  state.counters["one_rank_us"] = timings.seconds(on_one_rank) * 1e6;
  state.counters["speed_up"] = speed_up;
  // 1F1B as in the textbook, where a stage sends the gradient when its whole backward is done.
  state.counters["simulated_speed_up"] = median(allowed);
  state.counters["of_simulated"] = speed_up / median(allowed);
  state.counters["of_simulated_early_sends"] = speed_up / median(with_early_sends);
  return timings.seconds(staged);
}

}  // namespace

void add_pipeline(const Bench& bench) {
  static const Model large{"2500_2000_1500_1000_500", {2500, 2000, 1500, 1000, 500}};
  for (const Model& model : {models()[0], models()[1], large}) {
    if (bench.world().size() < 2 || bench.world().size() > static_cast<int>(model.hidden_sizes.size()) + 1)
      continue;
    for (const Shape shape : {Shape{4, 64}, Shape{8, 256}}) {
      add(fmt::format("pipeline/{}/{}/{}", model.name, shape.count, shape.samples),
          [&bench, model, shape](benchmark::State& state) {
            return measure_pipeline(bench, model, shape, state);
          });
    }
  }
}

}  // namespace fcmnist::bench
