#pragma once

#include <string>
#include <vector>

namespace fcmnist::data {

enum class Split { train, test };

/// How far training images are distorted, at most, each time they are used; 0: not at all. See Augmenter.
struct AugmentOptions {
  double shift = 0.0;     ///< pixels, to each side
  double rotation = 0.0;  ///< degrees, to each side
  double scale = 0.0;     ///< of height and width, each by itself: 0.15 is from 0.85 to 1.15
  double shear = 0.0;     ///< pixels of x for each pixel of y, to each side
  double elastic = 0.0;   ///< pixels: standard deviation of the control points of the elastic distortion

  [[nodiscard]] bool any() const {
    return shift > 0 || rotation > 0 || scale > 0 || shear > 0 || elastic > 0;
  }
  bool operator==(const AugmentOptions&) const = default;
};

/// Which weights are scored: their average, wherever one is kept, or they themselves.
enum class ScoredWeights { averaged, trained };

/// The section train_input or eval_input: where samples come from, and how they are batched.
struct InputOptions {
  std::string data_dir = "./data/mnist";
  /// Mode predict: an IDX file of images that have no labels, instead of those of data_dir; else empty.
  std::string images;
  Split split = Split::train;  ///< which pair of files of the set: train-* or t10k-*
  bool use_fake_data = false;  ///< use labelled patterns that can be learnt; no files are needed
  bool download = true;        ///< fetch missing files of the MNIST set
  /// Base addresses tried in order; "/<name of the file>.gz" is appended.
  std::vector<std::string> mirrors = {"https://ossci-datasets.s3.amazonaws.com/mnist",
                                      "https://storage.googleapis.com/cvdf-datasets/mnist"};

  int batch_size = 128;  ///< samples of the global batch, all replicas together; 0: see the next key
  int batch_size_per_replica = 0;  ///< > 0: the global batch is this times the number of replicas
  bool drop_last_batch = false;    ///< training only: leave out the tail of an epoch that fills no batch
  bool shuffle = true;             ///< training only: a new order every epoch, a function of (seed, epoch)

  AugmentOptions augment;   ///< training only
  double mixup = 0.0;       ///< training only, above 0: alpha of Mixer
  int validation_size = 0;  ///< training only: so many samples are held out; see split_off_validation()
  /// Evaluation only: the mean of the predicted probabilities over all shifts of an image by up to so many pixels to each
  /// side, in both directions; 0: the image as it is.
  int average_shifts = 0;
  /// How many these are.
  [[nodiscard]] int shift_count() const { return (2 * average_shifts + 1) * (2 * average_shifts + 1); }
  ScoredWeights weights = ScoredWeights::averaged;  ///< evaluation only

  bool operator==(const InputOptions&) const = default;
};

}  // namespace fcmnist::data
