#include "run/stop_signals.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <span>

#include "core/hang_watch.hpp"
#include "core/signal_stack.hpp"

namespace fcmnist::run {

namespace {

constexpr std::array soon = {SIGUSR1, SIGUSR2};
constexpr std::array now = {SIGTERM, SIGINT, SIGHUP};
constexpr std::int64_t repeats_count_as_one_ms = 2000;

std::atomic<int> first_signal = 0;
std::atomic<std::int64_t> first_time_ms = 0;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<std::int64_t>::is_always_lock_free);

bool means_now(int signal) { return std::ranges::find(now, signal) != now.end(); }

/// Uses only what POSIX allows in a handler.
void on_signal(int signal) {
  const int error_number = errno;
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  const std::int64_t now_ms = std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
  int none = 0;
  if (first_signal == 0) first_time_ms = now_ms;
  const bool is_first = first_signal.compare_exchange_strong(none, signal);
  HangWatch::begin(means_now(signal));
  errno = error_number;
  if (is_first) return;
  if (now_ms - first_time_ms <= repeats_count_as_one_ms) return;
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // takes effect when the handler returns
}

/// Under nohup a run goes on when its terminal is closed.
bool is_ignored_hangup(int signal) {
  struct sigaction action {};
  return signal == SIGHUP && sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void handle_by(void (*handler)(int), std::span<const int> signals, int flags = 0) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (const int signal : soon) sigaddset(&action.sa_mask, signal);
  for (const int signal : now) sigaddset(&action.sa_mask, signal);
  for (const int signal : signals) {
    if (!is_ignored_hangup(signal)) sigaction(signal, &action, nullptr);
  }
}

}  // namespace

StopSignals::StopSignals() {
  use_signal_stack();
  handle_by(on_signal, soon, SA_RESTART);
}

// TERM, INT and HUP interrupt a write: mpirun no longer reads what its ranks print once it has been told to end.
void StopSignals::catch_all() {
  handle_by(on_signal, now);
  if (arrived() != 0) HangWatch::begin(must_hurry());
}

void StopSignals::let_through() {
  handle_by(SIG_DFL, soon);
  handle_by(SIG_DFL, now);
  HangWatch::end();
  if (const int signal = arrived(); signal != 0) std::raise(signal);
}

int StopSignals::arrived() const { return first_signal.load(std::memory_order_relaxed); }

bool StopSignals::must_hurry() const { return means_now(arrived()); }

const char* signal_name(int signal) {
  switch (signal) {
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGTERM:
      return "SIGTERM";
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "a signal";
  }
}

}  // namespace fcmnist::run
