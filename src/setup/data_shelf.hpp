#pragma once

#include <memory>
#include <vector>

#include "data/options.hpp"
#include "setup/context.hpp"
#include "setup/datasets.hpp"

namespace fcmnist::setup {

/// Data sets that are read once per node, for several groups of ranks that train on them one after the other and side
/// by side.
class DataShelf {
 public:
  /// Reads a split for all ranks of the topology, which must outlive the shelf. Collective; all ranks throw the same
  /// DataError.
  void put(const comm::Topology& topology, const data::InputOptions& input, int num_classes, Role role,
           Logger& log);
  /// nullptr if it is not there.
  [[nodiscard]] std::shared_ptr<const LoadedSet> find(const data::InputOptions& input, int num_classes) const;

 private:
  struct Entry {
    data::InputOptions input;
    int num_classes;
    std::shared_ptr<const LoadedSet> set;
  };
  std::vector<Entry> entries_;
};

/// The split that `input` names, from the context's shelf or else as read_dataset() reads it. Collective; all ranks
/// throw the same DataError.
std::shared_ptr<const LoadedSet> dataset_for(const Context& context, const data::InputOptions& input,
                                             const data::DatasetShape& shape, Role role);

}  // namespace fcmnist::setup
