#include "comm/stage_link.hpp"

namespace fcmnist::comm {

namespace {

constexpr int tags_per_purpose = 2;

/// How many matrices may be on their way in one direction: while a stage uses one, the next ones arrive.
constexpr std::size_t depth = 3;

}  // namespace

StageLink::StageLink(const Grid& grid, Purpose purpose, std::size_t inputs, std::size_t outputs,
                     std::size_t max_samples, bool give_way, std::size_t number_bytes) {
  if (grid.stages() == 1) return;
  const Communicator& replica = grid.of_replica();
  const int activation_tag = tags_per_purpose * static_cast<int>(purpose), gradient_tag = activation_tag + 1;
  const bool trains = purpose == Purpose::training;
  const PolledWait patience = PolledWait::in_step(replica.stall_watch(), give_way);
  if (!grid.is_first_stage()) {
    const int before = grid.stage() - 1;
    activation_in_.emplace(replica, before, activation_tag, max_samples * inputs * number_bytes, depth,
                           patience);
    if (trains)
      gradient_out_.emplace(replica, before, gradient_tag, max_samples * inputs * number_bytes, depth,
                            patience);
  }
  if (!grid.is_last_stage()) {
    const int next = grid.stage() + 1;
    activation_out_.emplace(replica, next, activation_tag, max_samples * outputs * number_bytes, depth,
                            patience);
    if (trains)
      gradient_in_.emplace(replica, next, gradient_tag, max_samples * outputs * number_bytes, depth,
                           patience);
  }
}

std::size_t StageLink::bytes(Purpose purpose, std::size_t neighbours_before, std::size_t neighbours_after,
                             std::size_t inputs, std::size_t outputs, std::size_t max_samples,
                             std::size_t number_bytes) {
  const std::size_t directions = purpose == Purpose::training ? 2 : 1;
  const std::size_t numbers = (neighbours_before * inputs + neighbours_after * outputs) * max_samples;
  return directions * depth * numbers * number_bytes;
}

void StageLink::begin(std::size_t microbatches) {
  if (activation_in_) activation_in_->expect(microbatches);
  if (gradient_in_) gradient_in_->expect(microbatches);
}

void StageLink::progress() {
  if (activation_out_) activation_out_->progress();
  if (gradient_out_) gradient_out_->progress();
}

void StageLink::finish() {
  if (activation_out_) activation_out_->flush();
  if (gradient_out_) gradient_out_->flush();
}

}  // namespace fcmnist::comm
