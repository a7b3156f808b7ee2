#include "setup/arithmetic.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "config/load.hpp"
#include "setup/manifest.hpp"

namespace fcmnist::setup {

namespace {

using kernels::HalfCompute;
using model::Precision;

constexpr const char* precision_entry = "precision";     // of the manifest
constexpr const char* products_entry = "half_products";  // of the manifest of a run in mixed precision
constexpr const char* bit_entries_of_arithmetic[] = {precision_entry, products_entry};

/// float32 in the files of releases that knew nothing else.
Precision precision_in(const store::Manifest& manifest) {
  const store::ManifestValue* entry = manifest.find(precision_entry);
  const auto* name = entry != nullptr ? std::get_if<std::string>(entry) : nullptr;
  for (const Precision half : {Precision::bfloat16, Precision::float16}) {
    if (name != nullptr && *name == name_of(half)) return half;
  }
  return Precision::float32;
}

/// What multiplies numbers of the precision on this rank.
HalfCompute best_compute(Precision precision) {
  if (precision == Precision::float32) return HalfCompute::emulated;
  return kernels::best_half_compute(model::half_type(precision));
}

/// The same on the slowest rank. Collective.
HalfCompute slowest_compute(const comm::Communicator& world, Precision precision) {
  return static_cast<HalfCompute>(world.min(static_cast<std::int64_t>(best_compute(precision))));
}

Precision settle_precision(model::MlpOptions asked, const std::optional<CheckpointArithmetic>& checkpoint,
                           HalfCompute bfloat16_compute) {
  if (checkpoint) {
    if (!model::asks_anew(asked, checkpoint->model)) return checkpoint->precision;
    if (!asked.mixed_precision) asked.mixed_precision = checkpoint->model.mixed_precision;
  }
  return model::precision_of(asked, bfloat16_compute);
}

}  // namespace

std::optional<CheckpointArithmetic> arithmetic_of(const comm::Communicator& world,
                                                  const store::Checkpoint* checkpoint) {
  std::optional<Precision> precision;
  if (checkpoint != nullptr) precision = precision_in(checkpoint->header().manifest);
  precision = world.broadcast(precision, 0);
  if (!precision) return std::nullopt;
  config::Sources sources;
  sources.yaml = world.broadcast(checkpoint != nullptr ? checkpoint->header().config_yaml : "", 0);
  sources.yaml_name = "configuration in the checkpoint";
  CheckpointArithmetic found;
  found.precision = *precision;
  comm::collectively(world, [&] {
    const config::RunConfig config = config::load(sources).config;
    found.model = config.model;
    found.loss_scale = config.optimizer.loss_scale;
  });
  const bool is_mixed = found.precision != Precision::float32;
  found.model.mixed_precision = found.model.mixed_precision.value_or(is_mixed);
  if (is_mixed) found.model.half_type = model::half_type(found.precision);
  return found;
}

Arithmetic settle_arithmetic(const comm::Communicator& world, const model::MlpOptions& asked,
                             const std::optional<CheckpointArithmetic>& checkpoint) {
  Arithmetic found;
  found.bfloat16_compute = slowest_compute(world, Precision::bfloat16);
  found.precision = settle_precision(asked, checkpoint, found.bfloat16_compute);
  found.half_compute = slowest_compute(world, found.precision);
  if (found.precision != Precision::float32) {
    found.half_products = distinct(world.all_gather(kernels::name_of(best_compute(found.precision))));
  }
  return found;
}

void say_arithmetic(const Arithmetic& arithmetic, const model::MlpOptions& asked, Logger& log) {
  const HalfCompute compute = arithmetic.half_compute;
  if (arithmetic.precision != Precision::float32) {
    log.info("precision: {} with float32 master weights; products {}", name_of(arithmetic.precision),
             compute == HalfCompute::emulated ? "emulated in float32: slower than model.mixed_precision False"
                                              : fmt::format("by {}", kernels::name_of(compute)));
    if (arithmetic.half_products != kernels::name_of(compute)) {
      log.warn("ranks multiply 16-bit numbers differently ({}): bits depend on which rank runs where",
               arithmetic.half_products);
    }
  } else if (asked.half_type && !asked.mixed_precision.value_or(false)) {
    log.info("model.half_type: without model.mixed_precision True it changes nothing");
  } else if (asked.mixed_precision.value_or(false)) {
    log.info("precision: float32{}",
             arithmetic.bfloat16_compute == HalfCompute::emulated
                 ? ": this processor has no bfloat16 instructions (model.half_type asks for emulation)"
                 : ", as in the checkpoint");
  }
}

void add_to_manifest(const Arithmetic& arithmetic, store::Manifest& manifest) {
  manifest.add(precision_entry, std::string(name_of(arithmetic.precision)));
  if (arithmetic.precision != Precision::float32) manifest.add(products_entry, arithmetic.half_products);
}

void warn_of_other_arithmetic(const store::Manifest& checkpointed, const store::Manifest& now, Logger& log) {
  const std::string changes = manifest_changes(checkpointed, now, bit_entries_of_arithmetic);
  if (!changes.empty()) log.warn("since the checkpoint: {}", changes);
}

optim::LossScaleOptions settle_loss_scale(const optim::LossScaleOptions& asked,
                                          const std::optional<CheckpointArithmetic>& checkpoint) {
  optim::LossScaleOptions settled = !asked.factor && checkpoint ? checkpoint->loss_scale : asked;
  settled.factor = settled.factor.value_or(1.0);
  return settled;
}

void say_loss_scale(Precision precision, const optim::LossScaleOptions& asked,
                    const optim::LossScaleOptions& settled, Logger& log) {
  optim::LossScaleOptions factor_alone;
  factor_alone.factor = asked.factor;
  const bool has_keys_of_dynamic = asked != factor_alone;
  if (precision == Precision::float32) {
    if (asked.factor.value_or(1.0) == 1.0 && !has_keys_of_dynamic) return;
    log.info(
        "float32 needs no loss scaling: optimizer.loss_scaling_factor and the keys of dynamic change "
        "nothing");
    return;
  }
  if (has_keys_of_dynamic && asked.factor != optim::LossScaleOptions::dynamic) {
    log.info(
        "optimizer.initial_loss_scale, steps_per_increase, min_loss_scale, max_loss_scale: without "
        "optimizer.loss_scaling_factor dynamic they change nothing");
  }
  if (precision == Precision::float16 && settled.factor == 1.0) {
    log.warn(
        "float16 without loss scaling: gradients below 6e-8 become 0; optimizer.loss_scaling_factor dynamic");
  }
}

}  // namespace fcmnist::setup
