#pragma once

#include "core/log.hpp"
#include "data/fetch.hpp"

namespace fcmnist::data {

/// Does what the mode prepare_data is for. It fetches the files that are missing and verifies those of both
/// sections completely: headers, lengths, labels, checksums, and equal image sizes. It logs one line for each
/// file, which says whether the file is known. Throws the DataErrors of fetch_missing() and read_samples(). A
/// section with fake data needs no files, and its line says so.
void prepare(const InputOptions& train, const InputOptions& test, int num_classes, Logger& logger,
             const KnownSet& known = mnist(), const DownloadLimits& limits = {});

}  // namespace fcmnist::data
