#pragma once

#include <span>
#include <string>

#include "comm/placement.hpp"
#include "config/run_config.hpp"
#include "store/manifest.hpp"

namespace fcmnist::setup {

/// What this run was: versions, build, hosts, world, BLAS kernels, seed. Written to every HDF5 file.
///   stages     into which the ranks are divided
///   blas_core  the kernels of all ranks, by distinct()
store::Manifest make_manifest(const config::RunConfig& config, std::span<const comm::RankPlacement> ranks,
                              int stages, const std::string& blas_core);

/// The texts of all ranks, each once, in rank order: "SkylakeX" when all ranks say so, "SkylakeX, Haswell" when
/// the world has processors of two kinds.
std::string distinct(std::span<const std::string> texts);

/// "OpenBLAS 0.3.21" of "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH ...", the entry `blas`.
std::string name_and_version(const std::string& blas_config);

/// Entries whose change since the checkpoint is worth a line; and entries that, besides configuration and world,
/// decide the bits of a result.
constexpr const char* noted_entries[] = {"version", "git_revision", "replicas"};
constexpr const char* bit_entries[] = {"blas", "blas_core", "build_architecture", "build_type", "compiler"};

/// Which of these entries differ: "blas_core from SkylakeX to Haswell, compiler from ... to ..."; empty if
/// none does. An entry that only one of the two has is passed over: another version wrote it.
std::string manifest_changes(const store::Manifest& then, const store::Manifest& now,
                             std::span<const char* const> names);

}  // namespace fcmnist::setup
