#include "store/checkpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "core/transpose.hpp"
#include "store/hdf5.hpp"
#include "store/network_dimensions.hpp"
#include "store/root_attributes.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {

namespace {

/// Visits the attributes of a state. Writing and reading share this list.
template <class State, class Visit>
void for_each_field(State& state, Visit visit) {
  visit("step", state.step);
  visit("epoch", state.epoch);
  visit("step_in_epoch", state.step_in_epoch);
  visit("samples_seen", state.samples_seen);
  visit("seed", state.seed);
  visit("labels_sha256", state.labels_sha256);
}

/// Visits the attributes that were added later. Files of the first release do not have them.
template <class State, class Visit>
void for_each_later_field(State& state, Visit visit) {
  visit("skipped_in_a_row", state.skipped_in_a_row);
  visit("log_interval_loss", state.since_log_line.loss);
  visit("log_interval_correct", state.since_log_line.correct);
  visit("log_interval_samples", state.since_log_line.samples);
  visit("log_interval_skipped", state.since_log_line.skipped);
  visit("gradient_exponent", state.gradient_exponent);
  visit("loss_scale", state.loss_scale);
  visit("loss_scale_good_steps", state.loss_scale_good_steps);
}

hdf5::Shape stored_shape(const Slot& slot) {
  if (is_bias(slot)) return {slot.cols};
  return {slot.outputs(), slot.inputs()};
}

void write_arena(const hdf5::Group& group, ArenaView<const float> values,
                 const NetworkDimensions& dimensions) {
  for (std::size_t i = 0; i < values.layout().slots().size(); ++i) {
    const Slot& slot = values.layout()[i];
    if (slot.order == Order::transposed) {
      group.place_transposed(slot.name, values[i]);
    } else {
      group.place(slot.name, stored_shape(slot), values.all().subspan(slot.offset, slot.count()));
    }
    dimensions.attach_to(group, slot.name, i);
  }
}

/// One line for each difference between a group and a layout.
std::vector<std::string> differences(const hdf5::Group& group, const Layout& layout) {
  std::vector<std::string> found;
  for (const Slot& slot : layout.slots()) {
    const std::string expected = hdf5::describe(hdf5::Type::float32, stored_shape(slot));
    const std::string actual = group.describe(slot.name);
    if (actual != expected)
      found.push_back(fmt::format("{}: found {}, expected {}", slot.name, actual, expected));
  }
  for (const std::string& name : group.names()) {
    const auto named = [&](const Slot& slot) { return slot.name == name; };
    if (std::none_of(layout.slots().begin(), layout.slots().end(), named)) {
      found.push_back(fmt::format("{}: found {}, expected none", name, group.describe(name)));
    }
  }
  return found;
}

void read_arena(const hdf5::Group& group, ArenaView<float> values, std::string_view what) {
  constexpr std::size_t most_shown = 4;
  std::vector<std::string> wrong = differences(group, values.layout());
  if (!wrong.empty()) {
    const std::size_t count = wrong.size();
    if (count > most_shown) {
      wrong.resize(most_shown);
      wrong.push_back(fmt::format("... and {} more", count - most_shown));
    }
    throw StoreError(
        fmt::format("{} does not fit the model of this run:\n    {}", what, fmt::join(wrong, "\n    ")),
        "the section model of the configuration must be that of the run that wrote the checkpoint");
  }
  for (std::size_t i = 0; i < values.layout().slots().size(); ++i) {
    const Slot& slot = values.layout()[i];
    if (slot.order == Order::transposed) {
      const AlignedArray<float> stored(slot.count());
      group.read(slot.name, stored_shape(slot), stored.data());
      transpose({stored.data(), slot.outputs(), slot.inputs()}, values[i]);
    } else {
      group.read(slot.name, stored_shape(slot), values.data() + slot.offset);
    }
  }
}

CheckpointHeader read_header(const hdf5::Group& root) {
  CheckpointHeader header;
  const hdf5::Group state = root.group("state");
  for_each_field(header.state, [&](const char* name, auto& field) {
    field = read_attribute<std::remove_reference_t<decltype(field)>>(state, name);
  });
  for_each_later_field(header.state, [&](const char* name, auto& field) {
    if (!state.has_attribute(name)) return;
    field = read_attribute<std::remove_reference_t<decltype(field)>>(state, name);
  });
  if (root.has("evaluation")) {
    const hdf5::Group group = root.group("evaluation");
    header.evaluation =
        Evaluation{read_attribute<double>(group, "loss"), read_attribute<double>(group, "accuracy")};
  }
  header.config_yaml = read_config_yaml(root);
  header.manifest = read_manifest(root);
  return header;
}

}  // namespace

