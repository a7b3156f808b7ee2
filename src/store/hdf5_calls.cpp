#include "store/hdf5_calls.hpp"

#include <fmt/format.h>

#include <vector>

#include "core/error.hpp"

namespace fcmnist::store::hdf5 {

namespace {

/// The cause of a failure, which is the innermost entry of HDF5's error stack.
std::string error_stack_text() {
  std::string text;
  const auto take_first = [](unsigned n, const H5E_error2_t* entry, void* out) -> herr_t {
    if (n == 0 && entry->desc != nullptr) *static_cast<std::string*>(out) = entry->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_first, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "no further information" : text;
}

}  // namespace

void call_failed(std::string_view call, std::string_view where) {
  throw StoreError(
      fmt::format("{}: {} failed: {}", where, call, error_stack_text()),
      "the file may come from another program or version; if it was written by this run, report it");
}

hid_t native(Type type) {
  switch (type) {
    case Type::float32:
      return H5T_NATIVE_FLOAT;
    case Type::float64:
      return H5T_NATIVE_DOUBLE;
    case Type::uint8:
      return H5T_NATIVE_UINT8;
    case Type::int16:
      return H5T_NATIVE_INT16;
    case Type::int32:
      return H5T_NATIVE_INT32;
    case Type::int64:
      return H5T_NATIVE_INT64;
    case Type::uint64:
      return H5T_NATIVE_UINT64;
  }
  return H5I_INVALID_HID;
}

hid_t stored(Type type) {
  switch (type) {
    case Type::float32:
      return H5T_IEEE_F32LE;
    case Type::float64:
      return H5T_IEEE_F64LE;
    case Type::uint8:
      return H5T_STD_U8LE;
    case Type::int16:
      return H5T_STD_I16LE;
    case Type::int32:
      return H5T_STD_I32LE;
    case Type::int64:
      return H5T_STD_I64LE;
    case Type::uint64:
      return H5T_STD_U64LE;
  }
  return H5I_INVALID_HID;
}

Handle text_type(std::string_view where) {
  Handle type = own(H5Tcopy(H5T_C_S1), H5Tclose, "H5Tcopy", where);
  check(H5Tset_size(type.id(), H5T_VARIABLE), "H5Tset_size", where);
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "H5Tset_cset", where);
  return type;
}

Handle dataspace(const Shape& shape, bool extendible, std::string_view where) {
  const std::vector<hsize_t> now(shape.begin(), shape.end());
  std::vector<hsize_t> most = now;
  if (extendible) most.at(0) = H5S_UNLIMITED;
  const int rank = static_cast<int>(shape.size());
  return own(H5Screate_simple(rank, now.data(), most.data()), H5Sclose, "H5Screate_simple", where);
}

Shape shape_of_space(const Handle& space, std::string_view where) {
  const int rank = check(H5Sget_simple_extent_ndims(space.id()), "H5Sget_simple_extent_ndims", where);
  std::vector<hsize_t> dims(rank);
  check(H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr), "H5Sget_simple_extent_dims", where);
  return {dims.begin(), dims.end()};
}

Handle open_dataset(const Handle& group, std::string_view name, std::string_view where) {
  return own(H5Dopen2(group.id(), std::string(name).c_str(), H5P_DEFAULT), H5Dclose, "H5Dopen2", where);
}

}  // namespace fcmnist::store::hdf5
