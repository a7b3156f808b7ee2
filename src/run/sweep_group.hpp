#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "comm/communicator.hpp"
#include "core/error.hpp"
#include "run/stop_signals.hpp"
#include "run/sweep_dir.hpp"
#include "setup/context.hpp"
#include "setup/data_shelf.hpp"

namespace fcmnist::run {

/// How many groups of ranks_per_trial ranks there are in this job, or in the one that is planned. Throws UsageError.
int groups_of(const setup::Context& sweep);

/// Throws UsageError if the command cannot start a sweep on this world.
void check_start(const setup::Context& sweep);

/// How many of them share a node.
int trials_on_node(const setup::Context& sweep);

/// The command line of a trial that would be a run of its own.
config::CommandLine arguments_of(const setup::Context& sweep, long trial);

/// One of the groups of ranks of a sweep, which trains one trial after the other. The ranks of a group walk through it
/// together; groups know of each other only by the files of the trials.
class SweepGroup {
 public:
  /// All arguments must outlive it.
  ///   sweep   the context of the whole job
  ///   shelf   the sets that trials share
  ///   number  of this group among all `groups`, those of other jobs of an array too
  SweepGroup(const setup::Context& sweep, StopSignals& signals, const comm::Communicator& group,
             const setup::DataShelf& shelf, long number, long groups);

  /// Trains these trials up to a step, or with 0 to their ends: each n-th first, whose outcome is compared with their
  /// settings, then all that have no outcome and that nobody else trains. Collective over the group.
  void train(std::span<const long> trials, std::int64_t up_to_step);
  /// The second half of this.
  void train_what_is_left(std::span<const long> trials, std::int64_t up_to_step);

  [[nodiscard]] bool is_stopped() const { return is_stopped_; }
  /// Of the last trial that failed, so that it is to be tried again.
  [[nodiscard]] ExitCode failure() const;

 private:
  enum class Turn { own, left_over };
  void train_if_open(long trial, std::int64_t up_to_step, Turn turn);
  [[nodiscard]] bool is_open(long trial, std::int64_t up_to_step, Turn turn);
  [[nodiscard]] bool has_ended(long trial, const std::string& settings) const;
  void run_trial(long trial, std::int64_t up_to_step);
  void train_trial(long trial, std::int64_t up_to_step, const setup::Context& context,
                   const std::string& settings);
  void conclude_with(long trial, const Error& error, const std::string& settings, Logger* log);
  void conclude(long trial, store::TrialState state, const std::string& reason, const std::string& settings);

  const setup::Context* context_;
  const config::SweepOptions* sweep_;
  StopSignals* signals_;
  const comm::Communicator* group_;
  const setup::DataShelf* shelf_;
  long number_, groups_;
  SweepDir directory_;
  std::shared_ptr<Logger> log_;  ///< of the sweep; silent but on the first rank of each group
  bool is_stopped_ = false;
  std::map<long, ExitCode> failures_;  ///< trials that this start could not train
};

/// "optimizer.learning_rate=0.1 runconfig.seed=2"
std::string describe(const std::vector<config::Override>& settings);

}  // namespace fcmnist::run
