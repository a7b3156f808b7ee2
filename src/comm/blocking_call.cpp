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

/// Whether a process is dead, or stopped by a signal or a debugger; see proc_pid_stat(5). False if Linux does
/// not tell.
bool stands_still(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text(std::istreambuf_iterator<char>(file), {});
  // The name of the program may hold any character, so its last parenthesis counts.
  const std::size_t name_end = text.rfind(") ");
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

/// Whether this rank prints for its host: it is the lowest one that is not missing.
bool prints_for_host(const StallWatch::World& world, const std::vector<std::size_t>& missing) {
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
  const auto sleep_for_a_beat = [&] {
    const auto begin = std::chrono::steady_clock::now();
    changed.wait_for(lock, call_ended, Seconds(times.beat_s), [] { return false; });
    // If the whole job was suspended meanwhile, no more than one beat counts as waiting.
    return std::min(times.beat_s, Seconds(std::chrono::steady_clock::now() - begin).count());
  };

  bool has_warned = false;
  // This process waits longer if another process may end the world, or may know which rank is missing.
  const double patience_s = std::min(10.0, times.timeout_s);
  for (double waited_s = 0.0; !call_ended.stop_requested(); waited_s += sleep_for_a_beat()) {
    if (waited_s < times.warning_s) continue;
    const auto missing = ranks_that_stand_still(world.host_pids);
    const bool prints = prints_for_host(world, missing);
    if (prints && !missing.empty() && !std::exchange(has_warned, true)) {
      warn_of_stall(missing, times.warning_s);
    }
    const double delay_s = !prints ? 2.0 * patience_s : missing.empty() ? patience_s : 0.0;
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
    clock_watcher_ =
        std::jthread([&watch](const std::stop_token& call_ended) { watch_clock(call_ended, watch); });
  } catch (const std::system_error&) {
    // The system gives no thread, so nobody watches the call.
  }
}

}  // namespace fcmnist::comm
