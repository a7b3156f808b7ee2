#pragma once

#include <string>
#include <vector>

#include "model/options.hpp"

namespace fcmnist::config {

/// What a plan was measured on and for.
struct PlanTarget {
  std::string cpu;                    ///< models of the processors, each once
  std::string libraries;              ///< that multiply matrices, with their kernels
  std::string precision = "float32";  ///< and what multiplies halves: model::describe()
  int blas_threads = 1;
  std::vector<int> widths;  ///< of the model: features, units of every hidden layer, classes
  int microbatch = 1;       ///< samples that are computed at once
  int ranks = 1;
  int nodes = 1;
  int stages = 1;

  bool operator==(const PlanTarget&) const = default;
};

/// How a training step is carried out on one machine: what --compile_only writes and runconfig.plan names.
struct Plan {
  PlanTarget target;
  /// Of every layer; empty where halves are multiplied by instructions, and so by no library.
  std::vector<model::LayerGemms> gemm;
  int exchange_streams = 0;       ///< 0 on one node, where nothing is sent
  std::vector<int> first_layers;  ///< of every stage; empty with one

  bool operator==(const Plan&) const = default;
};

/// Reads the text of a plan; `name` is for messages. Throws UsageError "<name>:<line>: ..." for the first
/// thing that is wrong.
Plan read_plan(const std::string& text, const std::string& name);

/// Reading it gives an equal plan.
std::string write_plan(const Plan& plan);

/// What speaks against using a plan: "cpu A, here B; ranks 2, here 4"; empty: nothing.
std::string plan_mismatch(const PlanTarget& made_for, const PlanTarget& here);

/// What is left of a plan in another world on the same kind of machine: the libraries. With `reproducible`
/// the products have the same shapes on any number of ranks, and other libraries would give other bits.
Plan libraries_of_plan(Plan plan, const PlanTarget& here);

}  // namespace fcmnist::config
