#pragma once

#include "core/log.hpp"
#include "data/fetch.hpp"

namespace fcmnist::data {

/// What the mode prepare_data does: fetches what is missing, then verifies the files of both sections
/// completely (headers, lengths, labels, checksums; equal image sizes) and logs one line for each, which says
/// whether the file is known. DataError as fetch_missing() and read_samples() throw it. Sections with fake
/// data need nothing and get a line that says so.
void prepare(const InputOptions& train, const InputOptions& test, int num_classes, Logger& logger,
             const KnownSet& known = mnist(), const DownloadLimits& limits = {});

}  // namespace fcmnist::data
