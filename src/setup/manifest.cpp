#include "setup/manifest.hpp"

#include <fmt/chrono.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "comm/session.hpp"
#include "core/build_info.hpp"
#include "data/batch_loader.hpp"
#include "kernels/gemm.hpp"

namespace fcmnist::setup {

namespace {

/// What the weights alone do not tell about the network: how to use them elsewhere.
void add_network(const config::RunConfig& config, store::Manifest& manifest) {
  manifest.add("pixel_scale", data::pixel_scale);
  manifest.add("pixel_mean", data::pixel_mean);
  manifest.add("pixel_deviation", data::pixel_deviation);
  manifest.add("activation", std::string("ReLU after each hidden layer, none after the last layer"));
  std::string dropped;
  if (config.model.input_dropout > 0.0) dropped = "on the normalised pixels";
  if (config.model.dropout.any()) {
    dropped += dropped.empty() ? "" : " and ";
    dropped += "after the activation of each hidden layer";
  }
  manifest.add("dropout_placement", dropped.empty() ? "none" : dropped + ", in training only");
}

}  // namespace

store::Manifest make_manifest(const config::RunConfig& config, std::span<const comm::RankPlacement> ranks,
                              int stages, const std::string& blas_core) {
  const BuildInfo build = build_info();
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
  manifest.add("blas", kernels::blas_info(config.kernels.gemm).config);
  manifest.add("blas_core", blas_core);
  manifest.add("started_utc", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now)));
  manifest.add("world_size", static_cast<std::int64_t>(ranks.size()));
  manifest.add("replicas", static_cast<std::int64_t>(ranks.size()) / stages);
  manifest.add("nodes", std::int64_t{nodes});
  manifest.add("hosts", hosts);
  manifest.add("blas_threads", std::int64_t{config.kernels.blas_threads});
  manifest.add("seed", std::to_string(config.run.seed));
  add_network(config, manifest);
  return manifest;
}

std::string distinct(std::span<const std::string> texts) {
  std::vector<std::string> kinds;
  for (const std::string& text : texts) {
    if (std::ranges::find(kinds, text) == kinds.end()) kinds.push_back(text);
  }
  return fmt::format("{}", fmt::join(kinds, ", "));
}

std::string name_and_version(const std::string& blas_config) {
  return blas_config.substr(0, blas_config.find(' ', blas_config.find(' ') + 1));
}

std::string manifest_changes(const store::Manifest& then, const store::Manifest& now,
                             std::span<const char* const> names) {
  std::vector<std::string> changes;
  for (const std::string_view name : names) {
    // The build options of OpenBLAS name the kernels, which are an entry of their own.
    const auto text = [&](const store::Manifest& manifest) -> std::string {
      const store::ManifestValue* value = manifest.find(name);
      const auto* words = value != nullptr ? std::get_if<std::string>(value) : nullptr;
      if (words == nullptr) return {};
      return name == "blas" ? name_and_version(*words) : *words;
    };
    const std::string was = text(then), is = text(now);
    if (!was.empty() && !is.empty() && was != is)
      changes.push_back(fmt::format("{} from {} to {}", name, was, is));
  }
  return fmt::format("{}", fmt::join(changes, ", "));
}

}  // namespace fcmnist::setup
