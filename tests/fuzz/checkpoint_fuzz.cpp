// A checkpoint, in one of two ways.
//
// Input that begins like a file of ours is taken for the file. Its seal (a SHA-256 over the whole image)
// keeps damage away from libhdf5, so all that can be found here is a seal that lets damage pass. The target
// does not put the right digest on changed images: that would search libhdf5 for mistakes, which somebody who
// can forge a seal could use. We look for damage, not for malice.
//
// Any other input is a recipe: each byte says how one object of a small checkpoint differs from what it
// should be. From it comes a sound HDF5 image with unexpected content, rightly sealed, as another version
// might write.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/digest.hpp"
#include "fuzz/fuzz.hpp"
#include "store/checkpoint.hpp"
#include "store/hdf5.hpp"
#include "store/sealed_file.hpp"

namespace fcmnist::store {
namespace {

using Bytes = std::span<const std::uint8_t>;

Layout small_layout(std::size_t hidden) {
  Layout layout;
  layout.add("fc_layers.0.weight", hidden, 4);
  layout.add("fc_layers.0.bias", 1, hidden);
  layout.add("last_layer.weight", 2, hidden);
  layout.add("last_layer.bias", 1, 2);
  return layout;
}

/// Reads the file with all that it offers. False: it was refused as a whole.
bool read_everything(const std::filesystem::path& path) {
  static const Layout fitting = small_layout(3), other = small_layout(5);
  Checkpoint checkpoint;
  try {
    checkpoint = Checkpoint::read(path);
  } catch (const UnusableFileError&) {
    return false;
  }
  for (const Layout* layout : {&fitting, &other}) {
    const Arena<float> values(*layout);
    try {
      checkpoint.load_weights(values.view());
    } catch (const StoreError&) {
    }
    std::vector<std::string> names = checkpoint.optimizer_arrays();
    names.emplace_back("absent");
    for (const std::string& name : names) {
      try {
        checkpoint.load_optimizer(name, values.view());
      } catch (const StoreError&) {
      }
    }
  }
  return true;
}

/// Writes the seal of FORMAT.md over the one of a file of this version.
void seal(std::span<std::byte> bytes, int version) {
  const std::size_t image_bytes = bytes.size() - seal_bytes;
  const auto image = bytes.subspan(version == 1 ? seal_bytes : 0, image_bytes);
  const std::string text = seal_of(FileKind::checkpoint, version, image);
  std::memcpy(bytes.data() + (version == 1 ? 0 : image_bytes), text.data(), text.size());
}

/// A file that is accepted is sealed as FORMAT.md says.
void read_file(Bytes input) {
  if (!read_everything(fuzz::MemoryFile(input).path())) return;
  const auto bytes = std::as_bytes(input);
  std::vector<std::byte> sealed(bytes.begin(), bytes.end());
  seal(sealed, fuzz::as_text(input).starts_with("fcmnist_mpi ") ? 1 : format_version);
  FCMNIST_CHECK(std::ranges::equal(sealed, bytes), "a damaged file was accepted");
}

/// The input as a series of choices; behind its end all are 0, "as it should be". One call to an expression,
/// or compilers would read one input in different ways.
class Recipe {
 public:
  explicit Recipe(Bytes input) : rest_(input) {}

  std::uint8_t next() {
    if (rest_.empty()) return 0;
    const std::uint8_t byte = rest_.front();
    rest_ = rest_.subspan(1);
    return byte;
  }
  std::string text() {
    std::size_t length = next();
    length = std::min(length, rest_.size());
    const std::string text(fuzz::as_text(rest_.first(length)));
    rest_ = rest_.subspan(length);
    return text;
  }

