#pragma once

#include <optional>
#include <span>
#include <string>

#include "comm/communicator.hpp"
#include "core/log.hpp"
#include "kernels/half_support.hpp"
#include "model/precision.hpp"
#include "optim/options.hpp"
#include "store/checkpoint.hpp"
#include "store/manifest.hpp"

namespace fcmnist::setup {

// What a run computes in: its precision, what multiplies 16-bit numbers, and its loss scaling. A run that goes
// on keeps the precision and the loss scaling of its checkpoint, unless the configuration asks for others.

/// What a checkpoint was computed in.
struct CheckpointArithmetic {
  model::Precision precision = model::Precision::float32;
  model::MlpOptions model;
  optim::LossScaleOptions loss_scale;
};
/// `checkpoint`: on rank 0; nullptr if there is none, and then the answer is nothing. Collective; the same
/// answer on every rank, and the same errors.
std::optional<CheckpointArithmetic> arithmetic_of(const comm::Communicator& world,
                                                  const store::Checkpoint* checkpoint);

/// A precision, and what multiplies its numbers.
struct Arithmetic {
  model::Precision precision = model::Precision::float32;
  /// What multiplies them on the slowest rank: instructions, or a library in float32 (`emulated`).
  kernels::HalfCompute half_compute = kernels::HalfCompute::emulated;
  /// The same for bfloat16, whatever the precision is.
  kernels::HalfCompute bfloat16_compute = kernels::HalfCompute::emulated;
  std::string half_products;  ///< what multiplies them on all ranks, each kind once; empty with float32
};
/// The arithmetic of a run or an evaluation. Collective; the same answer on every rank.
///   asked       the configuration
///   checkpoint  whose weights are taken, if any
Arithmetic settle_arithmetic(const comm::Communicator& world, const model::MlpOptions& asked,
                             const std::optional<CheckpointArithmetic>& checkpoint);

/// Says in the log what is computed in, and why it is not what was asked for.
void say_arithmetic(const Arithmetic& arithmetic, const model::MlpOptions& asked, Logger& log);
void add_to_manifest(const Arithmetic& arithmetic, store::Manifest& manifest);
/// Warns when that is another arithmetic than the one in the manifest of the checkpoint.
void warn_of_other_arithmetic(const store::Manifest& checkpointed, const store::Manifest& now, Logger& log);

/// The loss scaling of a training run.
optim::LossScaleOptions settle_loss_scale(const optim::LossScaleOptions& asked,
                                          const std::optional<CheckpointArithmetic>& checkpoint);
/// Says in the log which keys of the loss scaling change nothing, and where it is missing.
void say_loss_scale(model::Precision precision, const optim::LossScaleOptions& asked,
                    const optim::LossScaleOptions& settled, Logger& log);

}  // namespace fcmnist::setup
