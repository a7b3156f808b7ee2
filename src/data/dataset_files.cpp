#include "data/dataset_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "core/error.hpp"
#include "core/text.hpp"

namespace fcmnist::data {

namespace fs = std::filesystem;

namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

bool is_images(std::string_view name) { return contains(name, "images") && contains(name, "idx3"); }
bool is_labels(std::string_view name) { return contains(name, "labels") && contains(name, "idx1"); }

bool is_of_split(std::string_view name, Split split) {
  if (split == Split::train) return contains(name, "train");
  return contains(name, "t10k") || contains(name, "test");
}

std::string usual_images_name(Split split) {
  return split == Split::train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte";
}

std::string labels_name_of(const std::string& images_name) {
  return replaced(replaced(images_name, "images", "labels"), "idx3", "idx1");
}

/// Canonical name of the images of `split` among `files`; empty if there are none.
std::string choose_images(const std::vector<fs::path>& files, const fs::path& directory, Split split) {
  std::vector<std::string> names;
  for (const fs::path& file : files) {
    std::string name = canonical_name(file);
    if (name == usual_images_name(split)) return name;
    const bool fits = is_images(name) && is_of_split(name, split);
    if (fits && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  if (names.size() > 1) {
    throw DataError(fmt::format("{}: {}.data_dir holds several sets of images, expected one: {}",
                                directory.string(), section_of(split), joined(names, ", ")),
                    "put each set in a directory of its own");
  }
  return names.empty() ? "" : names.front();
}

fs::path file_named(const std::vector<fs::path>& files, const std::string& canonical) {
  const auto at = std::find_if(files.begin(), files.end(),
                               [&](const fs::path& file) { return canonical_name(file) == canonical; });
  return at == files.end() ? fs::path() : *at;
}

/// The files of the split. `labels`, or both, are empty if they are not there.
DatasetFiles look_for_files(const InputOptions& options) {
  for (const fs::path& directory : search_directories(options)) {
    const auto files = idx_files_in(directory);
    const std::string images = choose_images(files, directory, options.split);
    if (!images.empty()) return {file_named(files, images), file_named(files, labels_name_of(images))};
  }
  return {};
}

}  // namespace

std::string canonical_name(const fs::path& path) {
  std::string name = path.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return replaced(replaced(std::move(name), ".idx3", "-idx3"), ".idx1", "-idx1");
}

std::array<fs::path, 2> search_directories(const InputOptions& options) {
  const fs::path data_dir = options.data_dir;
  return {data_dir, data_dir / "MNIST" / "raw"};
}

std::vector<fs::path> idx_files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = canonical_name(entry->path());
    const bool is_complete_name = name.ends_with("ubyte") || name.ends_with("idx3") || name.ends_with("idx1");
    const bool is_hidden = name.starts_with('.');
    if (is_complete_name && !is_hidden && (is_images(name) || is_labels(name)))
      files.push_back(entry->path());
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw DataError(fmt::format("{}: cannot list this data_dir: {}", directory.string(), error.message()),
                    "data_dir must be a directory that this user may read");
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::optional<DatasetFiles> try_locate(const InputOptions& options) {
  const DatasetFiles files = look_for_files(options);
  if (files.images.empty() || files.labels.empty()) return std::nullopt;
  return files;
}

DatasetFiles locate(const InputOptions& options) {
  DatasetFiles files = look_for_files(options);
  if (files.images.empty()) {
    const auto directories = search_directories(options);
    const std::string usual = usual_images_name(options.split);
    throw DataError(
        fmt::format("no images for {}: looked in {} and {} for {} or {}, each with or without .gz, or one "
                    "file like {}",
                    section_of(options.split), directories[0].string(), directories[1].string(), usual,
                    replaced(usual, "-idx3", ".idx3"),
                    options.split == Split::train ? "*train*images*idx3-ubyte" : "*test*images*idx3-ubyte"),
        how_to_get_data());
  }
  if (files.labels.empty()) {
    throw DataError(fmt::format("no labels for {}: found {} but beside it no {}, with or without .gz",
                                section_of(options.split), files.images.string(),
                                labels_name_of(canonical_name(files.images))),
                    how_to_get_data());
  }
  return files;
}

std::string_view section_of(Split split) { return split == Split::train ? "train_input" : "eval_input"; }

std::string how_to_get_data() {
  constexpr std::string_view fashion = "/usr/share/datasets/fashion-mnist";
  return fmt::format(
      "one of: (1) where there is internet, for example on a login node, run fcmnist_mpi -m prepare_data; "
      "(2) put the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, "
      "t10k-images-idx3-ubyte.gz and "
      "t10k-labels-idx1-ubyte.gz into data_dir by hand; (3) without internet use Debian's package "
      "dataset-fashion-mnist "
      "with the settings train_input.data_dir {0} eval_input.data_dir {0}",
      fashion);
}

}  // namespace fcmnist::data
