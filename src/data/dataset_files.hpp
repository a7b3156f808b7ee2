#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/options.hpp"

namespace fcmnist::data {

/// The two files of one split.
struct DatasetFiles {
  std::filesystem::path images;
  std::filesystem::path labels;
};

/// Finds the files of `options.split`: in data_dir, else in data_dir/MNIST/raw (where torchvision puts them).
///
/// The images are `train-images-idx3-ubyte` or `t10k-images-idx3-ubyte`. If there is no such file, they are
/// the only file whose name holds "train" (or "t10k" or "test"), "images" and "idx3", such as EMNIST's
/// `emnist-digits-train-images-idx3-ubyte`. The labels lie beside the images; their name has "labels" and
/// "idx1" instead. A name may have ".idx3" for "-idx3", and it may end in ".gz". If a file is there in both
/// forms, the plain one is taken. Throws DataError if nothing is found (it says which names were looked for,
/// and where), if several sets match, or if data_dir cannot be listed.
DatasetFiles locate(const InputOptions& options);

/// Finds the same files, or returns nothing if one is missing.
std::optional<DatasetFiles> try_locate(const InputOptions& options);

/// The directories in which files are looked for, in order; they need not exist.
std::array<std::filesystem::path, 2> search_directories(const InputOptions& options);

/// All files in `directory` that are named like an IDX file of images or labels. They are sorted, and a plain
/// file comes before its gzipped form. Empty if there is no such directory.
std::vector<std::filesystem::path> idx_files_in(const std::filesystem::path& directory);

/// The name of an IDX file without what may vary: `train-images.idx3-ubyte.gz` -> `train-images-idx3-ubyte`.
std::string canonical_name(const std::filesystem::path& path);

/// "train_input" or "eval_input": the section of the configuration that speaks of this split.
std::string_view section_of(Split split);

/// The ways to get data files, for HINTs.
std::string how_to_get_data();

}  // namespace fcmnist::data
