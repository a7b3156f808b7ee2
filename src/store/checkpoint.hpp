#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/arena.hpp"
#include "store/manifest.hpp"

namespace fcmnist::store {

/// Sums over the steps since the last log line. With save_losses: False they become one row of the metrics.
struct LogInterval {
  double loss = 0;     ///< sum over samples, nats
  double correct = 0;  ///< samples classified correctly
  double samples = 0;
  std::int64_t skipped = 0;  ///< steps that were skipped; they are in none of the other sums
  bool operator==(const LogInterval&) const = default;
};

/// Where training stands. With the weights and the optimizer arrays, this is all that a run needs to go on as
/// if it had never been interrupted.
struct TrainState {
  std::int64_t step = 0;           ///< optimizer steps done
  std::int64_t epoch = 0;          ///< epoch of the next sample, from 0
  std::int64_t step_in_epoch = 0;  ///< steps done in this epoch
  std::int64_t samples_seen = 0;   ///< training samples used so far, all epochs
  std::uint64_t seed = 0;     ///< seed of the run; random numbers are functions of it and of the position
  std::string labels_sha256;  ///< SHA-256 of the training labels, by which a resume recognises its data
  std::int64_t skipped_in_a_row =
      0;  ///< number of the last steps that were skipped because they were not finite
  LogInterval since_log_line;
  std::int64_t gradient_exponent =
      0;                  ///< exponent of the unit of fixed-point gradient sums; 0 without such sums
  double loss_scale = 0;  ///< dynamic loss scale of the next step; 0 without one
  std::int64_t loss_scale_good_steps = 0;  ///< steps since the loss scale changed
  bool operator==(const TrainState&) const = default;
};

/// The score of the stored weights on the test set.
struct Evaluation {
  double loss = 0;      ///< mean over samples, nats
  double accuracy = 0;  ///< 0 to 1
  bool operator==(const Evaluation&) const = default;
};

/// A checkpoint without its arrays.
struct CheckpointHeader {
  TrainState state;
  std::optional<Evaluation> evaluation;  ///< nothing if these weights were not evaluated
  std::string config_yaml;               ///< the resolved configuration
  Manifest manifest;
};

/// An optimizer array of the weights' layout, e.g. "momentum_buffer".
struct OptimizerArray {
  std::string name;
  ArenaView<const float> values;
};

/// The bytes of a checkpoint file, not sealed yet. It takes milliseconds for a million numbers. The arrays
/// may change as soon as it returns. write_sealed(path, FileKind::checkpoint, bytes) puts them in place, from
/// any thread.
///   path                 used in messages
///   weights, optimizer   equal layouts; a slot named "*.bias" (one row) is stored 1-D, as PyTorch shapes it
std::vector<std::byte> checkpoint_image(const std::filesystem::path& path, const CheckpointHeader& header,
                                        ArenaView<const float> weights,
                                        std::span<const OptimizerArray> optimizer);

/// Memory that checkpoint_image() needs while it works, without what is small: HDF5 makes the file in memory,
/// and the image is a copy of it.
///   layout            of the weights
///   optimizer_arrays  how many go with them
inline std::size_t checkpoint_image_bytes(const Layout& layout, std::size_t optimizer_arrays) {
  return 2 * (1 + optimizer_arrays) * layout.size() * sizeof(float);
}

/// checkpoint_image and write_sealed. Throws StoreError; an existing file is then untouched.
void write_checkpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                      ArenaView<const float> weights, std::span<const OptimizerArray> optimizer);

/// A checkpoint that was read and verified to the last byte.
class Checkpoint {
 public:
  /// Throws UnusableFileError if the file is not an intact checkpoint, StoreError if it cannot be read.
  static Checkpoint read(const std::filesystem::path& path);

  [[nodiscard]] const CheckpointHeader& header() const { return header_; }
  /// Names of the optimizer arrays in the file, sorted.
  [[nodiscard]] const std::vector<std::string>& optimizer_arrays() const { return optimizer_arrays_; }

  /// Fill an arena. The file must have exactly the slots of its layout: the same names, shapes and type.
  /// Throws a StoreError that lists the differences; then `values` may be partly filled.
  void load_weights(ArenaView<float> values) const;
  void load_optimizer(std::string_view name, ArenaView<float> values) const;

 private:
  std::filesystem::path path_;
  std::vector<std::byte> image_;
  CheckpointHeader header_;
  std::vector<std::string> optimizer_arrays_;
};

}  // namespace fcmnist::store
