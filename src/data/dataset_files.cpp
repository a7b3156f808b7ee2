#include "data/dataset_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "core/error.hpp"
#include "core/text.hpp"
#include "data/data_dir.hpp"

namespace fcmnist::data {

namespace fs = std::filesystem;

namespace {

std::string labels_for_images(std::string text) {
  if (const auto at = text.rfind("images"); at != std::string::npos) text.replace(at, 6, "labels");
  return text;
}

/// Where the split stands in a name, and which one it is: the last such word, since "latest-train" has two.
struct SplitWord {
  std::size_t at = std::string_view::npos;
  Split split = Split::train;
};

SplitWord split_word(std::string_view name) {
  SplitWord last;
  for (const auto& [word, split] : {std::pair<std::string_view, Split>{"train", Split::train},
                                    {"t10k", Split::test},
                                    {"test", Split::test}}) {
    const auto at = name.rfind(word);
    if (at != std::string_view::npos && (last.at == std::string_view::npos || at > last.at))
      last = {at, split};
  }
  return last;
}

bool is_images_of(std::string_view name, Split split) {
  const SplitWord word = split_word(name);
  return contains(name, "images") && word.at != std::string_view::npos && word.split == split;
}

std::string usual_images_name(Split split) {
  return split == Split::train ? "train-images-idx3-ubyte" : "t10k-images-idx3-ubyte";
}

/// Canonical name of the images of `split` among `files`; empty if there are none.
std::string choose_images(const std::vector<fs::path>& files, const fs::path& directory, Split split) {
  std::vector<std::string> names;
  for (const fs::path& file : files) {
    std::string name = canonical_name(file);
    if (name == usual_images_name(split)) return name;
    if (is_images_of(name, split) && std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  if (names.size() > 1) {
    throw DataError(fmt::format("{}: {}.data_dir holds several sets of images, expected one: {}",
                                directory.string(), section_of(split), joined(names, ", ")),
                    "put the four files of each set, or links to them, into a directory of its own");
  }
  return names.empty() ? "" : names.front();
}

/// The labels that belong to these images, of any type: what cannot be read is an error that says so.
fs::path choose_labels(const std::vector<fs::path>& files, const std::string& images_name) {
  const std::string stem = labels_for_images(std::string(stem_of(images_name)));
  const std::string usual = stem + "idx1-ubyte";
  fs::path any;
  for (const fs::path& file : files) {
    const std::string name = canonical_name(file);
    if (name == usual) return file;
    if (any.empty() && stem_of(name) == stem) any = file;
  }
  return any;
}

/// The files of the split. `labels`, or both, are empty if they are not there.
DatasetFiles look_for_files(const InputOptions& options) {
  const fs::path directory = place_of_set(options.data_dir, section_of(options.split));
  if (directory.empty()) return {};
  const auto files = idx_files_in(directory);
  const std::string name = choose_images(files, directory, options.split);
  if (name.empty()) return {};
  const auto images =
      std::ranges::find_if(files, [&](const fs::path& file) { return canonical_name(file) == name; });
  return {*images, choose_labels(files, name)};
}

DataError no_images(const InputOptions& options) {
  const std::string_view section = section_of(options.split);
  fs::path place = place_of_set(options.data_dir, section);
  if (place.empty()) place = options.data_dir;
  std::string hint = how_to_get_data();
  if (!is_vacant(options.data_dir)) {
    const std::string advice = advice_on_contents(place);
    hint = fmt::format(
        "{}{}name the directory that holds the IDX files as {}.data_dir; or one that is absent or empty, and "
        "MNIST is fetched into it",
        advice, advice.empty() ? "" : "; or ", section);
  }
  return DataError(
      fmt::format("no images for {}: {} {}; looked there, and in the folders that torchvision makes "
                  "(MNIST/raw, FashionMNIST/raw and so on), for {} or one file like {}, with or without .gz",
                  section, place.string(), describe_contents(place), usual_images_name(options.split),
                  options.split == Split::train ? "*train*images*idx3-ubyte" : "*test*images*idx3-ubyte"),
      hint);
}

DatasetFiles images_alone(const InputOptions& options) {
  std::error_code error;
  if (fs::exists(options.images, error)) return {options.images, {}};
  throw DataError(fmt::format("eval_input.images {}: no such file", options.images),
                  "name an IDX file of images, gzipped or plain");
}

}  // namespace

std::optional<DatasetFiles> try_locate(const InputOptions& options) {
  if (!options.images.empty()) return DatasetFiles{options.images, {}};
  const DatasetFiles files = look_for_files(options);
  if (files.images.empty() || files.labels.empty()) return std::nullopt;
  return files;
}

DatasetFiles locate(const InputOptions& options) {
  if (!options.images.empty()) return images_alone(options);
  DatasetFiles files = look_for_files(options);
  if (files.images.empty()) throw no_images(options);
  if (files.labels.empty()) {
    throw DataError(
        fmt::format("no labels for {}: found {} but beside it no {}, with or without .gz",
                    section_of(options.split), files.images.string(),
                    labels_for_images(std::string(stem_of(canonical_name(files.images)))) + "idx1-ubyte"),
        how_to_get_data());
  }
  return files;
}

std::string name_of_set(const fs::path& images) {
  const std::string name = canonical_name(images);
  const SplitWord word = split_word(name);
  if (word.at != std::string_view::npos && word.at > 0) return name.substr(0, word.at);
  const fs::path folder = images.parent_path();
  return folder.filename() == "raw" ? folder.parent_path().filename().string() : std::string();
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
