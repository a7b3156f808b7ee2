#pragma once

#include "core/log.hpp"
#include "data/download.hpp"
#include "data/known_set.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

/// Makes sure that the files of `options.split` are there. One rank calls it.
///
/// With fake data, or if both files are there, it does nothing. Without `options.download` it throws what
/// locate() throws. Otherwise every missing file of the whole known set (both splits) is downloaded into
/// data_dir, which is created, or into data_dir/MNIST/raw if files of the set are there: from the mirrors in
/// order. A file has a temporary name until the SHA-256 of its content is right. Jobs that share a data_dir
/// do this one after the other, and remove what a killed job left. Files that are there already must be files
/// of the set: sets are never mixed. Throws DataError if data_dir cannot be made or written, if the disk is
/// full, if files of another set are in the way, or if no mirror has the file; then it lists each mirror with
/// its reason.
void fetch_missing(const InputOptions& options, Logger& logger, const KnownSet& known = mnist(),
                   const DownloadLimits& limits = {});

}  // namespace fcmnist::data
