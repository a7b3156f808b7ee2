#include "data/prepare.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/dataset_files.hpp"
#include "data/gz_file.hpp"

namespace fcmnist::data {

namespace {

void log_file(const std::filesystem::path& path, const std::string& content, const std::string& sha256,
              const KnownSet& known, Logger& logger) {
  std::vector<KnownSet> sets = known_sets();
  sets.push_back(known);
  for (const KnownSet& set : sets) {
    for (const KnownFile& file : set.files) {
      if (file.sha256 != sha256) continue;
      logger.info("{}: {}, verified: {} of {}", path.string(), content, file.name, set.name);
      return;
    }
  }
  logger.info("{}: {}, verified: a set of your own, not {} (SHA-256 {})", path.string(), content, known.name,
              sha256);
}

DatasetShape verify(const DatasetFiles& files, int num_classes, const KnownSet& known, Logger& logger) {
  const DatasetShape shape = read_shape(files);
  std::vector<std::uint8_t> images(shape.image_bytes()), labels(shape.samples);
  const FileDigests digests = read_samples(files, shape, num_classes, images, labels);
  log_file(files.images, fmt::format("{} images of {} x {}", shape.samples, shape.rows, shape.cols),
           digests.images, known, logger);
  log_file(files.labels, fmt::format("{} labels from 0 to {}", shape.samples, num_classes - 1),
           digests.labels, known, logger);
  return shape;
}

}  // namespace

void prepare(const InputOptions& train, const InputOptions& test, int num_classes, Logger& logger,
             const KnownSet& known, const DownloadLimits& limits) {
  std::optional<DatasetShape> first;
  for (const InputOptions* options : {&train, &test}) {
    if (options->use_fake_data) {
      logger.info("{}: use_fake_data is set, no files are needed", section_of(options->split));
      continue;
    }
    fetch_missing(*options, logger, known, limits);
    const DatasetFiles files = locate(*options);
    const DatasetShape shape = verify(files, num_classes, known, logger);
    if (first && (first->rows != shape.rows || first->cols != shape.cols)) {
      throw file_error(files.images, "image size", fmt::format("{} x {}", shape.rows, shape.cols),
                       fmt::format("{} x {}, as in train_input", first->rows, first->cols),
                       "train_input.data_dir and eval_input.data_dir must name sets of one image size");
    }
    if (!first) first = shape;
  }
}

}  // namespace fcmnist::data
