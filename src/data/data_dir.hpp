#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/options.hpp"

/// What lies in a data_dir.
namespace fcmnist::data {

/// The name of an IDX file without what may vary, in lower case: `TRAIN-IMAGES.IDX3-UBYTE.gz` ->
/// `train-images-idx3-ubyte`.
std::string canonical_name(const std::filesystem::path& path);

/// `canonical` up to its type: `emnist-letters-train-images-`. Images and labels of a set differ in one word of
/// it.
std::string_view stem_of(std::string_view canonical);

/// All files in `directory` that are named like an IDX file of images or labels, of any type of numbers. They
/// are sorted: what is no directory first, and a plain file before its gzipped form. Empty if there is no such
/// directory. Throws DataError if it cannot be listed.
std::vector<std::filesystem::path> idx_files_in(const std::filesystem::path& directory);

/// The directories in which a set may lie: data_dir, and those below it that torchvision makes. They need not
/// exist.
std::vector<std::filesystem::path> search_directories(const std::filesystem::path& data_dir);

/// The first of them if it holds IDX files, else the only one that does; empty if there is none. Throws
/// DataError if several of those below data_dir do, since nobody has said which one is meant.
std::filesystem::path place_of_set(const std::filesystem::path& data_dir, std::string_view section);

/// Whether `data_dir` is absent, or holds hidden files only.
bool is_vacant(const std::filesystem::path& data_dir);

/// "does not exist", "is empty", or "holds a.npz, sub/ and 3 more".
std::string describe_contents(const std::filesystem::path& data_dir);

/// What to do with the first file there that is a data set in another format; empty if there is none.
std::string advice_on_contents(const std::filesystem::path& data_dir);

}  // namespace fcmnist::data
