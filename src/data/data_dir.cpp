#include "data/data_dir.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <system_error>

#include "core/error.hpp"
#include "core/text.hpp"

namespace fcmnist::data {

namespace fs = std::filesystem;

namespace {

/// Where torchvision puts the files of its classes, below the `root` that they are given.
constexpr std::string_view torchvision_folders[] = {
    "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "QMNIST/raw", "EMNIST/raw",
    "raw"  // data_dir names the folder of the class itself
};

/// How the name of an IDX file may end: with its type of numbers, or with its dimensions.
constexpr std::string_view complete_ends[] = {"byte", "int",  "short", "float", "double",
                                              "idx1", "idx2", "idx3",  "idx4"};

constexpr std::string_view keras_to_idx =
    R"(python3 -c "import numpy as np, struct; d = np.load('mnist.npz'); )"
    R"([open(f'{s}-{k}-ubyte', 'wb').write(struct.pack(f'>HBB{a.ndim}I', 0, 8, a.ndim, *a.shape))"
    R"( + a.astype('u1').tobytes()) for s, t in (('train', 'train'), ('t10k', 'test')))"
    R"( for k, a in (('images-idx3', d['x_' + t]), ('labels-idx1', d['y_' + t]))]")";

struct OtherFormat {
  std::string_view end;  ///< of a file's name, in lower case
  std::string_view advice;
};

constexpr std::string_view as_idx = "such files are not read: store the samples as IDX files";
constexpr std::string_view unpack = "archives are not read: unpack it, and name the directory with the files";
constexpr OtherFormat other_formats[] = {
    {".npz", "NumPy's files are not read: make IDX files of an mnist.npz of Keras with "},
    {".npy", as_idx},
    {".csv", as_idx},
    {".pt", as_idx},
    {".pkl", as_idx},
    {".parquet", as_idx},
    {".mat", as_idx},
    {".h5", as_idx},
    {".png", as_idx},
    {".jpg", as_idx},
    {".zip", unpack},
    {".tar", unpack},
    {".tgz", unpack},
    {".tar.gz", unpack},
    {".xz", unpack},
};

std::string in_lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

DataError cannot_list(const fs::path& directory, const std::error_code& error) {
  std::error_code unknown;
  if (fs::exists(directory, unknown) && !fs::is_directory(directory, unknown)) {
    return DataError(fmt::format("{}: this data_dir is a file, expected a directory", directory.string()),
                     "name the directory that holds the IDX files");
  }
  return DataError(fmt::format("{}: cannot list this data_dir: {}", directory.string(), error.message()),
                   "data_dir must be a directory that this user may read");
}

/// Whether the error means that there is no such directory; its parent may be a file.
bool is_absent(const fs::path& directory, const std::error_code& error) {
  std::error_code unknown;
  return error == std::errc::no_such_file_or_directory ||
         (error == std::errc::not_a_directory && !fs::exists(directory, unknown));
}

/// What is in a directory and not hidden, sorted; directories come last.
std::vector<fs::path> visible_entries(const fs::path& directory) {
  std::vector<fs::path> files, directories;
  std::error_code error, unknown;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().filename().string().starts_with('.')) continue;
    (entry->is_directory(unknown) ? directories : files).push_back(entry->path());
  }
  if (error && !is_absent(directory, error)) throw cannot_list(directory, error);
  std::ranges::sort(files);
  std::ranges::sort(directories);
  files.insert(files.end(), directories.begin(), directories.end());
  return files;
}

bool is_idx_name(std::string_view canonical) {
  const bool is_complete =
      std::ranges::any_of(complete_ends, [&](std::string_view end) { return canonical.ends_with(end); });
  return is_complete && contains(canonical, "idx") &&
         (contains(canonical, "images") || contains(canonical, "labels"));
}

}  // namespace

std::string canonical_name(const fs::path& path) {
  std::string name = in_lower_case(path.filename().string());
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (const auto at = name.find(".idx"); at != std::string::npos) name[at] = '-';
  return name;
}

std::string_view stem_of(std::string_view canonical) { return canonical.substr(0, canonical.rfind("idx")); }

std::vector<fs::path> idx_files_in(const fs::path& directory) {
  std::vector<fs::path> files = visible_entries(directory);
  std::erase_if(files, [](const fs::path& file) { return !is_idx_name(canonical_name(file)); });
  return files;
}

std::vector<fs::path> search_directories(const fs::path& data_dir) {
  std::vector<fs::path> directories = {data_dir};
  for (const std::string_view folder : torchvision_folders) directories.push_back(data_dir / folder);
  return directories;
}

fs::path place_of_set(const fs::path& data_dir, std::string_view section) {
  std::vector<std::string> places;
  for (const fs::path& directory : search_directories(data_dir)) {
    if (idx_files_in(directory).empty()) continue;
    if (directory == data_dir) return data_dir;
    places.push_back(directory.string());
  }
  if (places.size() > 1) {
    throw DataError(
        fmt::format("{}: {}.data_dir holds several sets, expected one: {}", data_dir.string(), section,
                    joined(places, ", ")),
        fmt::format("name the one that you mean, for example {}.data_dir {}", section, places[0]));
  }
  return places.empty() ? fs::path() : fs::path(places[0]);
}

bool is_vacant(const fs::path& data_dir) { return visible_entries(data_dir).empty(); }

std::string describe_contents(const fs::path& data_dir) {
  constexpr std::size_t most_names = 6;
  std::error_code unknown;
  if (!fs::exists(data_dir, unknown)) return "does not exist";
  const std::vector<fs::path> entries = visible_entries(data_dir);
  if (entries.empty()) return "is empty";
  std::vector<std::string> names;
  for (const fs::path& entry : entries) {
    if (names.size() == most_names) break;
    names.push_back(entry.filename().string() + (fs::is_directory(entry, unknown) ? "/" : ""));
  }
  const std::size_t more = entries.size() - names.size();
  return fmt::format("holds {}{}", joined(names, ", "), more > 0 ? fmt::format(" and {} more", more) : "");
}

std::string advice_on_contents(const fs::path& data_dir) {
  for (const fs::path& entry : visible_entries(data_dir)) {
    const std::string name = in_lower_case(entry.filename().string());
    for (const OtherFormat& format : other_formats) {
      if (!name.ends_with(format.end)) continue;
      return fmt::format("{}: {}{}", entry.filename().string(), format.advice,
                         format.end == ".npz" ? keras_to_idx : std::string_view());
    }
  }
  return {};
}

}  // namespace fcmnist::data
