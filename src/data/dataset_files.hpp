#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "data/options.hpp"

namespace fcmnist::data {

/// The two files of one split, or images alone.
struct DatasetFiles {
  std::filesystem::path images;
  std::filesystem::path labels;  ///< empty: there are none

  bool operator==(const DatasetFiles&) const = default;
};

/// The file options.images alone, if it is given. Else finds the files of `options.split`: in data_dir, or if it holds no IDX file, in the only folder below it
/// that torchvision made and that does (such as FashionMNIST/raw).
///
/// The images are `train-images-idx3-ubyte` or `t10k-images-idx3-ubyte`. If there is no such file, they are
/// the only file whose name holds "train" (or "t10k" or "test"), "images" and "idx", such as EMNIST's
/// `emnist-digits-train-images-idx3-ubyte`. The labels lie beside the images; their name has "labels" instead
/// and may have another type, such as "idx1". Upper case is as good as lower case. A name may have ".idx3" for
/// "-idx3", and it may end in ".gz". If a file is there in both forms, the plain one is taken. Throws DataError
/// if nothing is found (it says which names were looked for, where, and what lies there instead), if several
/// sets match, or if data_dir cannot be listed.
DatasetFiles locate(const InputOptions& options);

/// Finds the same files, or returns nothing if one is missing.
std::optional<DatasetFiles> try_locate(const InputOptions& options);

/// What comes before the split in the name of the images, such as "emnist-letters-", or else the name of the
/// folder that torchvision made, such as "KMNIST"; empty for files of the usual names elsewhere.
std::string name_of_set(const std::filesystem::path& images);

/// "train_input" or "eval_input": the section of the configuration that speaks of this split.
std::string_view section_of(Split split);

/// The ways to get data files, for HINTs.
std::string how_to_get_data();

}  // namespace fcmnist::data
