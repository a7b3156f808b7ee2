#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/matrix_view.hpp"
#include "data/dataset_files.hpp"

namespace fcmnist::data {

/// The sizes of one split. They are read first, so that the caller can make the storage.
struct DatasetShape {
  std::size_t samples = 0;
  std::size_t rows = 0;  ///< rows of one image
  std::size_t cols = 0;  ///< columns of one image

  /// Numbers of one image: the width of the first layer's input.
  [[nodiscard]] std::size_t features() const { return rows * cols; }
  [[nodiscard]] std::size_t image_bytes() const { return samples * features(); }
  bool operator==(const DatasetShape&) const = default;
};

/// "60000 samples of 28 x 28"
std::string to_string(const DatasetShape& shape);

/// The samples of one split, in storage that somebody else owns: one copy per node, in a shared window.
struct Dataset {
  MatrixView<const std::uint8_t> images;  ///< (samples x features), 0 = background, 255 = ink
  std::span<const std::uint8_t> labels;   ///< (samples), 0 <= label < num_classes
  int num_classes = 10;
  std::size_t image_width = 0;  ///< columns of one image

  [[nodiscard]] std::size_t samples() const { return images.rows; }
  [[nodiscard]] std::size_t features() const { return images.cols; }
};

/// Some samples of a data set.
struct Samples {
  const Dataset* dataset = nullptr;
  std::span<const std::uint32_t> ids;
};

/// The view of storage that `read_samples` or `fill_fake` filled.
Dataset make_dataset(const DatasetShape& shape, int num_classes, std::span<const std::uint8_t> images,
                     std::span<const std::uint8_t> labels);

/// SHA-256 of the uncompressed content of the two files of a split.
struct FileDigests {
  std::string images;
  std::string labels;

  bool operator==(const FileDigests&) const = default;
};

/// Reads the headers of the files only. DataError for a wrong header or if there are not as many labels as
/// images.
DatasetShape read_shape(const DatasetFiles& files);

/// Reads and checks the files completely.
///   images  (samples x features)  written, row-major
///   labels  (samples)             written, 0 where there is no file of them; DataError names the first one outside 0 .. num_classes - 1
/// A DataError also says what IdxFile has found, or that the files no longer have this shape.
/// num_classes must be 1 to 256. Returns the digests of what was read.
FileDigests read_samples(const DatasetFiles& files, const DatasetShape& shape, int num_classes,
                         std::span<std::uint8_t> images, std::span<std::uint8_t> labels);

}  // namespace fcmnist::data
