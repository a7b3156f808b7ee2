#include "store/predictions_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.hpp"
#include "store/hdf5.hpp"
#include "store/labels.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {

namespace {

/// The softmax of each row.
std::vector<float> probabilities_of(std::span<const float> logits, std::size_t classes) {
  std::vector<float> probabilities(logits.size());
  for (std::size_t begin = 0; begin < logits.size(); begin += classes) {
    const auto row = logits.subspan(begin, classes);
    const double largest = std::ranges::max(row);
    double sum = 0.0;
    for (const float logit : row) sum += std::exp(logit - largest);
    for (std::size_t c = 0; c < classes; ++c) {
      probabilities[begin + c] = static_cast<float>(std::exp(row[c] - largest) / sum);
    }
  }
  return probabilities;
}

}  // namespace

std::vector<std::byte> predictions_image(const std::filesystem::path& path, const Predictions& predictions,
                                         const std::string& config_yaml, const Manifest& manifest) {
  const std::size_t samples = predictions.predicted.size();
  const bool has_labels = !predictions.label.empty();
  FCMNIST_CHECK(samples > 0 && (!has_labels || predictions.label.size() == samples) &&
                    predictions.logits.size() % samples == 0,
                fmt::format("{} labels, {} classes, {} logits", predictions.label.size(), samples,
                            predictions.logits.size()));
  const std::size_t classes = predictions.logits.size() / samples;
  const hdf5::File file = hdf5::File::create(path.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::predictions, config_yaml, manifest);
  root.set("step", predictions.step);

  write_coordinate(root, "sample", samples, "number of the sample in the data set, from 0");
  write_coordinate(root, "class", classes, "class, from 0");
  if (has_labels) {
    root.write("label", {samples}, predictions.label.data());
    label(root, "label", "1", "class that the sample is labelled with");
    root.attach_scale("label", "sample", 0);
  }
  root.write("predicted", {samples}, predictions.predicted.data());
  label(root, "predicted", "1", "class that the model gives it: that of the largest logit");
  root.attach_scale("predicted", "sample", 0);
  root.write("logits", {samples, classes}, predictions.logits.data());
  label(root, "logits", "1", "output of the last layer; its softmax is the probability of each class");
  root.attach_scale("logits", "sample", 0);
  root.attach_scale("logits", "class", 1);
  if (!has_labels) {
    const std::vector<float> probabilities = probabilities_of(predictions.logits, classes);
    root.write("probability", {samples, classes}, probabilities.data());
    label(root, "probability", "1", "softmax of the logits: the probability of each class");
    root.attach_scale("probability", "sample", 0);
    root.attach_scale("probability", "class", 1);
  }
  return file.image();
}

std::optional<std::int64_t> step_of_predictions(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  try {
    const std::vector<std::byte> image = read_sealed(path, FileKind::predictions);
    return read_attribute<std::int64_t>(hdf5::File::open(path.string(), image).root(), "step");
  } catch (const StoreError&) {
    return std::nullopt;
  }
}

}  // namespace fcmnist::store
