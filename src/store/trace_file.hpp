#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock_offset.hpp"
#include "store/manifest.hpp"

namespace fcmnist::store {

/// What one rank did without a break. Seconds of any clock.
struct Span {
  double begin_s = 0.0;
  double end_s = 0.0;
  std::int64_t step = 0;         ///< of training, from 1
  std::int32_t rank = 0;         ///< of the world
  std::int32_t microbatch = -1;  ///< -1: of none
  std::int16_t layer = -1;       ///< counted over the network; -1: of none
  std::uint8_t activity = 0;     ///< index in Trace::activities
};

/// A rank of a trace.
struct TracedRank {
  std::string host;
  std::string cores;  ///< the logical processors to which it is bound
  int replica = 0;
  int stage = 0;
  ClockOffset before, after;  ///< the traced steps
};

/// What the ranks of a world did in some steps.
struct Trace {
  std::vector<std::string_view> activities;  ///< their names
  std::vector<std::string> layers;           ///< names of the layers
  std::vector<TracedRank> ranks;
  std::vector<Span> spans;  ///< by the clock of their rank
};

/// Changes the times of all spans to the clock of rank 0, and such that the first span begins at 0. Between the
/// two times at which the clocks were compared, offsets grow evenly.
void align_clocks(Trace& trace);

/// The HDF5 image of a trace file, for write_sealed(path, FileKind::trace, image). `path` is used in messages.
std::vector<std::byte> trace_image(const std::filesystem::path& path, const Trace& trace,
                                   const std::string& config_yaml, const Manifest& manifest);

}  // namespace fcmnist::store
