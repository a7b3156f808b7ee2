#include "run/stop_signals.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "core/hang_watch.hpp"

namespace fcmnist::run {
namespace {

using namespace std::chrono_literals;

/// A process that catches the signals, says so, and runs `life`, which returns its exit code.
class Process {
 public:
  explicit Process(const std::function<int(StopSignals&)>& life) {
    std::array<int, 2> ready{};
    EXPECT_EQ(pipe(ready.data()), 0);
    pid_ = fork();
    if (pid_ == 0) {
      int code = 0;
      {
        StopSignals signals;
        signals.catch_all();
        if (write(ready[1], "!", 1) != 1) _exit(99);
        code = life(signals);
      }  // as the program: ended in order
      _exit(code);
    }
    char byte = 0;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() { kill(pid_, SIGKILL); }

  void send(int signal) const { EXPECT_EQ(kill(pid_, signal), 0); }
  /// The exit code, or minus the signal that ended it.
  [[nodiscard]] int end() const {
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
};

int wait_for_one(StopSignals& signals) {
  while (signals.arrived() == 0) std::this_thread::sleep_for(1ms);
  return signals.arrived();
}

class EachSignal : public testing::TestWithParam<int> {};

TEST_P(EachSignal, IsNoticedAndEndsNothing) {
  const Process process(wait_for_one);
  process.send(GetParam());
  EXPECT_EQ(process.end(), GetParam());
}

TEST_P(EachSignal, EndsAProcessThatHasNothingToSave) {
  const Process process([](StopSignals& signals) {
    std::this_thread::sleep_for(100ms);
    signals.let_through();
    std::this_thread::sleep_for(10s);
    return 0;
  });
  process.send(GetParam());  // waits, and comes through
  EXPECT_EQ(process.end(), -GetParam());
}

TEST(StopSignals, BeforeTheFirstStepTermAndIntEndTheProcess) {
  for (const int signal : {SIGTERM, SIGINT}) {
    EXPECT_EXIT(
        {
          const StopSignals signals;
          std::raise(signal);
        },
        testing::KilledBySignal(signal), "");
  }
}

INSTANTIATE_TEST_SUITE_P(Signals, EachSignal, testing::Values(SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP),
                         [](const auto& signal) { return std::string(signal_name(signal.param)); });

/// Saves for ever.
int never_ends(StopSignals& signals) {
  wait_for_one(signals);
  std::this_thread::sleep_for(10s);
  return 0;
}

TEST(StopSignals, AHangupThatIsIgnoredStaysIgnored) {  // nohup
  std::signal(SIGHUP, SIG_IGN);
  const Process process(wait_for_one);
  std::signal(SIGHUP, SIG_DFL);
  process.send(SIGHUP);
  process.send(SIGUSR1);
  EXPECT_EQ(process.end(), SIGUSR1);
}

TEST(StopSignals, RepeatsWithinTwoSecondsCountAsOne) {
  const Process process([](StopSignals& signals) {
    wait_for_one(signals);
    std::this_thread::sleep_for(1s);
    return 75;
  });
  for (const int signal : {SIGTERM, SIGTERM, SIGUSR1, SIGINT}) {
    process.send(signal);
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_EQ(process.end(), 75);
}

TEST(StopSignals, ALaterOneEndsTheProcessAtOnce) {
  const Process process(never_ends);
  process.send(SIGUSR1);
  std::this_thread::sleep_for(4s);  // two, and some in which the process had no core to take the first one
  process.send(SIGTERM);
  EXPECT_EQ(process.end(), -SIGTERM);
}

/// In a step that never ends, and that has such patience.
int hangs(Patience patience) {
  const std::string error = "the step hangs\n";
  const HangWatch watch(error, patience);
  std::this_thread::sleep_for(100s);
  return 0;
}

TEST(StopSignals, TheFirstOneEndsAStepThatHangs) {
  constexpr double long_s = 1000.0;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) {
    const bool is_hurried = signal != SIGUSR1 && signal != SIGUSR2;
    const Patience patience = is_hurried ? Patience{long_s, 0.0} : Patience{0.0, long_s};
    const Process process([patience](StopSignals&) { return hangs(patience); });
    process.send(signal);
    EXPECT_EQ(process.end(), 5) << signal_name(signal);
  }
}

TEST(StopSignals, AreNoticedWhicheverThreadTakesThem) {
  // A library may have threads of its own.
  const Process process([](StopSignals& signals) {
    sigset_t all;
    sigfillset(&all);
    std::thread other([&] { std::this_thread::sleep_for(10s); });
    other.detach();
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    return wait_for_one(signals);
  });
  process.send(SIGUSR1);
  EXPECT_EQ(process.end(), SIGUSR1);
}

}  // namespace
}  // namespace fcmnist::run
