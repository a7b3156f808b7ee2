#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store/manifest.hpp"

namespace fcmnist::store {

/// What the model of one step says about each sample of a set, in the order of the set.
struct Predictions {
  std::int64_t step = 0;                ///< optimizer steps done
  std::vector<std::uint8_t> label;      ///< (samples), or empty: they have none, and probabilities are stored
  std::vector<std::uint8_t> predicted;  ///< (samples) class with the largest logit
  std::vector<float> logits;            ///< (samples x classes)
};

/// The HDF5 image of a predictions file, for write_sealed(path, FileKind::predictions, image). `path` is used in
/// messages.
std::vector<std::byte> predictions_image(const std::filesystem::path& path, const Predictions& predictions,
                                         const std::string& config_yaml, const Manifest& manifest);

/// The step of a predictions file; nothing if there is none that is intact.
std::optional<std::int64_t> step_of_predictions(const std::filesystem::path& path);

}  // namespace fcmnist::store
