#include "core/hang_watch.hpp"

#include <unistd.h>

#include <atomic>
#include <cmath>
#include <csignal>
#include <ctime>

#include "core/error.hpp"
#include "core/signal_stack.hpp"

namespace fcmnist {

namespace {

// What a signal handler can reach is global. Every thread may run the handler.
std::atomic<const std::string*> error_of_call = nullptr;
std::atomic<double> patience_s = 0.0;
std::atomic<double> hurried_patience_s = 0.0;
std::atomic<unsigned> call = 0;  ///< odd while one is under way, and another number for each
std::atomic<bool> has_begun = false;
std::atomic<bool> in_a_hurry = false;
std::atomic<unsigned> call_at_last_tick = 0;
std::atomic<int> ticks_of_call = 0;
std::atomic<bool> is_ending = false;
static_assert(std::atomic<double>::is_always_lock_free && std::atomic<unsigned>::is_always_lock_free);

timer_t timer{};
std::atomic<bool> has_timer = false;

/// Uses only what POSIX allows in a handler.
[[noreturn]] void end_process(const std::string& error) {
  // The launcher may read no more, so that the write does not return. Then the next tick ends the process.
  if (!is_ending.exchange(true)) {
    const ssize_t ignored = write(STDERR_FILENO, error.data(), error.size());
    static_cast<void>(ignored);
  }
  _exit(static_cast<int>(ExitCode::communication));
}

void on_tick(int /*signal*/) {
  const unsigned now = call;
  if (now != call_at_last_tick.exchange(now)) ticks_of_call = 0;
  if (now % 2 == 0) return;
  const int ticks = ++ticks_of_call;
  // The first tick may come at once after the call began.
  if (ticks - 1 < (in_a_hurry ? hurried_patience_s : patience_s)) return;
  if (const std::string* error = error_of_call) end_process(*error);
}

void tick_every(std::time_t seconds) noexcept {
  if (!has_timer) return;
  const itimerspec times = {{seconds, 0}, {seconds, 0}};
  timer_settime(timer, 0, &times, nullptr);
}

/// Not in begin(), since a handler may not do this.
void make_timer() {
  if (has_timer) return;
  struct sigaction action {};
  action.sa_handler = on_tick;
  use_signal_stack();
  action.sa_flags = SA_RESTART | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, nullptr);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  has_timer = timer_create(CLOCK_MONOTONIC, &event, &timer) == 0;  // else nobody watches
  if (has_begun) tick_every(1);
}

}  // namespace

HangWatch::HangWatch(const std::string& error, Patience patience) {
  make_timer();
  error_of_call = &error;
  patience_s = patience.seconds;
  hurried_patience_s = patience.hurried_seconds;
  ++call;
}

HangWatch::~HangWatch() {
  ++call;
  error_of_call = nullptr;
}

void HangWatch::begin(bool hurry) noexcept {
  has_begun = true;
  if (hurry) in_a_hurry = true;
  tick_every(1);
}

void HangWatch::end() noexcept {
  has_begun = false;
  tick_every(0);
  in_a_hurry = false;
}

}  // namespace fcmnist
