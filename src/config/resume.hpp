#pragma once

#include <string>
#include <vector>

#include "config/run_config.hpp"

namespace fcmnist::config {

/// A key whose value differs. A value is "not given" where another key says it.
struct Difference {
  std::string key;  ///< "section.key"
  std::string checkpointed;
  std::string now;
};

struct ResumeDifference {
  std::vector<Difference> forbidden;  ///< the run would no longer be the one that was checkpointed
  std::vector<Difference> allowed;
};

/// The differences between the configuration of a checkpoint and that of the run that resumes from it.
ResumeDifference resume_difference(const RunConfig& checkpointed, const RunConfig& now);

/// Throws one UsageError that names every forbidden difference with its old and new value. Returns one line for
/// each allowed difference.
std::vector<std::string> check_resume(const RunConfig& checkpointed, const RunConfig& now);

/// The keys that a resume may change, as "section.key", in the order of the table.
std::vector<std::string> resumable_keys();

}  // namespace fcmnist::config
