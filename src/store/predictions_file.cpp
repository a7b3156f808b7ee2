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

template <class T, class Take>
void write_of_members(const hdf5::Group& root, const char* name, const std::vector<Member>& members,
                      const char* units, const char* long_name, Take take) {
  std::vector<T> numbers;
  for (const Member& member : members) numbers.push_back(take(member));
  root.write(name, {numbers.size()}, numbers.data());
  label(root, name, units, long_name);
  root.attach_scale(name, "member", 0);
}

void write_members(const hdf5::Group& root, const Predictions& ensemble) {
  const std::vector<Member>& members = ensemble.members;
  write_coordinate(root, "member", members.size(),
                   "network of the ensemble; its attribute files has the files");
  std::vector<std::string> files;
  std::vector<std::uint8_t> predicted;
  for (const Member& member : members) {
    files.push_back(member.file);
    predicted.insert(predicted.end(), member.predicted.begin(), member.predicted.end());
  }
  if (files.size() <= longest_list) root.set_on("member", "files", files);
  write_of_members<std::int64_t>(root, "member_step", members, "1", "optimizer steps done",
                                 [](const Member& member) { return member.step; });
  write_of_members<double>(root, "member_loss", members, "1",
                           "cross-entropy in nats, mean over the samples, of each member",
                           [](const Member& member) { return member.loss; });
  write_of_members<double>(root, "member_accuracy", members, "1",
                           "fraction of the samples that each member classifies correctly",
                           [](const Member& member) { return member.accuracy; });
  root.write("member_predicted", {members.size(), ensemble.vote.size()}, predicted.data());
  label(root, "member_predicted", "1", "class that each member gives the sample");
  root.attach_scale("member_predicted", "member", 0);
  root.attach_scale("member_predicted", "sample", 1);
  root.write("vote", {ensemble.vote.size()}, ensemble.vote.data());
  label(root, "vote", "1",
        "class that most members give; of equally many that of the larger mean probability");
  root.attach_scale("vote", "sample", 0);
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
  if (!predictions.members.empty()) write_members(root, predictions);
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
