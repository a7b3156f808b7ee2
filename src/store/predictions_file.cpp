#include "store/predictions_file.hpp"

#include <fmt/format.h>

#include <numeric>

#include "core/error.hpp"
#include "store/hdf5.hpp"
#include "store/root_attributes.hpp"

namespace fcmnist::store {

namespace {

void label(const hdf5::Group& root, const char* dataset, const char* long_name) {
  root.set_on(dataset, "units", std::string("1"));
  root.set_on(dataset, "long_name", std::string(long_name));
}

/// A coordinate 0, 1, ...
void write_scale(const hdf5::Group& root, const char* name, std::size_t size, const char* long_name) {
  std::vector<std::int64_t> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0);
  root.write(name, {size}, numbers.data());
  root.make_scale(name);
  label(root, name, long_name);
}

}  // namespace

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

  write_scale(root, "sample", samples, "number of the sample in the data set, from 0");
  write_scale(root, "class", classes, "class, from 0");
  root.write("label", {samples}, predictions.label.data());
  label(root, "label", "class that the sample is labelled with");
  root.attach_scale("label", "sample", 0);
  root.write("predicted", {samples}, predictions.predicted.data());
  label(root, "predicted", "class that the model gives it: that of the largest logit");
  root.attach_scale("predicted", "sample", 0);
  root.write("logits", {samples, classes}, predictions.logits.data());
  label(root, "logits", "output of the last layer; its softmax is the probability of each class");
  root.attach_scale("logits", "sample", 0);
  root.attach_scale("logits", "class", 1);
  return file.image();
}

}  // namespace fcmnist::store
