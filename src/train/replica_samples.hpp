#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "config/run_config.hpp"
#include "data/dataset.hpp"
#include "data/epoch_order.hpp"
#include "data/epoch_plan.hpp"
#include "train/microbatches.hpp"

namespace fcmnist::train {

/// The samples of each step, and those of them that one replica computes, cut into microbatches: a function
/// of (seed, step), whoever computes it.
class ReplicaSamples {
 public:
  /// `plan` must outlive it. The validation samples of `dataset` are left out.
  ReplicaSamples(const config::RunConfig& config, const data::Dataset& dataset, const data::EpochPlan& plan,
                 const Microbatches& microbatches, int replica);

  struct Step {
    std::uint32_t epoch = 0;
    std::span<const std::uint32_t> ids;  ///< the samples that all replicas compute
    std::size_t microbatches = 0;        ///< how many this replica computes
  };
  /// Step `number`, from 0. Valid until the next call.
  [[nodiscard]] Step at(std::int64_t number);
  /// The samples of this replica's n-th microbatch.
  [[nodiscard]] std::span<const std::uint32_t> microbatch(const Step& step, std::size_t n) const;

 private:
  const data::EpochPlan* plan_;
  data::EpochOrder order_;
  Microbatches microbatches_;
  int replica_;
};

}  // namespace fcmnist::train
