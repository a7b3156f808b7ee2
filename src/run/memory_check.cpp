#include "run/memory_check.hpp"

#include <fmt/format.h>

#include "comm/host_memory.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "plan/mapping.hpp"

namespace fcmnist::run {

void check_host_memory(const setup::Context& context, std::size_t node_bytes) {
  comm::collectively(context.world(), [&] {
    const comm::HostMemory memory = comm::host_memory();
    const auto runs = static_cast<std::size_t>(context.common().runs_on_node);
    if (node_bytes <= memory.bytes / runs) return;
    const std::string side_by_side = runs > 1 ? fmt::format(" for each of {} trials", runs) : "";
    throw CommError(fmt::format("a node with the most ranks needs {}{}, this one has {}",
                                bytes_text(node_bytes), side_by_side, to_string(memory)),
                    "fewer ranks per node, a smaller microbatch, or runconfig.execution layer_pipelined");
  });
}

void check_training_memory(const setup::Context& context, const setup::Settled& settled) {
  const plan::Mapping mapping =
      plan::map_training(settled.config, settled.shapes, settled.stages, context.placement());
  check_host_memory(context, mapping.memory_on_a_node);
}

void check_evaluation_memory(const setup::Context& context, const config::RunConfig& config,
                             const data::DatasetShape& shape) {
  const plan::EvaluationMapping mapping = plan::map_evaluation(config, shape, context.placement());
  check_host_memory(context, mapping.memory_on_a_node);
}

}  // namespace fcmnist::run
