#include "train/stop_signals.hpp"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <cstring>

namespace fcmnist::train {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds repeats_count_as_one{2};

sigset_t stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) sigaddset(&set, signal);
  return set;
}

/// Ends the process by this signal, so that its parent sees what happened.
void end_by(int signal) {
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

StopSignals::~StopSignals() {
  if (!watcher_.joinable()) return;
  watcher_.request_stop();
  pthread_kill(watcher_.native_handle(), SIGUSR1);  // wakes it
}

void StopSignals::let_through() {
  const sigset_t set = stop_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void StopSignals::watch() {
  watcher_ = std::jthread([this](const std::stop_token& stop) { wait_for_signals(stop); });
}

void StopSignals::wait_for_signals(const std::stop_token& stop) {
  const sigset_t set = stop_signals();
  Clock::time_point first_time;
  while (true) {
    const int signal = sigwaitinfo(&set, nullptr);
    if (stop.stop_requested()) return;
    if (signal < 0) continue;  // a debugger came or went
    if (first_ == 0) {
      first_time = Clock::now();
      first_ = signal;
    } else if (Clock::now() - first_time > repeats_count_as_one) {
      end_by(signal);
    }
  }
}

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
    default:
      return "a signal";
  }
}

}  // namespace fcmnist::train
