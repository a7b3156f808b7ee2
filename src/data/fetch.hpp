#pragma once

#include "core/log.hpp"
#include "data/download.hpp"
#include "data/known_set.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

/// Makes sure that the files of `options.split` are there. One rank calls it.
///
/// With fake data, or if both files are there, it does nothing. Without `options.download` it throws what
/// locate() throws. Otherwise every missing file of the whole known set (both splits) is downloaded, from the
/// mirrors in order, into a directory where only this set can be meant: a data_dir that is absent or empty, or
/// one of search_directories() whose IDX files are all of the set. If anything else lies in data_dir, it throws
/// what locate() throws. A file has a temporary name until the SHA-256 of its content is right. Jobs that share
/// a data_dir do this one after the other, and remove what a killed job left. What fails leaves no directory
/// behind that was not there before. Throws DataError if data_dir cannot be made or written, if the disk is
/// full, if files of another set are in the way, or if no mirror has the file; then it lists each mirror with
/// its reason.
void fetch_missing(const InputOptions& options, Logger& logger, const KnownSet& known = mnist(),
                   const DownloadLimits& limits = {});

}  // namespace fcmnist::data
