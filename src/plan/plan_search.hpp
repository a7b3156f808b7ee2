#pragma once

#include <string>
#include <vector>

#include "comm/grid.hpp"
#include "config/plan_file.hpp"
#include "config/run_config.hpp"
#include "kernels/half_support.hpp"

namespace fcmnist::plan {

// Makes the plan that --compile_only writes. It measures what is fastest on this world: the library of each
// matrix product; with several stages, the layers of each; with several nodes, how many ranks of each send.
// Where instructions multiply 16-bit numbers (kernels/half_support.hpp) there is no library to choose.
//
// A choice differs from the configuration only if it gains more than noise (Comparison::is_gain). Libraries
// are chosen product by product, and then the step as a whole is compared.
//
// The orientation of a product is not a choice. Activations are units x samples. The only other way to compute
// the same memory without a copy is C^T = op(B)^T op(A)^T in column-major, which is the very call that a
// row-major GEMM makes.

struct FoundPlan {
  config::Plan plan;                ///< its target is empty
  std::vector<std::string> report;  ///< lines of a table: what was compared, and the gain of each choice
};

/// Takes a few seconds. Collective over the world; the same plan on every rank.
///   widths   widths of the model
///   samples  size of a microbatch
///   compute  what multiplies numbers of the precision on the slowest rank
FoundPlan search_plan(const config::RunConfig& config, const comm::Grid& grid,
                      const std::vector<std::size_t>& widths, std::size_t samples,
                      kernels::HalfCompute compute, bool give_way);

}  // namespace fcmnist::plan
