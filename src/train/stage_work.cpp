#include "train/stage_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "data/augmenter.hpp"
#include "data/batch_loader.hpp"
#include "data/mixer.hpp"
#include "data/shifted_images.hpp"
#include "train/microbatch_schedule.hpp"

namespace fcmnist::train {

namespace {

using Purpose = comm::StageLink::Purpose;

/// Microbatches that are between their forward and their backward at the same time, at most.
std::size_t in_flight(Purpose purpose, int stages, int stage) {
  return purpose == Purpose::training ? most_in_flight(stages, stage) : 1;
}

comm::StageLink make_link(const StageWorkParts& parts) {
  const model::Mlp& mlp = *parts.mlp;
  return {*parts.grid,
          parts.purpose,
          mlp.inputs(),
          mlp.outputs(),
          parts.max_samples,
          parts.give_way,
          model::number_bytes(mlp.precision())};
}

template <class T>
class TypedStageWork final : public StageWork {
 public:
  explicit TypedStageWork(StageWorkParts parts)
      : StageWork(*parts.mlp, make_link(parts)),
        weights_(parts.weights.as<const T>()),
        dataset_(parts.dataset),
        parts_(std::move(parts.gradient_parts)),
        seed_(parts.seed),
        observer_(parts.observer),
        predicted_(parts.max_samples),
        shifts_(data::shifts_up_to(parts.average_shifts)) {
    passes_ = shifts_.size();
    if (mlp_->begins_network() && passes_ > 1) shifted_.emplace(*dataset_, parts.max_samples);
    if (mlp_->ends_network() && passes_ > 1) probabilities_.resize(mlp_->outputs() * parts.max_samples);
    if (mlp_->begins_network() && parts.input.augment.any()) {
      augmenter_.emplace(*dataset_, parts.input.augment, seed_, parts.max_samples);
    }
    const bool mixes = parts.input.mixup > 0.0 && parts.purpose == comm::StageLink::Purpose::training &&
                       (mlp_->begins_network() || mlp_->ends_network());
    if (mixes) mixer_.emplace(*dataset_, parts.input, seed_, parts.max_samples);
    const std::size_t count = in_flight(parts.purpose, parts.grid->stages(), parts.grid->stage());
    for (std::size_t i = 0; i < count; ++i) memory_.emplace_back(*mlp_, parts.max_samples, mixes);
  }

  kernels::LossSums forward(const Microbatch& microbatch, float gradient_scale) override {
    const std::size_t samples = microbatch.ids.size();
    Memory& memory = memory_of(microbatch);
    const data::Samples images = images_of(microbatch, memory);
    load_samples(images, memory);
    if (mlp_->takes_sparse_input()) {
      data::fill_pixels_transposed(*images.dataset, images.ids, memory.images.inputs);
      observer_->has_done(Activity::data);
    }
    const model::DropoutContext dropout{seed_, microbatch.epoch, microbatch.ids};
    if (mlp_->drops_inputs()) {
      mlp_->drop_inputs(memory.workspace.input(samples), dropout);
      observer_->has_done(Activity::data);
    }
    compute_activations(samples, &dropout, memory);
    kernels::LossSums sums;
    if (mlp_->ends_network()) {
      sums = kernels::softmax_cross_entropy_gradient(memory.workspace.logits(samples),
                                                     targets_of(memory, samples), gradient_scale);
      observer_->has_done(Activity::loss);
    }
    send_activations(samples, memory);
    return sums;
  }

  void backward(const Microbatch& microbatch, model::Accumulate accumulate, ArenaView<float> gradient,
                const std::function<void()>& on_part) override {
    const std::size_t samples = microbatch.ids.size();
    model::BasicWorkspace<T>& workspace = memory_of(microbatch).workspace;
    link_.receive_gradient(workspace.d_output(samples));
    observer_->has_done(Activity::receive);
    const MatrixView<T> d_input = workspace.d_input(samples);
    mlp_->backward_deltas<T>(weights_, samples, workspace, d_input, on_product_);
    observer_->has_done(Activity::delta);
    link_.send_gradient(d_input);
    observer_->has_done(Activity::send);

    auto part = parts_.begin();
    const auto part_is_written = [&] {
      observer_->has_done(Activity::weight_gradient,
                          static_cast<std::int64_t>(mlp_->first_layer() + part++->layer));
      on_part();
      link_.progress();
      observer_->has_done(Activity::post);
    };
    mlp_->backward_weights<T>(input_of(memory_of(microbatch), samples), workspace, accumulate, gradient,
                              parts_, std::cref(part_is_written));
  }

  Scored score(std::span<const std::uint32_t> ids) override {
    const std::size_t samples = ids.size();
    Memory& memory = memory_.front();
    const MatrixView<float> logits = memory.workspace.logits(samples);
    const MatrixView<double> sums(probabilities_.data(), logits.rows, logits.cols);
    std::ranges::fill(probabilities_, 0.0);
    for (const data::Shift shift : shifts_) {
      load_samples(shifted_ ? shifted_->shift(ids, shift) : data::Samples{dataset_, ids}, memory);
      compute_activations(samples, nullptr, memory);
      if (!probabilities_.empty()) kernels::add_probabilities(logits, sums);
      send_activations(samples, memory);
    }
    if (!mlp_->ends_network()) return {};
    if (!probabilities_.empty()) kernels::log_mean_probabilities(sums, shifts_.size(), logits);
    const auto predicted = std::span(predicted_).first(samples);
    const auto labels = memory.labels_of(samples);
    return {kernels::softmax_cross_entropy(logits, labels, predicted), labels, predicted, logits};
  }

