#pragma once

#include <optional>
#include <string>

#include "comm/topology.hpp"
#include "core/log.hpp"
#include "data/dataset.hpp"
#include "data/options.hpp"
#include "data/set_identity.hpp"
#include "store/manifest.hpp"
#include "train/shared_dataset.hpp"

namespace fcmnist::setup {

/// Sizes of the split that `input` names. If it is missing, one rank of the world fetches it first; one rank
/// of each node reads the headers. Collective; all ranks throw the same DataError.
data::DatasetShape find_dataset(const comm::Topology& topology, const data::InputOptions& input, Logger& log);

/// A split that was read, and what it is.
struct LoadedSet {
  train::SharedDataset samples;
  data::SetIdentity identity;  ///< on rank 0
};

/// What a split is read for.
enum class Role { training, test };

/// Images and labels of that split, read by one rank of each node; the log says what they are. `shape` is what
/// find_dataset() returned. Collective; all ranks throw the same DataError, also if nodes hold files of
/// different content. `topology` must outlive the data.
LoadedSet read_dataset(const comm::Topology& topology, const data::InputOptions& input,
                       const data::DatasetShape& shape, int num_classes, Role role, Logger& log);

/// "training set: MNIST, ..." in the log.
void say_set(const data::SetIdentity& identity, Role role, Logger& log);

/// Adds the entries training_set... or test_set..., which FORMAT.md describes.
void add_to_manifest(const data::SetIdentity& identity, Role role, store::Manifest& manifest);

/// Warns if a network was trained on one set and is tested on another; says nothing if that cannot be known.
void warn_of_other_set(const store::Manifest& trained, const data::SetIdentity& tested, Logger& log);

/// Whether the set is the one that the run of a checkpoint scores itself on, by its digests; nothing if that
/// cannot be known, as of made-up data and older files.
std::optional<bool> is_own_test_set(const store::Manifest& run, const data::SetIdentity& scored);
/// Says so in the log if it surely is not.
void say_other_test_set(const store::Manifest& run, const data::SetIdentity& scored, Logger& log);

/// Throws DataError unless both manifests, if they say so, name the same training images. That the labels are
/// the same is checked with the position of a resume.
void check_same_images(const store::Manifest& then, const store::Manifest& now, const std::string& data_dir);

}  // namespace fcmnist::setup
