#pragma once

#include <cstdint>
#include <optional>

#include "comm/clock_offset.hpp"
#include "run/learner.hpp"
#include "setup/context.hpp"
#include "setup/settle.hpp"
#include "store/trace_file.hpp"
#include "train/span_recorder.hpp"

namespace fcmnist::run {

/// Records what every rank does in the steps that runconfig.trace_first_step and runconfig.trace_steps name.
class StepTrace {
 public:
  /// Spans of all ranks together, dealt to them evenly: rank 0 gathers them in memory, 40 bytes each.
  static constexpr std::size_t most_spans = std::size_t{1} << 21;

  /// All arguments must outlive it.
  StepTrace(const setup::Context& context, const setup::Settled& settled, Learner& learner);

  /// To be called when the steps that are done are known: says if the traced steps are not among the others.
  void say_if_never() const;
  /// This is the next step. Collective.
  void begin_step(std::int64_t step);
  /// What this rank has done between steps. Nothing happens if it is not to be recorded.
  void add(train::Activity activity, double begin_s, double end_s) {
    if (recorder_) recorder_->add(activity, begin_s, end_s);
  }
  [[nodiscard]] bool is_recording() const { return recorder_.has_value(); }
  /// Whether this is the last step to be recorded.
  [[nodiscard]] bool ends_with(std::int64_t step) const { return is_recording() && step == last_step_; }
  /// Ends the recording. Returns what was recorded on rank 0, if it is at least one step. Collective.
  std::optional<store::Trace> finish();

 private:
  const setup::Context* context_;
  const setup::Settled* settled_;
  Learner* learner_;
  std::int64_t first_step_, last_step_;  ///< of the recording
  std::optional<train::SpanRecorder> recorder_;
  ClockOffset before_;
};

/// "trace of steps 11 to 20: 2,480 spans of 8 ranks"
std::string describe(const store::Trace& trace);

}  // namespace fcmnist::run
