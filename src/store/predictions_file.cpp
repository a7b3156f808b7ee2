#include "store/predictions_file.hpp"

#include <fmt/format.h>

#include "core/error.hpp"
#include "store/hdf5.hpp"
#include "store/labels.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {

std::vector<std::byte> predictions_image(const std::filesystem::path& path, const Predictions& predictions,
                                         const std::string& config_yaml, const Manifest& manifest) {
  const std::size_t samples = predictions.label.size();
  FCMNIST_CHECK(
      samples > 0 && predictions.predicted.size() == samples && predictions.logits.size() % samples == 0,
      fmt::format("{} labels, {} classes, {} logits", samples, predictions.predicted.size(),
                  predictions.logits.size()));
  const std::size_t classes = predictions.logits.size() / samples;
  const hdf5::File file = hdf5::File::create(path.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::predictions, config_yaml, manifest);
  root.set("step", predictions.step);

  write_coordinate(root, "sample", samples, "number of the sample in the data set, from 0");
  write_coordinate(root, "class", classes, "class, from 0");
  root.write("label", {samples}, predictions.label.data());
  label(root, "label", "1", "class that the sample is labelled with");
  root.attach_scale("label", "sample", 0);
  root.write("predicted", {samples}, predictions.predicted.data());
  label(root, "predicted", "1", "class that the model gives it: that of the largest logit");
  root.attach_scale("predicted", "sample", 0);
  root.write("logits", {samples, classes}, predictions.logits.data());
  label(root, "logits", "1", "output of the last layer; its softmax is the probability of each class");
  root.attach_scale("logits", "sample", 0);
  root.attach_scale("logits", "class", 1);
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
