#include "data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>

#include "core/error.hpp"
#include "data/idx_file.hpp"

namespace fcmnist::data {

namespace {

DatasetShape shape_of(const IdxFile& images) {
  const auto& counts = images.counts();
  return {counts[0], counts[1], counts[2]};
}

void check_same_count(const DatasetFiles& files, const IdxFile& images, const IdxFile& labels) {
  if (labels.counts()[0] == images.counts()[0]) return;
  throw file_error(files.labels, "number of labels", std::to_string(labels.counts()[0]),
                   fmt::format("{}, as many as images in {}", images.counts()[0], files.images.string()),
                   "the two files are not of the same split or not of the same set");
}

std::string hint_for_labels(std::span<const std::uint8_t> labels, int num_classes) {
  const auto [least, most] = std::ranges::minmax(labels);
  const std::string offset =
      least > 0 ? fmt::format(", or subtract {} from each label and set it to {}", least, most - least + 1)
                : "";
  return fmt::format(
      "model.num_classes is {}; the labels of this file are {} to {}: set model.num_classes {}{}",
      num_classes, least, most, most + 1, offset);
}

void check_labels(const DatasetFiles& files, std::span<const std::uint8_t> labels, int num_classes) {
  const auto bad =
      std::find_if(labels.begin(), labels.end(), [&](int label) { return label >= num_classes; });
  if (bad == labels.end()) return;
  throw file_error(files.labels, fmt::format("label of sample {}", bad - labels.begin()),
                   std::to_string(*bad), fmt::format("0 to {}", num_classes - 1),
                   hint_for_labels(labels, num_classes));
}

}  // namespace

std::string to_string(const DatasetShape& shape) {
  return fmt::format("{} samples of {} x {}", shape.samples, shape.rows, shape.cols);
}

Dataset make_dataset(const DatasetShape& shape, int num_classes, std::span<const std::uint8_t> images,
                     std::span<const std::uint8_t> labels) {
  FCMNIST_CHECK(images.size() == shape.image_bytes() && labels.size() == shape.samples,
                fmt::format("{} bytes, {} labels, {} samples", images.size(), labels.size(), shape.samples));
  return {{images.data(), shape.samples, shape.features()}, labels, num_classes, shape.cols};
}

DatasetShape read_shape(const DatasetFiles& files) {
  const IdxFile images(files.images, IdxKind::images);
  if (!files.labels.empty()) check_same_count(files, images, IdxFile(files.labels, IdxKind::labels));
  return shape_of(images);
}

FileDigests read_samples(const DatasetFiles& files, const DatasetShape& shape, int num_classes,
                         std::span<std::uint8_t> images, std::span<std::uint8_t> labels) {
  FCMNIST_CHECK(images.size() == shape.image_bytes() && labels.size() == shape.samples,
                fmt::format("{} bytes, {} labels, {} samples", images.size(), labels.size(), shape.samples));
  FCMNIST_CHECK(1 <= num_classes && num_classes <= 256, std::to_string(num_classes));
  IdxFile image_file(files.images, IdxKind::images);
  std::optional<IdxFile> label_file;
  if (!files.labels.empty()) {
    label_file.emplace(files.labels, IdxKind::labels);
    check_same_count(files, image_file, *label_file);
  }
  if (shape_of(image_file) != shape) {
    throw file_error(files.images, "header", to_string(shape_of(image_file)),
                     to_string(shape) + ", as a moment ago",
                     "the file was replaced while it was being read: start again");
  }
  image_file.read_body(images);
  if (!label_file) {
    std::ranges::fill(labels, std::uint8_t{0});
    return {image_file.sha256(images), {}};
  }
  label_file->read_body(labels);
  check_labels(files, labels, num_classes);
  return {image_file.sha256(images), label_file->sha256(labels)};
}

}  // namespace fcmnist::data
