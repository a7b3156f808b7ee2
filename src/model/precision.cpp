#include "model/precision.hpp"

#include <fmt/format.h>

namespace fcmnist::model {

using kernels::HalfCompute;
using kernels::HalfType;

HalfType half_type(Precision precision) {
  return precision == Precision::bfloat16 ? HalfType::bfloat16 : HalfType::float16;
}

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

Precision precision_of(const MlpOptions& options, HalfCompute bfloat16) {
  if (!options.mixed_precision.value_or(false)) return Precision::float32;
  if (options.half_type) {
    return *options.half_type == HalfType::bfloat16 ? Precision::bfloat16 : Precision::float16;
  }
  return bfloat16 == HalfCompute::emulated ? Precision::float32 : Precision::bfloat16;
}

std::string describe(Precision precision, HalfCompute compute) {
  if (precision == Precision::float32) return std::string(name_of(precision));
  const std::string how =
      compute == HalfCompute::emulated ? "emulated" : fmt::format("by {}", kernels::name_of(compute));
  return fmt::format("{} {}", name_of(precision), how);
}

bool asks_anew(const MlpOptions& now, const MlpOptions& checkpointed) {
  const bool other_choice = now.mixed_precision && now.mixed_precision != checkpointed.mixed_precision;
  const bool other_type = now.half_type && now.half_type != checkpointed.half_type;
  return other_choice || other_type;
}

}  // namespace fcmnist::model
