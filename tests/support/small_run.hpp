#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "comm/clock.hpp"
#include "comm/communicator.hpp"
#include "comm/session.hpp"
#include "config/command_line.hpp"
#include "setup/context.hpp"
#include "store/support.hpp"

namespace fcmnist::test {

/// A directory that all ranks of a group see, removed at the end. Collective.
class CommonDirectory {
 public:
  explicit CommonDirectory(const comm::Communicator& group) : group_(&group) {
    if (group.rank() == 0) mine_.emplace();
    path_ = group.broadcast(mine_ ? mine_->path().string() : std::string(), 0);
  }
  CommonDirectory(const CommonDirectory&) = delete;
  CommonDirectory& operator=(const CommonDirectory&) = delete;
  ~CommonDirectory() { group_->barrier(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  const comm::Communicator* group_;
  std::optional<TemporaryDirectory> mine_;
  std::filesystem::path path_;
};

/// A context of a short run of a small model on made-up patterns, as the command line would make it.
/// Collective over `group`.
class SmallRun {
 public:
  SmallRun(const comm::Communicator& group, const std::string& model_dir,
           const std::vector<std::string>& words = {})
      : arguments_(parse(model_dir, words)), context_(group, arguments_, comm::now_s()) {}

  [[nodiscard]] const setup::Context& context() const { return context_; }

 private:
  static config::CommandLine parse(const std::string& model_dir, const std::vector<std::string>& words) {
    std::vector<std::string> all = {"fcmnist_mpi",
                                    "--logging",
                                    "error",
                                    "-o",
                                    model_dir,
                                    "--max_steps",
                                    "6",
                                    "train_input.use_fake_data=True",
                                    "eval_input.use_fake_data=True",
                                    "model.hidden_sizes=[12,8]",
                                    "optimizer.momentum=0.9",
                                    "runconfig.reproducible=True",
                                    "runconfig.microbatch=16"};
    for (const std::string& word : words) {  // a setting takes the place of ours
      const std::string key = word.substr(0, word.find('=') + 1);
      if (!key.empty()) std::erase_if(all, [&](const std::string& other) { return other.starts_with(key); });
      all.push_back(word);
    }
    std::vector<const char*> argv;
    for (const std::string& word : all) argv.push_back(word.c_str());
    return config::parse_command_line(static_cast<int>(argv.size()), argv.data());
  }

  config::CommandLine arguments_;
  setup::Context context_;
};

}  // namespace fcmnist::test