std::vector<std::byte> checkpoint_image(const std::filesystem::path& path, const CheckpointHeader& header,
                                        ArenaView<const float> weights,
                                        std::span<const OptimizerArray> optimizer) {
  const hdf5::File file = hdf5::File::create(path.string());
  const hdf5::Group root = file.root();
  write_root_attributes(root, FileKind::checkpoint, header.config_yaml, header.manifest);

  const hdf5::Group state = root.create_group("state");
  const auto set = [&](const char* name, const auto& field) { state.set(name, field); };
  for_each_field(header.state, set);
  for_each_later_field(header.state, set);
  if (header.evaluation) {
    const hdf5::Group evaluation = root.create_group("evaluation");
    evaluation.set("loss", header.evaluation->loss);
    evaluation.set("accuracy", header.evaluation->accuracy);
  }
  const NetworkDimensions dimensions(root, weights.layout());
  write_arena(root.create_group("model"), weights, dimensions);
  const hdf5::Group arrays = root.create_group("optimizer");
  for (const OptimizerArray& array : optimizer) {
    FCMNIST_CHECK(array.values.layout() == weights.layout(), array.name);
    write_arena(arrays.create_group(array.name), array.values, dimensions);
  }
  return file.image();
}

void write_checkpoint(const std::filesystem::path& path, const CheckpointHeader& header,
                      ArenaView<const float> weights, std::span<const OptimizerArray> optimizer) {
  std::vector<std::byte> image = checkpoint_image(path, header, weights, optimizer);
  write_sealed(path, FileKind::checkpoint, image);
}

Checkpoint Checkpoint::read(const std::filesystem::path& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  checkpoint.image_ = read_sealed(path, FileKind::checkpoint);
  try {
    const hdf5::Group root = hdf5::File::open(path.string(), checkpoint.image_).root();
    checkpoint.header_ = read_header(root);
    checkpoint.optimizer_arrays_ = root.group("optimizer").names();
  } catch (const StoreError& why) {
    throw UnusableFileError(why.what());  // the file is intact, but it lacks something
  }
  return checkpoint;
}

void Checkpoint::load_weights(ArenaView<float> values) const {
  const hdf5::Group root = hdf5::File::open(path_.string(), image_).root();
  read_arena(root.group("model"), values, fmt::format("{}: /model", path_.string()));
}

void Checkpoint::load_optimizer(std::string_view name, ArenaView<float> values) const {
  const hdf5::Group arrays = hdf5::File::open(path_.string(), image_).root().group("optimizer");
  if (!arrays.has(name)) {
    throw StoreError(
        fmt::format(
            "{}: optimizer array {} is absent; the file has: {}", path_.string(), name,
            optimizer_arrays_.empty() ? "none" : fmt::format("{}", fmt::join(optimizer_arrays_, ", "))),
        "the section optimizer of the configuration must be that of the run that wrote the checkpoint, or "
        "use its weights only: --is_pretrained_checkpoint");
  }
  read_arena(arrays.group(name), values, fmt::format("{}: /optimizer/{}", path_.string(), name));
}

}  // namespace fcmnist::store
