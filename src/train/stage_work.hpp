#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "comm/grid.hpp"
#include "comm/stage_link.hpp"
#include "core/arena.hpp"
#include "core/matrix_view.hpp"
#include "data/dataset.hpp"
#include "kernels/softmax_loss.hpp"
#include "model/mlp.hpp"
#include "model/working_weights.hpp"
#include "train/observer.hpp"

namespace fcmnist::train {

/// A microbatch of a training step.
struct Microbatch {
  std::size_t index = 0;               ///< index among those of its replica in the step
  std::span<const std::uint32_t> ids;  ///< ids of its samples
  std::uint32_t epoch = 0;
};

/// The scores of a microbatch. Empty but on the last stage.
struct Scored {
  kernels::LossSums sums;
  // All are valid until the next call.
  std::span<const std::uint8_t> labels, predicted;  ///< one for each sample
  MatrixView<const float> logits;                   ///< (classes x samples)
};

/// What one stage of the model does with a microbatch, from its samples or the activations of the stage
/// before to its loss or the activations for the next stage, and back. The numbers of the precision are known
/// inside only.
class StageWork {
 public:
  virtual ~StageWork() = default;

  /// So many microbatches follow, each forward and backward, in the order of microbatch_schedule(), or each
  /// scored.
  void begin(std::size_t microbatches) { link_.begin(microbatches * passes_); }
  /// Waits until all messages have left.
  void finish() { link_.finish(); }

  /// Forward pass of a training step.
  ///   gradient_scale  factor on the gradient of the loss, which is summed over samples
  /// Returns the sums over the samples; 0 but on the last stage.
  virtual kernels::LossSums forward(const Microbatch& microbatch, float gradient_scale) = 0;
  /// Backward pass, after its forward(). The gradient by the input travels to the stage before while those of
  /// the weights are computed.
  ///   gradient  of the weights: written, or added to
  ///   on_part   called after each of the parts that the work was made with
  virtual void backward(const Microbatch& microbatch, model::Accumulate accumulate, ArenaView<float> gradient,
                        const std::function<void()>& on_part) = 0;
  /// Forward pass without dropout; with average_shifts one for each shift of the images. Then the logits are the logarithm
  /// of the mean probabilities.
  virtual Scored score(std::span<const std::uint32_t> ids) = 0;

  /// From here on other libraries compute the products: those of `mlp`, whose layers are the same.
  void use(const model::Mlp& mlp) { mlp_ = &mlp; }
  /// See model::OnProduct.
  void set_on_product(model::OnProduct on_product) { on_product_ = std::move(on_product); }

 protected:
  StageWork(const model::Mlp& mlp, comm::StageLink link) : mlp_(&mlp), link_(std::move(link)) {}

  const model::Mlp* mlp_;
  comm::StageLink link_;
  std::size_t passes_ = 1;  ///< forward passes of a microbatch
  model::OnProduct on_product_;
};

/// What a StageWork is made of. All that is pointed to must outlive it.
struct StageWorkParts {
  const comm::Grid* grid = nullptr;  ///< its stages exchange messages
  comm::StageLink::Purpose purpose = comm::StageLink::Purpose::training;
  const model::Mlp* mlp = nullptr;  ///< the layers of the stage
  model::WorkingWeights weights;
  const data::Dataset* dataset = nullptr;
  std::vector<model::GradientPart> gradient_parts;
  std::size_t max_samples = 0;    ///< of the largest microbatch
  std::uint64_t seed = 0;         ///< of the dropout masks, of the distortions and of mixup
  data::InputOptions input = {};  ///< of training: `augment`, `mixup`, `validation_size`
  int average_shifts = 0;         ///< pixels: see data::InputOptions; of the images that are scored
  bool give_way = false;
  StepObserver* observer = nullptr;
};

/// Collective over the replica.
std::unique_ptr<StageWork> make_stage_work(StageWorkParts parts);

/// Memory of its own that a rank of this stage needs for it, without that of a data::Augmenter and a data::Mixer.
struct StageWorkBytes {
  std::size_t activations = 0;  ///< activations and deltas of all microbatches in flight
  std::size_t messages = 0;     ///< messages between stages that are on their way
};
StageWorkBytes stage_work_bytes(comm::StageLink::Purpose purpose, int stages, int stage,
                                const model::Mlp& mlp, std::size_t max_samples, int average_shifts = 0);

}  // namespace fcmnist::train
