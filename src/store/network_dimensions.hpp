#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/layout.hpp"
#include "store/hdf5.hpp"

namespace fcmnist::store {

/// Whether a slot of the network is a bias, which files have as a vector.
bool is_bias(const Slot& slot);

/// The dimensions of the arrays of a network as HDF5 dimension scales: `pixel`, the units of each hidden layer
/// `hidden_0`, `hidden_1` ..., and `class`. They are coordinates 0, 1, ... in the root, so that the groups of the
/// arrays hold nothing else. xarray and netCDF show them as names of the dimensions. Internal to `store`.
class NetworkDimensions {
 public:
  /// Writes them. `root` must outlive it.
  NetworkDimensions(const hdf5::Group& root, const Layout& layout);

  /// Names the dimensions of an array in `group`: that of the slot with this index in the layout.
  void attach_to(const hdf5::Group& group, std::string_view array, std::size_t slot) const;

 private:
  const hdf5::Group* root_;
  /// Of each slot, the names of its dimensions: one for a bias, two for a weight.
  std::vector<std::vector<std::string>> names_;
};

}  // namespace fcmnist::store