 private:
  Bytes rest_;
};

void set(const hdf5::Group& group, const std::string& name, const hdf5::Attribute& right, Recipe& recipe) {
  switch (recipe.next()) {
    case 1:
      return;
    case 2:
      return group.set(name, recipe.text());
    case 3:
      return group.set(name, std::int64_t{recipe.next()} - 128);
    case 4:
      return group.set(name, ~std::uint64_t{recipe.next()});
    case 5:
      return group.set(name, 1.0 / recipe.next());
    case 6: {
      const std::size_t count = recipe.next();
      return group.set(name, std::vector<std::string>(count, recipe.text()));
    }
    default:
      return group.set(name, right);
  }
}

template <class T>
void write_numbers(const hdf5::Group& group, const std::string& name, const hdf5::Shape& shape) {
  std::size_t count = 1;
  for (const std::size_t length : shape) count *= length;
  group.write(name, shape, std::vector<T>(count + 1, T{1}).data());
}

void write_array(const hdf5::Group& group, const Slot& slot, Recipe& recipe) {
  const bool is_bias = slot.name.ends_with(".bias");
  hdf5::Shape shape = is_bias ? hdf5::Shape{slot.cols} : hdf5::Shape{slot.rows, slot.cols};
  switch (recipe.next()) {
    case 1:
      return;
    case 2:
      return write_numbers<double>(group, slot.name, shape);
    case 3:
      return write_numbers<std::int64_t>(group, slot.name, shape);
    case 4:
      group.create_group(slot.name);
      return;
    case 5:
      shape.resize(recipe.next() % 5);
      for (std::size_t& length : shape) length = recipe.next() % 8;
      return write_numbers<float>(group, slot.name, shape);
    default:
      return write_numbers<float>(group, slot.name, shape);
  }
}

/// A group, and objects in it that nobody expects.
hdf5::Group make_group(const hdf5::Group& parent, const std::string& name, Recipe& recipe) {
  hdf5::Group group = parent.create_group(name);
  for (std::uint8_t kind = recipe.next(); kind != 0; kind = recipe.next()) {
    const std::string stranger = recipe.text();
    if (kind == 1) write_numbers<float>(group, stranger, {recipe.next()});
    if (kind == 2) group.create_group(stranger);
    if (kind == 3) group.set(stranger, recipe.text());
  }
  return group;
}

/// A sealed checkpoint by recipe. Throws StoreError where HDF5 does not take a name.
std::vector<std::byte> cook(Recipe recipe) {
  const Layout layout = small_layout(3);
  const hdf5::File file = hdf5::File::create("cooked");
  const hdf5::Group root = file.root();
  set(root, "format", std::string("fcmnist_mpi checkpoint"), recipe);
  set(root, "format_version", std::int64_t{format_version}, recipe);
  set(root, "config_yaml", std::string("model:\n"), recipe);
  set(root, "hosts", std::vector<std::string>{"a", "b"}, recipe);
  if (recipe.next() != 1) {
    const hdf5::Group state = make_group(root, "state", recipe);
    for (const char* name : {"step", "epoch", "step_in_epoch", "samples_seen"}) {
      set(state, name, std::int64_t{7}, recipe);
    }
    set(state, "seed", std::uint64_t{1}, recipe);
    set(state, "labels_sha256", std::string(64, 'a'), recipe);
  }
  if (recipe.next() != 1) {
    const hdf5::Group evaluation = make_group(root, "evaluation", recipe);
    set(evaluation, "loss", 0.5, recipe);
    set(evaluation, "accuracy", 0.75, recipe);
  }
  if (recipe.next() != 1) {
    const hdf5::Group model = make_group(root, "model", recipe);
    for (const Slot& slot : layout.slots()) write_array(model, slot, recipe);
  }
  if (recipe.next() != 1) {
    const hdf5::Group momentum = make_group(make_group(root, "optimizer", recipe), "momentum_buffer", recipe);
    for (const Slot& slot : layout.slots()) write_array(momentum, slot, recipe);
  }
  std::vector<std::byte> bytes = file.image();
  bytes.resize(bytes.size() + seal_bytes);
  seal(bytes, format_version);
  return bytes;
}

void read_cooked(Bytes input) {
  std::vector<std::byte> bytes;
  try {
    bytes = cook(Recipe(input));
  } catch (const StoreError&) {
    return;
  }
  const fuzz::MemoryFile file({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  const bool accepted = read_everything(file.path());
  const bool right = std::ranges::all_of(input, [](std::uint8_t choice) { return choice == 0; });
  FCMNIST_CHECK(accepted || !right, "an intact checkpoint was refused");
}

}  // namespace
}  // namespace fcmnist::store

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fcmnist::store;
  const Bytes input(data, size);
  const auto text = fcmnist::fuzz::as_text(input);
  const bool is_file = text.starts_with("fcmnist_mpi ") || text.starts_with("\x89HDF");
  is_file ? read_file(input) : read_cooked(input);
  return 0;
}
