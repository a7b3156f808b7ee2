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
#include <system_error>
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
bool is_first_to_speak(const StallWatch::World& world, const std::vector<std::size_t>& missing) {
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
  const double patience_s =
      std::min(10.0, times.timeout_s);  // with others, who may end the world or know more
  for (double waited_s = 0.0; !call_ended.stop_requested(); waited_s += sleep_a_beat()) {
    if (waited_s < times.warning_s) continue;
    const auto missing = ranks_that_stand_still(world.host_pids);
    const bool speaks = is_first_to_speak(world, missing);
    if (speaks && !missing.empty() && !std::exchange(has_warned, true)) {
      warn_of_stall(missing, times.warning_s);
    }
    const double delay_s = !speaks ? 2.0 * patience_s : missing.empty() ? patience_s : 0.0;
    if (waited_s < times.timeout_s + delay_s) continue;
    if (!missing.empty()) watch.end_process(stall_error(missing, times.timeout_s, 0.0));
    watch.end_process(
        CommError(fmt::format("a call of MPI in which all ranks take part has not ended for {:g} s "
                              "(runconfig.stall_timeout {:g} s), and no rank of this host is stopped",
                              waited_s, times.timeout_s),
                  "look for ranks that have died, are stopped or wait for a file system on the other hosts"));
  }
}

}  // namespace

BlockingCall::BlockingCall(const StallWatch& watch) {
  try {
    clock_ = std::jthread([&watch](const std::stop_token& call_ended) { watch_clock(call_ended, watch); });
  } catch (const std::system_error&) {
    // No thread can be had: the call is made unwatched.
  }
}

}  // namespace fcmnist::comm
