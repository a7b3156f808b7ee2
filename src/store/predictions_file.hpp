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

/// One network of an ensemble.
struct Member {
  std::string file;                     ///< its checkpoint
  std::int64_t step = 0;                ///< optimizer steps done
  double loss = 0.0;                    ///< mean over the samples, nats
  double accuracy = 0.0;                ///< 0 to 1
  std::vector<std::uint8_t> predicted;  ///< (samples) class that it gives each
};

/// What the model of one step, or an ensemble, says about each sample of a set, in the order of the set.
struct Predictions {
  static constexpr std::int64_t several_steps = -1;

  std::int64_t step = 0;                ///< optimizer steps done; several_steps if the members differ
  std::vector<std::uint8_t> label;      ///< (samples), or empty: they have none, and probabilities are stored
  std::vector<std::uint8_t> predicted;  ///< (samples) class with the largest logit
  std::vector<float> logits;            ///< (samples x classes)
  // Of an ensemble, whose logits are the logarithm of the mean probabilities.
  std::vector<Member> members = {};
  std::vector<std::uint8_t> vote = {};  ///< (samples) class that most members give
};

/// The HDF5 image of a predictions file, for write_sealed(path, FileKind::predictions, image). `path` is used in
/// messages.
std::vector<std::byte> predictions_image(const std::filesystem::path& path, const Predictions& predictions,
                                         const std::string& config_yaml, const Manifest& manifest);

/// The step of a predictions file; nothing if there is none that is intact.
std::optional<std::int64_t> step_of_predictions(const std::filesystem::path& path);

}  // namespace fcmnist::store
