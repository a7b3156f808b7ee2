#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "store/manifest.hpp"
#include "store/metrics_rows.hpp"

namespace fcmnist::store {

/// What has become of a trial. The numbers are in the file.
enum class TrialState : std::uint8_t {
  waiting = 0,     ///< nothing of it is there
  unfinished = 1,  ///< it has begun
  done = 2,
  diverged = 3,
  refused = 4,  ///< its settings do not go together
  failed = 5,   ///< another error; the same command tries it again
  dropped = 6,  ///< successive halving: others were better at a rung
};
inline constexpr const char* trial_states[] = {"waiting", "unfinished", "done",   "diverged",
                                               "refused", "failed",     "dropped"};

/// One trial of a sweep. Numbers that are not known are NaN, or -1 where they are whole.
struct Trial {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  std::string path;                   ///< its model_dir, from that of the sweep
  std::vector<std::string> settings;  ///< one for each parameter, as on a command line
  TrialState state = TrialState::waiting;
  std::string reason;  ///< why it did not end, else empty
  std::int64_t steps = -1;
  std::int64_t ranks = -1;
  double training_s = unknown;  ///< all its starts together
  std::vector<EvalRow> evaluations, validations;
  std::int64_t best_step = -1;  ///< of the best validation
};

struct Sweep {
  std::vector<std::string> parameters;  ///< "section.key"
  std::vector<Trial> trials;
};

/// The HDF5 image of a sweep file, for write_sealed(path, FileKind::sweep, image). `path` is used in messages.
std::vector<std::byte> sweep_image(const std::filesystem::path& path, const Sweep& sweep,
                                   const std::string& config_yaml, const Manifest& manifest);

}  // namespace fcmnist::store
