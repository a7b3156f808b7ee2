#include "setup/arithmetic.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>

#include "config/load.hpp"
#include "model/precision.hpp"
#include "setup/manifest.hpp"

namespace fcmnist::setup {

namespace {

using kernels::HalfCompute;
using kernels::HalfType;
using model::Precision;

constexpr const char* precision_entry = "precision";     // of the manifest
constexpr const char* products_entry = "half_products";  // instructions, of mixed precision
constexpr const char* bit_entries_of_precision[] = {precision_entry, products_entry};

/// Of a checkpoint, on every rank.
struct Then {
  Precision precision = Precision::float32;
  model::MlpOptions model;
  optim::LossScaleOptions loss_scale;
};

/// float32 in releases that knew no other.
Precision precision_in(const store::Manifest& manifest) {
  const store::ManifestValue* entry = manifest.find(precision_entry);
  const auto* name = entry != nullptr ? std::get_if<std::string>(entry) : nullptr;
  for (const Precision half : {Precision::bfloat16, Precision::float16}) {
    if (name != nullptr && *name == name_of(half)) return half;
  }
  return Precision::float32;
}

/// `checkpoint`: on rank 0, nullptr if there is none. Collective.
std::optional<Then> find_then(const RunContext& context, const store::Checkpoint* checkpoint) {
  const comm::Communicator& world = context.world();
  std::optional<Precision> precision;
  if (checkpoint != nullptr) precision = precision_in(checkpoint->header().manifest);
  Then then;
  precision = world.broadcast(precision, 0);
  if (!precision) return std::nullopt;
  then.precision = *precision;
  config::Sources sources;
  sources.yaml = world.broadcast(checkpoint != nullptr ? checkpoint->header().config_yaml : "", 0);
  sources.yaml_name = "configuration in the checkpoint";
  comm::collectively(world, [&] {
    const config::RunConfig config = config::load(sources).config;
    then.model = config.model;
    then.loss_scale = config.optimizer.loss_scale;
  });
  const bool mixed = then.precision != Precision::float32;
  then.model.mixed_precision = then.model.mixed_precision.value_or(mixed);
  if (mixed) then.model.half_type = model::half_type(then.precision);
  return then;
}

Precision precision_after(const std::optional<Then>& then, const RunContext& context) {
  model::MlpOptions asked = context.config.model;
  const HalfCompute bfloat16 = compute_of(context.world(), Precision::bfloat16);
  if (then) {
    if (!model::asks_anew(asked, then->model)) return then->precision;
    if (!asked.mixed_precision) asked.mixed_precision = then->model.mixed_precision;
  }
  return model::precision_of(asked, bfloat16);
}

/// On rank 0. `products`: what multiplies halves, of all ranks.
void say(const RunContext& context, Precision precision, HalfCompute compute, HalfCompute bfloat16,
         std::string_view products) {
  if (precision != Precision::float32) {
    context.log->info("precision: {} with float32 master weights; products {}", name_of(precision),
                      compute == HalfCompute::emulated
                          ? "emulated in float32: slower than model.mixed_precision False"
                          : fmt::format("by {}", kernels::name_of(compute)));
    if (products != kernels::name_of(compute)) {
      context.log->warn("ranks multiply halves differently ({}): bits depend on which rank runs where",
                        products);
    }
  } else if (context.config.model.half_type && !context.config.model.mixed_precision.value_or(false)) {
    context.log->info("model.half_type: without model.mixed_precision True it changes nothing");
  } else if (context.config.model.mixed_precision.value_or(false)) {
    context.log->info(
        "precision: float32{}",
        bfloat16 == HalfCompute::emulated
            ? ": this processor has no bfloat16 instructions (model.half_type asks for emulation)"
            : ", as in the checkpoint");
  }
}

void say_scale(const RunContext& context, const optim::LossScaleOptions& given) {
  const Precision precision = context.config.model.precision;
  optim::LossScaleOptions plain;
  plain.factor = given.factor;
  const bool has_keys_of_dynamic = given != plain;
  if (precision == Precision::float32) {
    if (given.factor.value_or(1.0) == 1.0 && !has_keys_of_dynamic) return;
    context.log->info(
        "float32 needs no loss scaling: optimizer.loss_scaling_factor and the keys of dynamic change "
        "nothing");
    return;
  }
  if (has_keys_of_dynamic && given.factor != optim::LossScaleOptions::dynamic) {
    context.log->info(
        "optimizer.initial_loss_scale, steps_per_increase, min_loss_scale, max_loss_scale: without "
        "optimizer.loss_scaling_factor dynamic they change nothing");
  }
  if (precision == Precision::float16 && context.config.optimizer.loss_scale.factor == 1.0) {
    context.log->warn(
        "float16 without loss scaling: gradients below 6e-8 become 0; optimizer.loss_scaling_factor dynamic");
  }
}

}  // namespace

HalfCompute compute_of(const comm::Communicator& world, Precision precision) {
  if (precision == Precision::float32) return HalfCompute::emulated;
  return static_cast<HalfCompute>(
      world.min(static_cast<std::int64_t>(kernels::best_half_compute(model::half_type(precision)))));
}

Precision precision_for(const RunContext& context, const store::Checkpoint* checkpoint) {
  return precision_after(find_then(context, checkpoint), context);
}

void settle_precision(RunContext& context, const store::Checkpoint* checkpoint) {
  const Precision precision = context.config.model.precision = precision_for(context, checkpoint);
  const HalfCompute compute = compute_of(context.world(), precision);
  const std::string products = kernels_of(context.world().all_gather(
      precision == Precision::float32
          ? ""
          : kernels::name_of(kernels::best_half_compute(model::half_type(precision)))));
  context.manifest.add(precision_entry, std::string(name_of(precision)));
  if (precision != Precision::float32) context.manifest.add(products_entry, products);
  say(context, precision, compute, compute_of(context.world(), Precision::bfloat16), products);
  if (checkpoint == nullptr) return;
  const std::string changes =
      manifest_changes(checkpoint->header().manifest, context.manifest, bit_entries_of_precision);
  if (!changes.empty()) context.log->warn("since the checkpoint: {}", changes);
}

void settle_arithmetic(RunContext& context, const StartPoint& start) {
  const store::Checkpoint* const checkpoint =
      start.checkpoint && !start.weights_only ? &*start.checkpoint : nullptr;
  const std::optional<Then> then = find_then(context, checkpoint);
  settle_precision(context, checkpoint);
  optim::LossScaleOptions& scale = context.config.optimizer.loss_scale;
  const optim::LossScaleOptions given = scale;
  if (!given.factor && then) scale = then->loss_scale;
  scale.factor = scale.factor.value_or(1.0);
  context.config_yaml = config::to_yaml(context.config);  // files have the loss scaling, for the next resume
  say_scale(context, given);
  if (context.config.comm.wire_type != comm::WireType::float32 && context.topology.node_count() == 1) {
    context.log->info("runconfig.wire_type: there is one node, so no gradient travels");
  }
}

}  // namespace fcmnist::setup
