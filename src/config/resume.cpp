#include "config/resume.hpp"

#include <fmt/format.h>

#include "config/keys.hpp"
#include "core/error.hpp"

namespace fcmnist::config {

ResumeDifference resume_difference(const RunConfig& checkpointed, const RunConfig& now) {
  const auto text = [](const Key& key, const RunConfig& config) {
    std::string value = key.write(config);
    return value.empty() ? std::string("not given") : value;
  };
  ResumeDifference difference;
  for (const Key& key : all_keys()) {
    if (key.kind != KeyKind::active) continue;
    Difference found{key.full_name(), text(key, checkpointed), text(key, now)};
    if (found.checkpointed == found.now) continue;
    (key.resume_may_change ? difference.allowed : difference.forbidden).push_back(std::move(found));
  }
  return difference;
}

std::vector<std::string> check_resume(const RunConfig& checkpointed, const RunConfig& now) {
  const ResumeDifference difference = resume_difference(checkpointed, now);
  if (!difference.forbidden.empty()) {
    std::string what = "the checkpoint to resume from was made with other settings:";
    for (const Difference& d : difference.forbidden) {
      what += fmt::format("\n  {}: {} in the checkpoint, {} now", d.key, d.checkpointed, d.now);
    }
    throw UsageError(what, "train in another -o/--model_dir, or start over with --restart");
  }
  std::vector<std::string> lines;
  for (const Difference& d : difference.allowed) {
    lines.push_back(fmt::format("{}: {} in the checkpoint, {} from here on", d.key, d.checkpointed, d.now));
  }
  return lines;
}

std::vector<std::string> resumable_keys() {
  std::vector<std::string> names;
  for (const Key& key : all_keys()) {
    if (key.resume_may_change) names.push_back(key.full_name());
  }
  return names;
}

}  // namespace fcmnist::config
