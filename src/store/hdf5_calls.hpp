#pragma once

#include <hdf5.h>

#include <string>
#include <string_view>

#include "store/hdf5.hpp"

/// Checked calls of the C library, and its types, for the sources of this wrapper. Internal to `store`.
namespace fcmnist::store::hdf5 {

/// Throws a StoreError with the cause that HDF5 recorded.
[[noreturn]] void call_failed(std::string_view call, std::string_view where);

/// Returns the status of the function that `call` names. Throws if it is negative.
template <class Status>
Status check(Status status, std::string_view call, std::string_view where) {
  if (status < 0) call_failed(call, where);
  return status;
}

/// Takes over the object that the function `call` has opened or created. Throws if `id` is negative.
inline Handle own(hid_t id, herr_t (*close)(hid_t), std::string_view call, std::string_view where) {
  return {check(id, call, where), close};
}

/// HDF5's name for a number type in memory, and in files.
hid_t native(Type type);
hid_t stored(Type type);

/// The type of UTF-8 text of any length.
Handle text_type(std::string_view where);
Handle dataspace(const Shape& shape, bool extendible, std::string_view where);
Shape shape_of_space(const Handle& space, std::string_view where);
Handle open_dataset(const Handle& group, std::string_view name, std::string_view where);

}  // namespace fcmnist::store::hdf5
