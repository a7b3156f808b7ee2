#include "train/precision.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <string>

#include "config/load.hpp"
#include "train/manifest.hpp"

namespace fcmnist::train {

namespace {

using kernels::HalfCompute;
using kernels::HalfType;
using model::Precision;

constexpr const char* precision_entry = "precision";     // of the manifest
constexpr const char* products_entry = "half_products";  // instructions, of mixed precision
constexpr const char* bit_entries_of_precision[] = {precision_entry, products_entry};
constexpr Precision all_precisions[] = {Precision::float32, Precision::bfloat16, Precision::float16};

std::string text_of(const store::Manifest& manifest, const char* name) {
  const store::ManifestValue* entry = manifest.find(name);
  const auto* words = entry != nullptr ? std::get_if<std::string>(entry) : nullptr;
  return words != nullptr ? *words : std::string();
}

/// Of the checkpoint, if it is to be kept.
std::string kept_precision(const RunContext& context, const store::Checkpoint& checkpoint) {
  config::Sources sources;
  sources.yaml = checkpoint.header().config_yaml;
  sources.yaml_name = "configuration in the checkpoint";
  if (asks_anew(context.config.model, config::load(sources).config.model)) return {};
  return text_of(checkpoint.header().manifest, precision_entry);
}

void say(const RunContext& context, Precision precision, HalfCompute compute, HalfCompute bfloat16) {
  if (precision != Precision::float32) {
    context.log->info("precision: {} with float32 master weights; products {}", name_of(precision),
                      compute == HalfCompute::emulated
                          ? "emulated in float32: slower than model.mixed_precision False"
                          : fmt::format("by {}", kernels::name_of(compute)));
  } else if (context.config.model.mixed_precision.value_or(false)) {
    context.log->info(
        "precision: float32{}",
        bfloat16 == HalfCompute::emulated
            ? ": this processor has no bfloat16 instructions (model.half_type asks for emulation)"
            : ", as in the checkpoint");
  }
  const config::Mode mode = context.config.run.mode;
  if (mode == config::Mode::eval || mode == config::Mode::eval_all) return;  // without a loss scale
  const bool is_scaled = context.config.optimizer.loss_scale.factor != 1.0;
  if (precision == Precision::float32 && is_scaled) {
    context.log->info("optimizer.loss_scaling_factor: float32 needs no loss scaling, so it changes nothing");
  }
  if (precision == Precision::float16 && !is_scaled) {
    context.log->warn(
        "float16 without loss scaling: gradients below 6e-8 become 0; optimizer.loss_scaling_factor dynamic");
  }
}

}  // namespace

std::string_view name_of(Precision precision) {
  switch (precision) {
    case Precision::float32:
      return "float32";
    case Precision::bfloat16:
      return "bfloat16";
    case Precision::float16:
      return "float16";
  }
  return "unknown";
}

Precision precision_of(const model::MlpOptions& options, HalfCompute bfloat16) {
  if (!options.mixed_precision.value_or(false)) return Precision::float32;
  if (options.half_type) {
    return *options.half_type == HalfType::bfloat16 ? Precision::bfloat16 : Precision::float16;
  }
  return bfloat16 == HalfCompute::emulated ? Precision::float32 : Precision::bfloat16;
}

HalfCompute compute_of(const comm::Communicator& world, Precision precision) {
  if (precision == Precision::float32) return HalfCompute::emulated;
  const HalfType type = precision == Precision::bfloat16 ? HalfType::bfloat16 : HalfType::float16;
  return static_cast<HalfCompute>(world.min(static_cast<std::int64_t>(kernels::best_half_compute(type))));
}

std::string describe(Precision precision, HalfCompute compute) {
  if (precision == Precision::float32) return std::string(name_of(precision));
  const std::string how =
      compute == HalfCompute::emulated ? "emulated" : fmt::format("by {}", kernels::name_of(compute));
  return fmt::format("{} {}", name_of(precision), how);
}

bool asks_anew(const model::MlpOptions& now, const model::MlpOptions& checkpointed) {
  const bool other_choice = now.mixed_precision && now.mixed_precision != checkpointed.mixed_precision;
  const bool other_type = now.half_type && now.half_type != checkpointed.half_type;
  return other_choice || other_type;
}

Precision precision_for(const RunContext& context, const store::Checkpoint* checkpoint) {
  const comm::Communicator& world = context.world();
  std::string kept;
  on_root(context, [&] {
    if (checkpoint != nullptr) kept = kept_precision(context, *checkpoint);
  });
  kept = world.broadcast(kept, 0);
  const HalfCompute bfloat16 = compute_of(world, Precision::bfloat16);
  for (const Precision candidate : all_precisions) {
    if (kept == name_of(candidate)) return candidate;
  }
  return precision_of(context.config.model, bfloat16);
}

void settle_precision(RunContext& context, const store::Checkpoint* checkpoint) {
  const Precision precision = context.config.model.precision = precision_for(context, checkpoint);
  const HalfCompute compute = compute_of(context.world(), precision);
  context.manifest.add(precision_entry, std::string(name_of(precision)));
  if (precision != Precision::float32) {
    context.manifest.add(products_entry, std::string(kernels::name_of(compute)));
  }
  say(context, precision, compute, compute_of(context.world(), Precision::bfloat16));
  if (checkpoint == nullptr) return;
  const std::string changes =
      manifest_changes(checkpoint->header().manifest, context.manifest, bit_entries_of_precision);
  if (!changes.empty()) context.log->warn("since the checkpoint: {}", changes);
}

void settle_precision(RunContext& context, const StartPoint& start) {
  settle_precision(context, start.checkpoint && !start.weights_only ? &*start.checkpoint : nullptr);
}

}  // namespace fcmnist::train