 private:
  /// What a microbatch needs between its forward and its backward.
  struct Memory {
    Memory(const model::Mlp& mlp, std::size_t max_samples, bool mixes)
        : workspace(mlp, max_samples),
          labels(max_samples),
          partner_labels(mixes ? max_samples : 0),
          shares(mixes ? max_samples : 0) {}
    [[nodiscard]] std::span<std::uint8_t> labels_of(std::size_t samples) {
      return std::span(labels).first(samples);
    }
    model::BasicWorkspace<T> workspace;
    model::SparseInput images;  ///< of a model that takes sparse input
    std::vector<std::uint8_t> labels;
    // With mixup:
    std::vector<std::uint8_t> partner_labels;
    std::vector<float> shares;
  };
  [[nodiscard]] Memory& memory_of(const Microbatch& microbatch) {
    return memory_[microbatch.index % memory_.size()];
  }

  [[nodiscard]] data::Samples distorted(std::span<const std::uint32_t> ids, std::uint32_t epoch) {
    return augmenter_ ? augmenter_->augment(ids, epoch) : data::Samples{dataset_, ids};
  }

  /// What is trained on: with mixup on the first stage the images of two samples, on the last one the labels of two.
  [[nodiscard]] data::Samples images_of(const Microbatch& microbatch, Memory& memory) {
    if (!mixer_) return distorted(microbatch.ids, microbatch.epoch);
    const std::size_t samples = microbatch.ids.size();
    const data::Mixer::Partners partners = mixer_->draw_partners(microbatch.ids, microbatch.epoch);
    if (mlp_->ends_network()) {
      data::fill_labels(*dataset_, partners.ids, std::span(memory.partner_labels).first(samples));
      std::ranges::copy(partners.shares, memory.shares.begin());
    }
    if (!mlp_->begins_network()) return {dataset_, microbatch.ids};
    mixer_->begin(distorted(microbatch.ids, microbatch.epoch));
    return mixer_->mix_with(distorted(partners.ids, microbatch.epoch), partners.shares);
  }

  [[nodiscard]] kernels::Targets targets_of(Memory& memory, std::size_t samples) const {
    kernels::Targets targets{.labels = memory.labels_of(samples), .smoothing = mlp_->label_smoothing()};
    if (mixer_) {
      targets.partners = std::span(memory.partner_labels).first(samples);
      targets.shares = std::span(memory.shares).first(samples);
    }
    return targets;
  }

  void load_samples(const data::Samples& images, Memory& memory) {
    const std::size_t samples = images.ids.size();
    if (mlp_->takes_sparse_input()) {
      data::fill_pixels(*images.dataset, images.ids, memory.images.samples);
      memory.images.constant = data::feature_constant;
    } else if (mlp_->begins_network()) {
      data::fill_features(*images.dataset, images.ids, memory.workspace.input(samples));
    }
    if (mlp_->ends_network()) data::fill_labels(*images.dataset, images.ids, memory.labels_of(samples));
    observer_->has_done(Activity::data);
  }

  void compute_activations(std::size_t samples, const model::DropoutContext* dropout, Memory& memory) {
    if (!mlp_->begins_network()) link_.receive_activation(memory.workspace.input(samples));
    observer_->has_done(Activity::receive);
    mlp_->forward<T>(weights_, input_of(memory, samples), dropout, memory.workspace, on_product_);
    observer_->has_done(Activity::forward);
  }

  [[nodiscard]] model::Input<T> input_of(const Memory& memory, std::size_t samples) const {
    if (mlp_->takes_sparse_input()) return memory.images;
    return memory.workspace.input(samples);
  }

  void send_activations(std::size_t samples, Memory& memory) {
    if (!mlp_->ends_network()) link_.send_activation(memory.workspace.output(samples));
    observer_->has_done(Activity::send);
  }

  ArenaView<const T> weights_;
  const data::Dataset* dataset_;
  std::vector<model::GradientPart> parts_;
  std::uint64_t seed_;
  StepObserver* observer_;
  std::vector<Memory> memory_;
  std::vector<std::uint8_t> predicted_;
  std::optional<data::Augmenter> augmenter_;
  std::optional<data::Mixer> mixer_;
  std::vector<data::Shift> shifts_;  ///< that are scored
  // With several of them:
  std::optional<data::ShiftedImages> shifted_;
  std::vector<double> probabilities_;  ///< (classes x samples) added up, on the last stage
};

}  // namespace

std::unique_ptr<StageWork> make_stage_work(StageWorkParts parts) {
  return model::with_number_type(parts.mlp->precision(), [&]<class T>() -> std::unique_ptr<StageWork> {
    return std::make_unique<TypedStageWork<T>>(std::move(parts));
  });
}

StageWorkBytes stage_work_bytes(Purpose purpose, int stages, int stage, const model::Mlp& mlp,
                                std::size_t max_samples, int average_shifts) {
  const std::size_t before = stage > 0 ? 1 : 0, after = stage + 1 < stages ? 1 : 0;
  std::size_t of_microbatch = model::workspace_bytes(mlp, max_samples) + max_samples;
  if (mlp.takes_sparse_input()) of_microbatch += data::pixel_lists_bytes(max_samples, mlp.inputs());
  std::size_t of_shifts = 0;
  if (average_shifts > 0 && mlp.begins_network())
    of_shifts += data::ShiftedImages::bytes(mlp.inputs(), max_samples);
  if (average_shifts > 0 && mlp.ends_network()) of_shifts += mlp.outputs() * max_samples * sizeof(double);
  return {in_flight(purpose, stages, stage) * of_microbatch + of_shifts,
          comm::StageLink::bytes(purpose, before, after, mlp.inputs(), mlp.outputs(), max_samples,
                                 model::number_bytes(mlp.precision()))};
}

}  // namespace fcmnist::train
