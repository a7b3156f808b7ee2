#include "store/hdf5.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <hdf5.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <bit>

#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/transpose.hpp"
#include "store/hdf5_calls.hpp"

namespace fcmnist::store::hdf5 {

static_assert(std::is_same_v<hid_t, Handle::Id> && std::is_same_v<herr_t, int>);

struct Handle::Owner {
  Id id;
  Close close;
  Owner(Id id_, Close close_) : id(id_), close(close_) {}
  Owner(const Owner&) = delete;
  Owner& operator=(const Owner&) = delete;
  ~Owner() { close(id); }  // a failure does no harm: the file is in memory
};

Handle::Handle(Id id, Close close) : owner_(std::make_shared<Owner>(id, close)) {}
Handle::Id Handle::id() const { return owner_->id; }

namespace {

const char* name_of(Type type) {
  switch (type) {
    case Type::float32:
      return "float32";
    case Type::float64:
      return "float64";
    case Type::uint8:
      return "uint8";
    case Type::int16:
      return "int16";
    case Type::int32:
      return "int32";
    case Type::int64:
      return "int64";
    case Type::uint64:
      return "uint64";
  }
  return "?";
}

constexpr Type all_types[] = {Type::float32, Type::float64, Type::uint8, Type::int16,
                              Type::int32,   Type::int64,   Type::uint64};

std::string with_shape(std::string_view type, const Shape& shape) {
  return shape.empty() ? fmt::format("{} scalar", type) : fmt::format("{} {}", type, fmt::join(shape, " x "));
}

bool stored_as(const Handle& dataset, Type type, std::string_view where) {
  const Handle found = own(H5Dget_type(dataset.id()), H5Tclose, "H5Dget_type", where);
  return check(H5Tequal(found.id(), stored(type)), "H5Tequal", where) > 0;
}

std::string describe_dataset(const Handle& dataset, std::string_view where) {
  const Handle space = own(H5Dget_space(dataset.id()), H5Sclose, "H5Dget_space", where);
  const Shape shape = shape_of_space(space, where);
  for (Type type : all_types) {
    if (stored_as(dataset, type, where)) return with_shape(name_of(type), shape);
  }
  return with_shape("another type", shape);
}

Handle in_memory_access() {
  constexpr std::size_t growth_bytes = std::size_t{1} << 20;
  // HDF5 must not print its error stack: the exception has the text.
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  Handle access = own(H5Pcreate(H5P_FILE_ACCESS), H5Pclose, "H5Pcreate", "HDF5");
  check(H5Pset_fapl_core(access.id(), growth_bytes, /*backing_store=*/false), "H5Pset_fapl_core", "HDF5");
  check(H5Pset_libver_bounds(access.id(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST), "H5Pset_libver_bounds",
        "HDF5");
  return access;
}

/// The name under which HDF5 knows a file in memory. HDF5 refuses an image with the name of a real file, so
/// no file can have this name. HDF5 takes two open files of one name for the same, so each place in memory
/// has its own name.
std::string name_in_memory(const void* place) { return fmt::format("/dev/null/{}", place); }

/// Datasets have no time stamps, so that the same content gives the same bytes.
Handle dataset_creation(const Shape& shape, std::size_t chunk_rows, std::string_view where) {
  Handle creation = own(H5Pcreate(H5P_DATASET_CREATE), H5Pclose, "H5Pcreate", where);
  check(H5Pset_obj_track_times(creation.id(), false), "H5Pset_obj_track_times", where);
  if (chunk_rows > 0) {
    std::vector<hsize_t> chunk(shape.begin(), shape.end());
    // HDF5 stores whole chunks, so a small table must not have large ones.
    chunk.at(0) = std::min<hsize_t>(chunk_rows, std::max<hsize_t>(1, chunk.at(0)));
    check(H5Pset_chunk(creation.id(), static_cast<int>(chunk.size()), chunk.data()), "H5Pset_chunk", where);
  }
  return creation;
}

}  // namespace

std::string describe(Type type, const Shape& shape) { return with_shape(name_of(type), shape); }

Group::Group(Handle file, Handle group, std::string file_name, std::string path, PlacedList placed)
    : file_(std::move(file)),
      group_(std::move(group)),
      file_name_(std::move(file_name)),
      path_(std::move(path)),
      placed_(std::move(placed)) {}

std::string Group::where(std::string_view name) const {
  return fmt::format("{}: {}/{}", file_name_, path_, name);
}

Group Group::create_group(std::string_view name) const {
  const std::string at = where(name);
  Handle made = own(H5Gcreate2(group_.id(), std::string(name).c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                    H5Gclose, "H5Gcreate2", at);
  return {file_, std::move(made), file_name_, fmt::format("{}/{}", path_, name), placed_};
}

Group Group::group(std::string_view name) const {
  const std::string found = describe(name);
  if (found != "a group") throw StoreError(fmt::format("{}: found {}, expected a group", where(name), found));
  Handle opened =
      own(H5Gopen2(group_.id(), std::string(name).c_str(), H5P_DEFAULT), H5Gclose, "H5Gopen2", where(name));
  return {file_, std::move(opened), file_name_, fmt::format("{}/{}", path_, name), placed_};
}

bool Group::has(std::string_view name) const {
  return check(H5Lexists(group_.id(), std::string(name).c_str(), H5P_DEFAULT), "H5Lexists", where(name)) > 0;
}

std::vector<std::string> Group::names() const {
  std::vector<std::string> names;
  const auto take = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  check(H5Literate(group_.id(), H5_INDEX_NAME, H5_ITER_INC, nullptr, take, &names), "H5Literate", where(""));
  return names;
}

void Group::write_dataset(std::string_view name, Type type, const Shape& shape, const void* data,
                          std::size_t chunk_rows) const {
  const std::string at = where(name);
  const Handle space = dataspace(shape, chunk_rows > 0, at);
  const Handle creation = dataset_creation(shape, chunk_rows, at);
  const Handle dataset = own(H5Dcreate2(group_.id(), std::string(name).c_str(), stored(type), space.id(),
                                        H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                             H5Dclose, "H5Dcreate2", at);
  check(H5Dwrite(dataset.id(), native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "H5Dwrite", at);
}

void Group::place_transposed(std::string_view name, MatrixView<const float> matrix) const {
  const std::span<const float> numbers(matrix.data, matrix.rows * matrix.cols);
  place_dataset(name, Type::float32, {matrix.cols, matrix.rows}, std::as_bytes(numbers), matrix.rows);
}

void Group::place_dataset(std::string_view name, Type type, const Shape& shape,
                          std::span<const std::byte> numbers, std::size_t transposed_rows) const {
  static_assert(std::endian::native == std::endian::little, "numbers in memory are as they are in files");
  const std::string at = where(name);
  const Handle space = dataspace(shape, false, at);
  const Handle creation = dataset_creation(shape, 0, at);
  check(H5Pset_alloc_time(creation.id(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time", at);
  check(H5Pset_fill_time(creation.id(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time", at);
  const Handle dataset = own(H5Dcreate2(group_.id(), std::string(name).c_str(), stored(type), space.id(),
                                        H5P_DEFAULT, creation.id(), H5P_DEFAULT),
                             H5Dclose, "H5Dcreate2", at);
  const hsize_t bytes = H5Dget_storage_size(dataset.id());
  FCMNIST_CHECK(bytes == numbers.size(), fmt::format("{}: {} of {} bytes", at, numbers.size(), bytes));
  const haddr_t offset = H5Dget_offset(dataset.id());
  if (offset == HADDR_UNDEF) call_failed("H5Dget_offset", at);
  placed_->push_back({offset, numbers, transposed_rows});
}

std::string Group::describe(std::string_view name) const {
  if (!has(name)) return "absent";
  const std::string at = where(name);
  const Handle object =
      own(H5Oopen(group_.id(), std::string(name).c_str(), H5P_DEFAULT), H5Oclose, "H5Oopen", at);
  switch (H5Iget_type(object.id())) {
    case H5I_GROUP:
      return "a group";
    case H5I_DATASET:
      return describe_dataset(object, at);
    default:
      return "another object";
  }
}

Shape Group::shape(std::string_view name) const {
  const std::string at = where(name);
  const Handle dataset = open_dataset(group_, name, at);
  return shape_of_space(own(H5Dget_space(dataset.id()), H5Sclose, "H5Dget_space", at), at);
}

void Group::read_dataset(std::string_view name, Type type, const Shape& shape, void* data) const {
  const std::string at = where(name);
  const std::string found = describe(name);
  const std::string expected = hdf5::describe(type, shape);
  if (found != expected) throw StoreError(fmt::format("{}: found {}, expected {}", at, found, expected));
  const Handle dataset = open_dataset(group_, name, at);
  check(H5Dread(dataset.id(), native(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "H5Dread", at);
}

void Group::make_scale(std::string_view dataset) const {
  const std::string at = where(dataset);
  const Handle object = open_dataset(group_, dataset, at);
  check(H5DSset_scale(object.id(), std::string(dataset).c_str()), "H5DSset_scale", at);
}

void Group::attach_scale(std::string_view dataset, const Group& group_of_scale, std::string_view scale,
                         unsigned dimension) const {
  const std::string at = where(dataset);
  const Handle object = open_dataset(group_, dataset, at);
  const Handle coordinate = open_dataset(group_of_scale.group_, scale, group_of_scale.where(scale));
  check(H5DSattach_scale(object.id(), coordinate.id(), dimension), "H5DSattach_scale", at);
}

File File::create(std::string name) {
  const Handle access = in_memory_access();
  const std::string hdf5_name = name_in_memory(&name);
  Handle file =
      own(H5Fcreate(hdf5_name.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.id()), H5Fclose, "H5Fcreate", name);
  return {std::move(file), std::move(name)};
}

File File::open(std::string name, std::span<const std::byte> image) {
  const Handle access = in_memory_access();
  // HDF5 copies the bytes; its interface is not const.
  check(H5Pset_file_image(access.id(), const_cast<std::byte*>(image.data()), image.size()),
        "H5Pset_file_image", name);
  const std::string hdf5_name = name_in_memory(image.data());
  Handle file = own(H5Fopen(hdf5_name.c_str(), H5F_ACC_RDONLY, access.id()), H5Fclose, "H5Fopen", name);
  return {std::move(file), std::move(name)};
}

Group File::root() const {
  Handle root = own(H5Gopen2(file_.id(), "/", H5P_DEFAULT), H5Gclose, "H5Gopen2", name_);
  return {file_, std::move(root), name_, "", placed_};
}

namespace {

/// HDF5 aligns no data to the size of their numbers.
void copy_to(std::byte* place, const Placed& placed) {
  const std::size_t rows = placed.transposed_rows;
  if (rows == 0) {
    std::ranges::copy(placed.numbers, place);
    return;
  }
  const std::size_t cols = placed.numbers.size() / sizeof(float) / rows;
  AlignedArray<float> turned(rows * cols);
  transpose({reinterpret_cast<const float*>(placed.numbers.data()), rows, cols}, {turned.data(), cols, rows});
  std::memcpy(place, turned.data(), placed.numbers.size());
}

}  // namespace

std::vector<std::byte> File::image() const {
  check(H5Fflush(file_.id(), H5F_SCOPE_GLOBAL), "H5Fflush", name_);
  const auto size = check(H5Fget_file_image(file_.id(), nullptr, 0), "H5Fget_file_image", name_);
  std::vector<std::byte> image(size);
  const auto got = check(H5Fget_file_image(file_.id(), image.data(), size), "H5Fget_file_image", name_);
  FCMNIST_CHECK(got == size, fmt::format("{}: {} of {} bytes", name_, got, size));
  for (const Placed& placed : *placed_) {
    FCMNIST_CHECK(placed.offset + placed.numbers.size() <= image.size(), fmt::format("{}", placed.offset));
    copy_to(image.data() + placed.offset, placed);
  }
  return image;
}

}  // namespace fcmnist::store::hdf5
