#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/options.hpp"

namespace fcmnist::data {

/// A file whose content is known.
struct KnownFile {
  std::string name;    ///< without ".gz"
  std::string sha256;  ///< SHA-256 of the uncompressed content, 64 lower-case hexadecimal digits
};

/// The files of a data set that can be fetched and recognised.
struct KnownSet {
  std::string name;
  std::vector<KnownFile> files;
  std::vector<std::string> class_names = {};  ///< of the classes 0, 1, ...

  /// The file that has the name of `path`, gzipped or not, in any usual spelling; nullptr if there is none.
  [[nodiscard]] const KnownFile* find(const std::filesystem::path& path) const;
  /// Whether these are the digests of images and labels of a split.
  [[nodiscard]] bool has(Split split, std::string_view images_sha256, std::string_view labels_sha256) const;
};

/// MNIST: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (1998).
KnownSet mnist();

/// Fashion-MNIST: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
/// algorithms" (2017).
KnownSet fashion_mnist();

/// All sets that are recognised by their content.
std::vector<KnownSet> known_sets();

}  // namespace fcmnist::data
