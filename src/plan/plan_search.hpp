#pragma once

#include <string>
#include <vector>

#include "comm/grid.hpp"
#include "config/plan_file.hpp"
#include "config/run_config.hpp"
#include "kernels/half_support.hpp"

namespace fcmnist::plan {

// Measures what is fastest on this world: the library of each matrix product, with several stages the layers
// of each, with several nodes the ranks that send. (The orientation of a product is not a choice: activations
// are units x samples, and the other way to compute the same memory without a copy, C^T = op(B)^T op(A)^T in
// column-major, is the very call that a row-major GEMM makes; it has the same time and bits.)
//
// Where halves are multiplied by instructions (kernels/half_support.hpp) there is no library to choose.
//
// What the configuration says is changed only for a gain that is more than noise (Comparison::is_gain), first
// product by product and then for the step as a whole.

struct FoundPlan {
  config::Plan plan;                ///< without a target
  std::vector<std::string> report;  ///< a table: what was compared, and the gain of each choice
};

/// Takes a few seconds. Collective over the world; the same plan on every rank.
///   widths   of the model
///   samples  of a microbatch
///   compute  what multiplies numbers of the precision on the slowest rank
FoundPlan search_plan(const config::RunConfig& config, const comm::Grid& grid,
                      const std::vector<std::size_t>& widths, std::size_t samples,
                      kernels::HalfCompute compute, bool give_way);

}  // namespace fcmnist::plan
