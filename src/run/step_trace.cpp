#include "run/step_trace.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace fcmnist::run {

namespace {

/// "fc_layers.0", "fc_layers.1", "last_layer"
std::vector<std::string> names_of_layers(const Layout& layout) {
  std::vector<std::string> names;
  for (const Slot& slot : layout.slots()) {
    const std::string layer = slot.name.substr(0, slot.name.rfind('.'));
    if (names.empty() || names.back() != layer) names.push_back(layer);
  }
  return names;
}

std::vector<store::Span> gather_spans(const comm::Communicator& world, std::span<const store::Span> mine) {
  const std::vector<std::byte> bytes = world.gather(std::as_bytes(mine), 0);
  std::vector<store::Span> all(bytes.size() / sizeof(store::Span));
  if (!bytes.empty()) std::memcpy(all.data(), bytes.data(), bytes.size());
  return all;
}

}  // namespace

StepTrace::StepTrace(const setup::Context& context, const setup::Settled& settled, Learner& learner)
    : context_(&context),
      settled_(&settled),
      learner_(&learner),
      first_step_(settled.config.run.trace_first_step),
      last_step_(first_step_ + settled.config.run.trace_steps - 1) {}

void StepTrace::say_if_never() const {
  if (settled_->config.run.trace_steps == 0) return;
  if (first_step_ <= learner_->steps_done()) {
    context_->log().info("no trace: step {} (runconfig.trace_first_step) is done", first_step_);
  } else if (first_step_ > learner_->total_steps()) {
    context_->log().warn("no trace: the run ends before step {} (runconfig.trace_first_step)", first_step_);
  }
}

void StepTrace::begin_step(std::int64_t step) {
  if (step == first_step_ && first_step_ <= last_step_) {
    before_ = comm::compare_clocks(context_->world());
    const comm::Communicator& world = context_->world();
    recorder_.emplace(world.rank(), most_spans / static_cast<std::size_t>(world.size()));
    learner_->trace_into(&*recorder_);
  }
  if (recorder_) recorder_->set_step(step);
}

std::optional<store::Trace> StepTrace::finish() {
  if (!recorder_) return std::nullopt;
  learner_->trace_into(nullptr);
  struct OfRank {
    int replica, stage;
    ClockOffset before, after;
  };
  const comm::Communicator& world = context_->world();
  const comm::Grid& grid = context_->grid();
  const auto ranks =
      world.all_gather(OfRank{grid.replica(), grid.stage(), before_, comm::compare_clocks(world)});
  const std::int64_t last_whole_step = world.min(recorder_->last_whole_step());
  std::vector<store::Span> spans = gather_spans(world, recorder_->spans());
  recorder_.reset();
  if (!context_->is_root()) return std::nullopt;

  store::Trace trace;
  if (std::erase_if(spans, [&](const store::Span& span) { return span.step > last_whole_step; }) > 0) {
    context_->log().warn("the trace ends with step {}: a rank may have {} spans", last_whole_step,
                         most_spans / ranks.size());
  }
  if (spans.empty()) return std::nullopt;
  trace.spans = std::move(spans);
  const auto names = train::activity_names();
  trace.activities.assign(names.begin(), names.end());
  trace.layers = names_of_layers(settled_->mlp.network_layout());
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const comm::RankPlacement& place = context_->placement()[r];
    trace.ranks.push_back({place.host, fmt::format("{}", fmt::join(place.cores, " ")), ranks[r].replica,
                           ranks[r].stage, ranks[r].before, ranks[r].after});
  }
  align_clocks(trace);
  return trace;
}

std::string describe(const store::Trace& trace) {
  const auto [first, last] = std::ranges::minmax_element(trace.spans, {}, &store::Span::step);
  return fmt::format("trace of steps {} to {}: {} spans of {} rank{}", first->step, last->step,
                     trace.spans.size(), trace.ranks.size(), trace.ranks.size() == 1 ? "" : "s");
}

}  // namespace fcmnist::run
