#include "plan/product_timer.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>

#include "comm/session.hpp"
#include "train/step_time.hpp"
#include "train/trainer.hpp"

namespace fcmnist::plan {

namespace {

template <class T>
class ProductTimer {
 public:
  ProductTimer(const config::RunConfig& config, const comm::Grid& grid,
               const std::vector<std::size_t>& widths, std::size_t samples,
               const std::vector<model::GemmChoice>& ways);
  ProductTimes run(double budget_s);

 private:
  struct Layer;
  std::vector<LayerTime> run_once(std::size_t way);

  const comm::Communicator* world_;
  std::size_t samples_, ways_;
  std::vector<std::uint32_t> sample_ids_;
  std::vector<std::unique_ptr<Layer>> layers_;
};

/// A layer by itself: one network of one layer for each way, on the same memory.
template <class T>
struct ProductTimer<T>::Layer {
  Layer(std::vector<model::Mlp> mlps, const comm::Topology& topology, const config::RunConfig& config,
        std::size_t samples)
      : by_way(std::move(mlps)),
        weights(by_way[0].layout()),
        gradient(by_way[0].layout()),
        workspace(by_way[0], samples),
        parts(train::gradient_parts(by_way[0], topology.node_count(), config.run.reproducible)) {
    by_way[0].initialize(config.run.seed, gradient.view());  // for the weights: nobody reads the gradient
    std::ranges::transform(gradient.view().all(), weights.view().data(), [](float w) { return T(w); });
  }

  std::vector<model::Mlp> by_way;
  Arena<T> weights;
  Arena<float> gradient;
  model::BasicWorkspace<T> workspace;
  std::vector<model::GradientPart> parts;
};

template <class T>
ProductTimer<T>::ProductTimer(const config::RunConfig& config, const comm::Grid& grid,
                              const std::vector<std::size_t>& widths, std::size_t samples,
                              const std::vector<model::GemmChoice>& ways)
    : world_(&grid.world().world()), samples_(samples), ways_(ways.size()), sample_ids_(samples) {
  std::iota(sample_ids_.begin(), sample_ids_.end(), 0U);
  for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
    std::vector<model::Mlp> mlps;
    for (const model::GemmChoice& way : ways) {
      mlps.emplace_back(widths, config.model, way, model::LayerRange{i, i + 1});
    }
    layers_.push_back(std::make_unique<Layer>(std::move(mlps), grid.of_stage(), config, samples));
  }
  const MatrixView<T> images = layers_[0]->workspace.input(samples);
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < images.cols; ++i) {
      images.row(s)[i] = T(static_cast<float>((31 * s + i) % 1000) / 500.0F - 1.0F);
    }
  }
}

template <class T>
std::vector<LayerTime> ProductTimer<T>::run_once(std::size_t way) {
  std::vector<LayerTime> times(layers_.size());
  const auto input_of = [&](std::size_t i) {
    return i == 0 ? layers_[0]->workspace.input(samples_) : layers_[i - 1]->workspace.activation(0, samples_);
  };
  const auto delta_below = [&](std::size_t i) {
    return i == 0 ? MatrixView<T>() : layers_[i - 1]->workspace.delta(0, samples_);
  };
  const model::DropoutContext dropout{1, 0, sample_ids_};
  world_->barrier();
  train::Stopwatch watch;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = *layers_[i];
    layer.by_way[way].forward(layer.weights.view(), input_of(i), &dropout, layer.workspace);
    times[i].forward_s = watch.lap_s();
  }
  const MatrixView<float> loss_gradient = layers_.back()->workspace.logits(samples_);
  for (std::size_t r = 0; r < loss_gradient.rows; ++r) std::ranges::fill(loss_gradient.row(r), 0.01F);
  watch.lap_s();
  for (std::size_t i = layers_.size(); i-- > 0;) {
    Layer& layer = *layers_[i];
    layer.by_way[way].backward_deltas(layer.weights.view(), samples_, layer.workspace, delta_below(i));
    times[i].delta_s = watch.lap_s();
  }
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    Layer& layer = *layers_[i];
    layer.by_way[way].backward_weights(input_of(i), layer.workspace, model::Accumulate::write,
                                       layer.gradient.view(), layer.parts);
    times[i].weight_gradient_s = watch.lap_s();
  }
  return times;
}

template <class T>
ProductTimes ProductTimer<T>::run(double budget_s) {
  constexpr int warm_up_rounds = 3, least_rounds = 9, most_rounds = 301;
  constexpr double slow_round_s = 0.5;
  ProductTimes times(ways_);
  int rounds = warm_up_rounds + 1;
  for (int round = 0; round < rounds; ++round) {
    const double begin_s = comm::now_s();
    for (std::size_t turn = 0; turn < ways_; ++turn) {
      const std::size_t way = round % 2 == 0 ? turn : ways_ - 1 - turn;
      std::vector<LayerTime> once = run_once(way);
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
  return model::with_number_type(config.model.precision, [&]<class T>() {
    return ProductTimer<T>(config, grid, widths, samples, ways).run(budget_s);
  });
}

std::size_t product_timing_bytes(const model::Mlp& network, std::size_t samples) {
  const std::size_t of_number = model::number_bytes(network.precision()) + sizeof(float);
  return of_number * network.layout().size() + model::workspace_bytes(network, samples);
}

}  // namespace fcmnist::plan
