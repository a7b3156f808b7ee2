#pragma once

#include <string>
#include <vector>

#include "model/options.hpp"

namespace fcmnist::config {

/// The machine and the run that a plan was measured for.
struct PlanTarget {
  std::string cpu;                    ///< the models of the processors, each named once
  std::string libraries;              ///< the libraries that multiply matrices, and their kernels
  std::string precision = "float32";  ///< of the run, and what multiplies it: model::describe()
  int blas_threads = 1;
  std::vector<int> widths;  ///< features, units of each hidden layer, classes
  int microbatch = 1;       ///< samples that are computed at once
  int ranks = 1;
  int nodes = 1;
  int stages = 1;

  bool operator==(const PlanTarget&) const = default;
};

/// How a training step is carried out on one machine: what --compile_only writes and runconfig.plan names.
struct Plan {
  PlanTarget target;
  /// The libraries of each layer. Empty where instructions multiply 16-bit numbers, since no library does.
  std::vector<model::LayerGemms> gemm;
  int exchange_streams = 0;       ///< 0 on one node, because nothing is sent there
  std::vector<int> first_layers;  ///< the first layer of each stage; empty when there is one stage

  bool operator==(const Plan&) const = default;
};

/// Reads the text of a plan; `name` is for messages. Throws UsageError "<name>:<line>: ..." for the first
/// thing that is wrong.
Plan read_plan(const std::string& text, const std::string& name);

/// The text of a plan file. Reading it gives an equal plan.
std::string write_plan(const Plan& plan);

/// Why a plan cannot be used here: "cpu A, here B; ranks 2, here 4". Empty if it can.
std::string plan_mismatch(const PlanTarget& made_for, const PlanTarget& here);

/// The part of a plan that holds in another world on the same kind of machine: the libraries. With `reproducible`
/// the products have the same shapes on any number of ranks, and other libraries would give other bits.
Plan libraries_of_plan(Plan plan, const PlanTarget& here);

}  // namespace fcmnist::config
