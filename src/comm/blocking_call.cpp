#include "comm/blocking_call.hpp"

#include <fmt/format.h>
#include <sys/types.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "comm/mpi_handle.hpp"
#include "comm/stall_watch.hpp"

namespace fcmnist::comm {

namespace {

/// Stopped by a signal or a debugger, or dead; see proc_pid_stat(5). False where it cannot be seen.
bool stands_still(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t name_end = text.rfind(") ");  // the name may hold anything
  return name_end != std::string::npos && name_end + 2 < text.size() &&
         std::string_view("TtZX").find(text[name_end + 2]) != std::string_view::npos;
}

std::vector<std::size_t> ranks_that_stand_still(const std::vector<pid_t>& pids) {
  std::vector<std::size_t> ranks;
  for (std::size_t rank = 0; rank < pids.size(); ++rank) {
    if (pids[rank] != 0 && stands_still(pids[rank])) ranks.push_back(rank);
  }
  return ranks;
}

/// Whether this rank is the one of its host that says it.
bool speaks(const StallWatch::World& world, const std::vector<std::size_t>& missing) {
  for (std::size_t rank = 0; rank < world.rank; ++rank) {
    if (world.host_pids[rank] != 0 && std::ranges::find(missing, rank) == missing.end()) return false;
  }
  return true;
}

void watch_clock(const std::stop_token& call_ended, const StallWatch& watch) {
  using Seconds = std::chrono::duration<double>;
  const StallWatch::World& world = watch.world();
  const StallTimes times(watch.timeout_s());
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock lock(mutex);
  const auto sleep_a_beat = [&] {
    const auto begin = std::chrono::steady_clock::now();
    changed.wait_for(lock, call_ended, Seconds(times.beat_s), [] { return false; });
    // A job that was suspended as a whole has waited for a beat at most.
    return std::min(times.beat_s, Seconds(std::chrono::steady_clock::now() - begin).count());
  };

  bool has_warned = false;
  for (double waited_s = 0.0; !call_ended.stop_requested(); waited_s += sleep_a_beat()) {
    if (waited_s < times.warning_s) continue;
    const auto missing = ranks_that_stand_still(world.host_pids);
    const bool first = speaks(world, missing) && !missing.empty();
    if (first && !std::exchange(has_warned, true)) warn_of_stall(missing, times.warning_s);
    if (waited_s < times.timeout_s + (first ? 0.0 : times.to_end_world_s)) continue;
    watch.end_process(stall_error(missing, times.timeout_s, 0.0));
  }
}

}  // namespace

BlockingCall::BlockingCall(const StallWatch& watch)
    : clock_([&watch](const std::stop_token& call_ended) { watch_clock(call_ended, watch); }) {}

}  // namespace fcmnist::comm
