#include "plan/forecast_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "core/error.hpp"

namespace fcmnist::plan {

std::string forecast_text(const config::RunConfig& config, const Mapping& mapping, const Rates& rates,
                          const Forecast& expected) {
  FCMNIST_CHECK(mapping.stages.size() == 1 && !mapping.sums_integers(),
                fmt::format("{} stages, {} bytes", mapping.stages.size(), mapping.number_bytes));
  const StageMapping& stage = mapping.stages[0];
  const PartSchedule schedule = part_schedule(mapping, 0, rates);
  std::vector<std::size_t> part_numbers;
  for (const Range& part : stage.parts) part_numbers.push_back(part.size());
  // Each sample costs two operations per parameter in the forward pass, two for the gradient, and two for the gradient of
  // the activations, of which the first layer has none.
  const std::vector<int>& hidden = config.model.hidden_sizes;
  const std::size_t first_layer =
      stage.inputs * (hidden.empty() ? stage.outputs : static_cast<std::size_t>(hidden.front()));
  const double operations =
      static_cast<double>((6 * stage.parameters - 2 * first_layer) * mapping.replica_samples.end);
  const double gradient_bytes = static_cast<double>(stage.parameters * mapping.wire_bytes);
  return fmt::format(
      "{{\"ranks\": {}, \"nodes\": {}, \"step_samples\": {}, \"rank_samples\": {}, \"parameters\": {},\n"
      " \"wire_type\": \"{}\", \"network_bytes_per_s\": {}, \"network_latency_s\": {},\n"
      " \"part_numbers\": [{}],\n \"part_written_s\": [{}],\n"
      " \"data_s\": {}, \"compute_s\": {}, \"update_s\": {}, \"network_s\": {}, \"step_s\": {},\n"
      " \"flop_per_gradient_byte\": {}}}\n",
      mapping.ranks(), mapping.nodes, mapping.step_samples, mapping.replica_samples.end, stage.parameters,
      config.comm.wire_type == comm::WireType::bfloat16 ? "bfloat16" : "float32",
      rates.between_nodes.bytes_per_s, rates.between_nodes.latency_s, fmt::join(part_numbers, ", "),
      fmt::join(schedule.written_s, ", "), expected.data_s, expected.compute_s, expected.update_s,
      expected.network_s, expected.step_s(), operations / gradient_bytes);
}

}  // namespace fcmnist::plan
