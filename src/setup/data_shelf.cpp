#include "setup/data_shelf.hpp"

#include <utility>

#include "comm/host_memory.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::setup {

namespace {

/// Whether both name the same samples. How they are batched and distorted does not matter.
bool is_same_split(const data::InputOptions& one, const data::InputOptions& other) {
  if (one.split != other.split || one.use_fake_data != other.use_fake_data) return false;
  return one.use_fake_data || one.data_dir == other.data_dir;
}

/// What rank 0 knows of a set, for the first ranks of all groups.
void share_identity(const comm::Communicator& world, const data::InputOptions& input, LoadedSet& loaded) {
  data::SetIdentity& identity = loaded.identity;
  const auto of_root = [&](const std::string& text) { return world.broadcast(text, 0); };
  const data::DatasetFiles files = {of_root(identity.files.images.string()),
                                    of_root(identity.files.labels.string())};
  const data::FileDigests digests = {of_root(identity.digests.images), of_root(identity.digests.labels)};
  const data::DatasetShape shape = world.broadcast(identity.shape, 0);
  if (world.rank() != 0) identity = data::identify(input.split, files, digests, shape, loaded.samples.view());
}

}  // namespace

void DataShelf::put(const comm::Topology& topology, const data::InputOptions& input, int num_classes,
                    Role role, Logger& log) {
  const data::DatasetShape shape = find_dataset(topology, input, log);
  comm::check_shared_memory(topology, topology.is_leader() ? train::SharedDataset::bytes(shape) : 0);
  LoadedSet loaded = read_dataset(topology, input, shape, num_classes, role, log);
  share_identity(topology.world(), input, loaded);
  entries_.push_back({input, num_classes, std::make_shared<const LoadedSet>(std::move(loaded))});
}

std::shared_ptr<const LoadedSet> DataShelf::find(const data::InputOptions& input, int num_classes) const {
  for (const Entry& entry : entries_) {
    if (entry.num_classes == num_classes && is_same_split(entry.input, input)) return entry.set;
  }
  return nullptr;
}

std::shared_ptr<const LoadedSet> dataset_for(const Context& context, const data::InputOptions& input,
                                             const data::DatasetShape& shape, Role role) {
  const int num_classes = context.config().model.num_classes;
  if (const DataShelf* shelf = context.common().shelf) {
    if (auto found = shelf->find(input, num_classes)) {
      say_set(found->identity, role, context.log());
      return found;
    }
  }
  return std::make_shared<const LoadedSet>(
      read_dataset(context.topology(), input, shape, num_classes, role, context.log()));
}

}  // namespace fcmnist::setup
