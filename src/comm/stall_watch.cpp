#include "comm/stall_watch.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

#include "comm/clock.hpp"
#include "comm/mpi_handle.hpp"
#include "core/error.hpp"

namespace fcmnist::comm {

namespace {

constexpr double never_s = -std::numeric_limits<double>::infinity();

// All other messages between two ranks must not be taken for notes. They go through communicators of their
// own, and the notes have the largest tag that every MPI has.
constexpr int note_tag = 32'767;

std::string rank_or_ranks(const std::vector<std::size_t>& ranks) {
  return fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s", fmt::join(ranks, ", "));
}

}  // namespace

void warn_of_stall(const std::vector<std::size_t>& missing, double waited_s) {
  fmt::print(stderr, "fcmnist_mpi: warning: waiting for {} for {:g} s\n",
             missing.empty() ? "a message, with all other ranks," : rank_or_ranks(missing), waited_s);
}

CommError stall_error(const std::vector<std::size_t>& missing, double timeout_s, double work_s) {
  const std::string time = fmt::format("{:g} s (runconfig.stall_timeout{})", work_s + timeout_s,
                                       work_s > 0 ? fmt::format(" after {:g} s for work", work_s) : "");
  if (missing.empty()) {
    return CommError(fmt::format("all ranks wait for each other for {}: none is missing", time),
                     "a message was lost: is the network up?");
  }
  return CommError(fmt::format("{} {} not arrived for {}", rank_or_ranks(missing),
                               missing.size() == 1 ? "has" : "have", time),
                   "the rank has died, is stopped, or its node is overloaded");
}

StallWatch::StallWatch(std::unique_ptr<World> world)
    : world_(std::move(world)), clock_(now_s), heard_s_(world_->notes.size(), never_s) {}

StallWatch::~StallWatch() = default;

/// A stopped rank takes no notes. It gets no further note before it has taken the last one.
void StallWatch::send_notes() {
  for (std::size_t rank = 0; rank < world_->notes.size(); ++rank) {
    if (rank == world_->rank) continue;
    MPI_Request& note = world_->notes[rank];
    int sent = 0;
    FCMNIST_MPI(MPI_Test(&note, &sent, MPI_STATUS_IGNORE));
    if (sent == 0) continue;
    FCMNIST_MPI(MPI_Isend(nullptr, 0, MPI_BYTE, static_cast<int>(rank), note_tag, world_->comm, &note));
  }
}

void StallWatch::receive_notes(double waited_s) {
  for (;;) {
    int found = 0;
    MPI_Status status;
    FCMNIST_MPI(MPI_Iprobe(MPI_ANY_SOURCE, note_tag, world_->comm, &found, &status));
    if (found == 0) return;
    FCMNIST_MPI(MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, note_tag, world_->comm, MPI_STATUS_IGNORE));
    heard_s_[static_cast<std::size_t>(status.MPI_SOURCE)] = waited_s;
  }
}

void StallWatch::print_error(const Error& error) const {
  std::fflush(stdout);
  fmt::print(stderr, "fcmnist_mpi: error: [rank {}] {}\n", world_->rank, error.what());
}

void StallWatch::end_world(const Error& error) const {
  print_error(error);
  MPI_Abort(world_->comm, static_cast<int>(error.code()));
  std::abort();
}

void StallWatch::end_process(const Error& error) const {
  print_error(error);
  std::_Exit(static_cast<int>(error.code()));
}

StallWatch::Wait::Wait(StallWatch& watch, double work_s)
    : watch_(&watch),
      work_s_(work_s),
      times_(watch.timeout_s_),
      waited_s_(-work_s),
      last_turn_s_(watch.clock_()) {}

void StallWatch::Wait::take_turn() {
  const double now = watch_->clock_();
  waited_s_ += std::min(now - last_turn_s_, times_.beat_s);
  last_turn_s_ = now;
  watch_->receive_notes(waited_s_);
  if (waited_s_ >= (beats_ + 1) * times_.beat_s) end_beat();
  // In so long a wait some microseconds do not matter, and the working ranks need the cores.
  if (beats_ > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void StallWatch::Wait::end_beat() {
  // Notes that came before may be those of an earlier stall. Ranks that still wait will send new ones.
  if (beats_++ == 0) std::ranges::fill(watch_->heard_s_, never_s);
  watch_->send_notes();

  int waiting_below = 0;
  for (std::size_t rank = 0; rank < watch_->world_->rank; ++rank) waiting_below += is_waiting(rank) ? 1 : 0;
  if (waiting_below == 0 && !has_warned_ && waited_s_ > times_.warning_s) print_warning();
  if (waited_s_ <= times_.timeout_s) return;
  if (!missing_) {
    missing_ = missing_ranks();
    // The lowest waiting rank throws at once, and each further one a little later than the one before it.
    throw_at_s_ = waited_s_ + waiting_below * times_.to_end_world_s;
  }
  if (waited_s_ >= throw_at_s_) throw_stall_error();
}

bool StallWatch::Wait::is_waiting(std::size_t rank) const {
  return rank == watch_->world_->rank || watch_->heard_s_[rank] > waited_s_ - times_.warning_s;
}

std::vector<std::size_t> StallWatch::Wait::missing_ranks() const {
  std::vector<std::size_t> missing;
  for (std::size_t rank = 0; rank < watch_->heard_s_.size(); ++rank) {
    if (!is_waiting(rank)) missing.push_back(rank);
  }
  return missing;
}

void StallWatch::Wait::print_warning() {
  has_warned_ = true;
  warn_of_stall(missing_ranks(), work_s_ + times_.warning_s);
}

void StallWatch::Wait::throw_stall_error() const { throw stall_error(*missing_, times_.timeout_s, work_s_); }

}  // namespace fcmnist::comm
