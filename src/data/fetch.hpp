#pragma once

#include "core/log.hpp"
#include "data/download.hpp"
#include "data/known_set.hpp"
#include "data/options.hpp"

namespace fcmnist::data {

/// Makes sure that the files of `options.split` are there; to be called by one rank.
///
/// With fake data or when both files are there, does nothing. Without `options.download`, throws what
/// locate() throws. Otherwise every missing file of the whole known set (both splits) is downloaded into
/// data_dir, which is created, or into data_dir/MNIST/raw if files of the set are there: from the mirrors in
/// order, under a temporary name, renamed only once the SHA-256 of the content is right. Jobs that share a
/// data_dir do this one after the other, and what a killed job left is removed. Files that are there already
/// must be of the set: no mixture is ever made. DataError: data_dir cannot be made or written, the disk is
/// full, files of another set are in the way, or no mirror gives the file (lists each with its reason).
void fetch_missing(const InputOptions& options, Logger& logger, const KnownSet& known = mnist(),
                   const DownloadLimits& limits = {});

}  // namespace fcmnist::data
