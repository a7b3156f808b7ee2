#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.hpp"
#include "data/dataset_files.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

inline constexpr std::string_view made_up_set = "made-up data";
inline constexpr std::string_view unknown_set = "unknown set";

/// What a split is that was read.
struct SetIdentity {
  std::string set;      ///< a known set, by the SHA-256 of both files; else unknown_set or made_up_set
  Split split;          ///< of the known set, whatever its files are called; else the one that was asked for
  DatasetFiles files;   ///< empty for made-up data
  FileDigests digests;  ///< empty for made-up data
  DatasetShape shape;
  int classes = 0;                            ///< how many different labels there are
  std::vector<std::string> class_names = {};  ///< of a known set; else empty

  [[nodiscard]] bool has_labels() const { return files.images.empty() || !files.labels.empty(); }
};

/// `files` and `digests` are empty for made-up data.
SetIdentity identify(Split asked_for, DatasetFiles files, FileDigests digests, const DatasetShape& shape,
                     const Dataset& dataset);

/// "MNIST, train split, 60000 samples of 28 x 28, 10 classes, data/train-images-idx3-ubyte.gz,
/// data/train-labels-idx1-ubyte.gz"
std::string to_string(const SetIdentity& identity);

/// "train" or "test"
std::string_view name_of(Split split);

/// Whether two splits are surely not of one set: a known set and another one, or by name_of_set() two unknown
/// ones.
bool surely_differ(std::string_view set, const std::filesystem::path& images, std::string_view other_set,
                   const std::filesystem::path& other_images);

}  // namespace fcmnist::data
