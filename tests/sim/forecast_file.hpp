#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "comm/options.hpp"

namespace fcmnist::sim {

/// What fcmnist_mpi --forecast_file has written of one world (src/plan/README.md): what each node does in a step, and how
/// long that takes. All its ranks do the same at the same time.
struct ForecastFile {
  std::vector<std::size_t> part_numbers;  ///< how many numbers each part of the gradient has
  std::vector<double> part_written_s;     ///< when each is written: at most 0, the end of the backward pass
  double computing_s = 0.0;               ///< from the begin of a step to the end of the backward pass
  double update_s = 0.0;                  ///< within the node, once the sums are there
  comm::WireType wire_type = comm::WireType::float32;
};

/// Throws std::runtime_error for what is not such a file.
ForecastFile read_forecast(const std::filesystem::path& path);

}  // namespace fcmnist::sim
