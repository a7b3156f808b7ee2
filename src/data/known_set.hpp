#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

  /// The file that has the name of `path`, gzipped or not, in any usual spelling; nullptr if there is none.
  [[nodiscard]] const KnownFile* find(const std::filesystem::path& path) const;
};

/// MNIST: LeCun, Cortes, Burges, "The MNIST database of handwritten digits" (1998).
KnownSet mnist();

}  // namespace fcmnist::data
