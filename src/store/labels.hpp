#pragma once

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "store/hdf5.hpp"

/// What tells readers about a dataset. Internal to `store`.
namespace fcmnist::store {

inline void label(const hdf5::Group& group, const std::string& dataset, const std::string& units,
                  const std::string& long_name) {
  group.set_on(dataset, "units", units);
  group.set_on(dataset, "long_name", long_name);
}

/// The coordinate 0, 1, ... of a dimension, as an HDF5 dimension scale.
inline void write_coordinate(const hdf5::Group& group, const std::string& name, std::size_t size,
                             const std::string& long_name) {
  std::vector<std::int64_t> numbers(size);
  std::iota(numbers.begin(), numbers.end(), 0);
  group.write(name, {size}, numbers.data());
  group.make_scale(name);
  label(group, name, "1", long_name);
}

}  // namespace fcmnist::store
