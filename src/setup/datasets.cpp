#include "setup/datasets.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.hpp"
#include "data/dataset_files.hpp"
#include "data/fake_dataset.hpp"
#include "data/fetch.hpp"
#include "setup/context.hpp"

namespace fcmnist::setup {

namespace {

/// Reads the sizes on each node. Nodes may see different file systems, and all must hold a set of the same
/// sizes.
data::DatasetShape shape_on_all_nodes(const comm::Topology& topology, const data::InputOptions& input) {
  data::DatasetShape shape;
  comm::collectively(topology.world(), topology.is_leader()
                                           ? [&] { shape = data::read_shape(data::locate(input)); }
                                           : std::function<void()>());
  const data::DatasetShape first = topology.world().broadcast(shape, 0);
  comm::collectively(topology.world(), [&] {
    if (topology.is_leader() && shape != first) {
      throw DataError(fmt::format("{}: {} here, but the node of rank 0 has {}", input.data_dir,
                                  data::to_string(shape), data::to_string(first)),
                      "use a data_dir that all nodes share, or put the same files on each");
    }
  });
  return first;
}

/// Files of the same sizes may still be other files.
void check_same_content(const comm::Topology& topology, const std::string& data_dir,
                        const data::FileDigests& mine) {
  const std::string content = mine.images + mine.labels;
  const std::string first = topology.world().broadcast(content, 0);
  comm::collectively(topology.world(), [&] {
    if (topology.is_leader() && content != first) {
      throw DataError(fmt::format("{}: other images or labels here than on the node of rank 0", data_dir),
                      "use a data_dir that all nodes share, or put the same files on each");
    }
  });
}

std::string entry(Role role, std::string_view end = {}) {
  return fmt::format("{}_set{}", role == Role::training ? "training" : "test", end);
}

template <class T>
const T* find(const store::Manifest& manifest, const std::string& name) {
  const store::ManifestValue* value = manifest.find(name);
  return value == nullptr ? nullptr : std::get_if<T>(value);
}

using Texts = std::vector<std::string>;

}  // namespace

data::DatasetShape find_dataset(const comm::Topology& topology, const data::InputOptions& input,
                                Logger& log) {
  if (input.use_fake_data) return data::fake_dataset_shape(input.split);
  double fetch_s = 0.0;
  on_root(topology.world(), [&] { fetch_s = data::try_locate(input) ? 0.0 : comm::long_work_s; });
  on_root(
      topology.world(), [&] { data::fetch_missing(input, log); }, topology.world().max(fetch_s));
  return shape_on_all_nodes(topology, input);
}

LoadedSet read_dataset(const comm::Topology& topology, const data::InputOptions& input,
                       const data::DatasetShape& shape, int num_classes, Role role, Logger& log) {
  data::DatasetFiles files;
  data::FileDigests digests;
  train::SharedDataset samples(topology, shape, num_classes,
                               [&](std::span<std::uint8_t> images, std::span<std::uint8_t> labels) {
                                 if (input.use_fake_data) {
                                   data::fill_fake(input.split, shape, num_classes, images, labels);
                                 } else {
                                   files = data::locate(input);
                                   digests = data::read_samples(files, shape, num_classes, images, labels);
                                 }
                               });
  check_same_content(topology, input.data_dir, digests);
  LoadedSet loaded{std::move(samples), {}};
  if (topology.world().rank() == 0) {
    loaded.identity = data::identify(input.split, files, digests, shape, loaded.samples.view());
  }
  say_set(loaded.identity, role, log);
  return loaded;
}

void say_set(const data::SetIdentity& identity, Role role, Logger& log) {
  const char* scored = identity.split == data::Split::test ? "test" : "evaluation";
  if (!identity.has_labels()) scored = "given";
  log.info("{} set: {}", role == Role::training ? "training" : scored, data::to_string(identity));
  if (data::name_of_set(identity.files.images).starts_with("emnist")) {
    log.info("EMNIST's images are stored with rows and columns exchanged; they are used as they are");
  }
}

void add_to_manifest(const data::SetIdentity& identity, Role role, store::Manifest& manifest) {
  manifest.add(entry(role), identity.set);
  manifest.add(entry(role, "_split"), std::string(data::name_of(identity.split)));
  manifest.add(entry(role, "_samples"), static_cast<std::int64_t>(identity.shape.samples));
  if (identity.has_labels()) manifest.add(entry(role, "_classes"), std::int64_t{identity.classes});
  if (!identity.class_names.empty()) manifest.add(entry(role, "_class_names"), identity.class_names);
  if (manifest.find("image_height") == nullptr) {  // of the training set, if there is one
    manifest.add("image_height", static_cast<std::int64_t>(identity.shape.rows));
    manifest.add("image_width", static_cast<std::int64_t>(identity.shape.cols));
  }
  if (identity.files.images.empty()) return;
  const auto absolute = [](const std::filesystem::path& path) {
    std::error_code error;
    const auto found = std::filesystem::absolute(path, error);
    return error ? path.string() : found.string();
  };
  Texts files = {absolute(identity.files.images)}, digests = {identity.digests.images};
  if (identity.has_labels()) {
    files.push_back(absolute(identity.files.labels));
    digests.push_back(identity.digests.labels);
  }
  manifest.add(entry(role, "_files"), std::move(files));
  manifest.add(entry(role, "_sha256"), std::move(digests));
}

void warn_of_other_set(const store::Manifest& trained, const data::SetIdentity& tested, Logger& log) {
  const auto* set = find<std::string>(trained, entry(Role::training));
  if (set == nullptr) return;  // an older file
  const auto* files = find<Texts>(trained, entry(Role::training, "_files"));
  const std::filesystem::path images = files == nullptr || files->empty() ? std::string() : files->front();
  if (!data::surely_differ(*set, images, tested.set, tested.files.images)) return;
  const auto name = [](const std::string& set_name, const std::filesystem::path& path) {
    return path.empty() ? set_name : fmt::format("{} ({})", set_name, path.string());
  };
  log.warn(
      "trained on {}, but tested on {}: if this is not meant, let eval_input.data_dir name the set that "
      "train_input.data_dir names",
      name(*set, images), name(tested.set, tested.files.images));
}

std::optional<bool> is_own_test_set(const store::Manifest& run, const data::SetIdentity& scored) {
  const auto* own = find<Texts>(run, entry(Role::test, "_sha256"));
  if (own == nullptr || scored.digests.images.empty()) return std::nullopt;
  return *own == Texts{scored.digests.images, scored.digests.labels};
}

void say_other_test_set(const store::Manifest& run, const data::SetIdentity& scored, Logger& log) {
  if (is_own_test_set(run, scored).value_or(true)) return;
  const auto* set = find<std::string>(run, entry(Role::test));
  const auto* split = find<std::string>(run, entry(Role::test, "_split"));
  log.info("scored on another set than the run itself, whose set is {}, {} split",
           set == nullptr ? "another" : *set, split == nullptr ? "test" : *split);
}

void check_same_images(const store::Manifest& then, const store::Manifest& now, const std::string& data_dir) {
  const std::string name = entry(Role::training, "_sha256");
  const Texts *was = find<Texts>(then, name), *is = find<Texts>(now, name);
  if (was == nullptr || is == nullptr || was->empty() || is->empty() || was->front() == is->front()) return;
  throw DataError(
      fmt::format("{}: not the training set that the run began with: its images differ", data_dir),
      "point train_input.data_dir to the same data, or use another -o/--model_dir");
}

}  // namespace fcmnist::setup
