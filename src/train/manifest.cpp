#include "train/manifest.hpp"

#include <fmt/chrono.h>

#include <algorithm>
#include <chrono>

#include "comm/session.hpp"
#include "core/build_info.hpp"
#include "kernels/gemm.hpp"

namespace fcmnist::train {

store::Manifest make_manifest(const config::RunConfig& config, std::span<const comm::RankPlacement> ranks,
                              int stages) {
  const BuildInfo build = build_info();
  const kernels::BlasInfo blas = kernels::blas_info(config.kernels.gemm);
  std::vector<std::string> hosts;
  int nodes = 0;
  for (const comm::RankPlacement& rank : ranks) {
    hosts.push_back(rank.host);
    nodes = std::max(nodes, rank.node + 1);
  }
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  store::Manifest manifest;
  manifest.add("program", std::string("fcmnist_mpi"));
  manifest.add("version", build.version);
  manifest.add("git_revision", build.git_revision);
  manifest.add("build_type", build.build_type);
  manifest.add("build_architecture", build.architecture);
  manifest.add("compiler", build.compiler);
  manifest.add("mpi", comm::mpi_version());
  manifest.add("blas", blas.config);
  manifest.add("blas_core", blas.core);
  manifest.add("started_utc", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now)));
  manifest.add("world_size", static_cast<std::int64_t>(ranks.size()));
  manifest.add("replicas", static_cast<std::int64_t>(ranks.size()) / stages);
  manifest.add("nodes", std::int64_t{nodes});
  manifest.add("hosts", hosts);
  manifest.add("blas_threads", std::int64_t{config.kernels.blas_threads});
  manifest.add("seed", std::to_string(config.run.seed));
  return manifest;
}

}  // namespace fcmnist::train
