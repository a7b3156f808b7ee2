// Two runs in one model_dir, as two processes; and texts of holders elsewhere, forged.
#include "store/model_dir_lock.hpp"

#include <signal.h>
#include <spdlog/sinks/ostream_sink.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>

#include "core/error.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr LockTiming quick{20ms, 300ms, 5ms};
constexpr LockPolicy all_policies[] = {LockPolicy::kernel, LockPolicy::kernel_and_text, LockPolicy::text};

/// A process that does something and then waits to be ended.
class Child {
 public:
  /// Returns when `body` has returned; its process is still there then.
  explicit Child(const std::function<void()>& body) {
    int done[2];
    if (::pipe(done) != 0) throw std::runtime_error("pipe");
    pid_ = ::fork();
    if (pid_ == 0) {
      try {
        body();
      } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
        ::_exit(1);
      }
      const ssize_t ignored = ::write(done[1], "", 1);
      static_cast<void>(ignored);
      for (;;) ::pause();
    }
    ::close(done[1]);
    char byte = 0;
    ready_ = ::read(done[0], &byte, 1) == 1;
    ::close(done[0]);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { kill(); }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool ready() const { return ready_; }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  bool ready_ = false;
};

struct ModelDirLockTest : testing::Test {
  TemporaryDirectory directory;
  ModelDir model_dir{directory.path()};
  fs::path file = model_dir.lock_file();
  std::ostringstream logged;
  Logger log{"test", std::make_shared<spdlog::sinks::ostream_sink_st>(logged)};
  LockTiming timing = quick;

  void take(LockPolicy policy) { const ModelDirLock lock(model_dir, log, policy, timing); }
  /// The message with which the lock is refused.
  std::string refused(LockPolicy policy) {
    return message_of<InUseError>([&] { take(policy); });
  }
  static std::string forged(unsigned beat) {
    return fmt::format(
        "fcmnist_mpi lock\nhost elsewhere\nboot 0000\npid 1234\npid_start 99\nslurm_job 77\n"
        "started 2026-01-02T03:04:05Z\nbeat {:010}\n",
        beat);
  }
};

/// Holds the lock for the life of a process.
void hold(const ModelDir& model_dir, LockPolicy policy) {
  static std::optional<ModelDirLock> lock;
  const auto log = make_logger("error", true);
  lock.emplace(model_dir, *log, policy, quick);
}

TEST_F(ModelDirLockTest, IsFreeAgainAfterAnOrderlyEndWithoutAnyWaiting) {
  timing.watch = 1h;
  for (const LockPolicy policy : all_policies) {
    {
      const ModelDirLock lock(model_dir, log, policy, timing);
      EXPECT_TRUE(contains(content(file), "fcmnist_mpi lock\nhost "));
      EXPECT_TRUE(contains(content(file), "\npid " + std::to_string(::getpid()) + "\n"));
    }
    EXPECT_EQ(content(file), "");
  }
  EXPECT_EQ(logged.str(), "");
}

TEST_F(ModelDirLockTest, ALivingHolderIsNamedInTheRefusal) {
  ::setenv("SLURM_JOB_ID", "4711", 1);
  for (const LockPolicy policy : all_policies) {
    fs::remove(file);
    const Child holder([&] { hold(model_dir, policy); });
    ASSERT_TRUE(holder.ready());
    const std::string message = refused(policy);
    EXPECT_TRUE(contains(message, fmt::format("model_dir {} is in use by process {} on host ",
                                              directory.path().string(), holder.pid())));
    EXPECT_TRUE(contains(message, " (Slurm job 4711), since 20"));
    EXPECT_TRUE(contains(message, "HINT: wait until it ends, or give this run another -o/--model_dir"));
  }
  ::unsetenv("SLURM_JOB_ID");
}

TEST_F(ModelDirLockTest, TheExitCodeIsThatOfAModelDirInUse) {
  const Child holder([&] { hold(model_dir, LockPolicy::kernel); });
  try {
    take(LockPolicy::kernel);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), 7);
  }
}

TEST_F(ModelDirLockTest, AKilledHolderIsRecognisedAtOnce) {
  timing.watch = 1h;  // nobody watches a process of this machine
  for (const LockPolicy policy : all_policies) {
    Child holder([&] { hold(model_dir, policy); });
    ASSERT_TRUE(holder.ready());
    EXPECT_NE(refused(policy), "");
    const pid_t pid = holder.pid();
    holder.kill();
    EXPECT_TRUE(contains(content(file), fmt::format("\npid {}\n", pid)));
    take(policy);
  }
}

TEST_F(ModelDirLockTest, AHolderThatHasEndedButIsNotWaitedForIsDead) {
  Child holder([&] { hold(model_dir, LockPolicy::text); });
  ASSERT_TRUE(holder.ready());
  ::kill(holder.pid(), SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(holder.pid()), &info, WEXITED | WNOWAIT), 0);
  take(LockPolicy::text);
}

TEST_F(ModelDirLockTest, AnotherProcessOfTheSameNumberIsNotTheHolder) {
  std::string text;
  {
    const ModelDirLock lock(model_dir, log, LockPolicy::text, timing);
    text = content(file);
  }
  const std::size_t at = text.find("pid_start ") + 10;
  text[at] = text[at] == '1' ? '2' : '1';
  put(file, text);  // this process, begun at another time
  take(LockPolicy::text);
  EXPECT_TRUE(contains(logged.str(), "which is gone"));
}

TEST_F(ModelDirLockTest, AHolderElsewhereWhoseHeartBeatsIsRefused) {
  timing.watch = 60s;  // refused at the first beat
  for (const LockPolicy policy : {LockPolicy::kernel_and_text, LockPolicy::text}) {
    put(file, forged(1));
    std::atomic<bool> end = false;
    std::thread elsewhere([&] {
      for (unsigned beat = 2; !end; ++beat) {
        std::this_thread::sleep_for(50ms);
        std::fstream(file, std::ios::in | std::ios::out | std::ios::binary) << forged(beat);
      }
    });
    const std::string message = refused(policy);
    end = true;
    elsewhere.join();
    EXPECT_TRUE(
        contains(message, "is in use by process 1234 on host elsewhere (Slurm job 77), since 2026-01-02T"));
    EXPECT_TRUE(content(file).starts_with(forged(0).substr(0, 100)));
  }
  EXPECT_TRUE(contains(logged.str(), "watching for 60 s whether it lives"));
}

TEST_F(ModelDirLockTest, AHolderElsewhereWhoseHeartStandsStillIsDead) {
  for (const LockPolicy policy : {LockPolicy::kernel_and_text, LockPolicy::text}) {
    put(file, forged(5));
    const auto begin = std::chrono::steady_clock::now();
    take(policy);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, timing.watch);
    EXPECT_EQ(content(file), "");
  }
  EXPECT_TRUE(contains(logged.str(), "process 1234 on host elsewhere (Slurm job 77)"));
}

TEST_F(ModelDirLockTest, AHolderElsewhereThatEndsInOrderWhileWatchedIsNotWaitedForLonger) {
  timing.watch = 1h;
  put(file, forged(5));
  std::thread elsewhere([&] {
    std::this_thread::sleep_for(50ms);
    fs::resize_file(file, 0);
  });
  take(LockPolicy::text);
  elsewhere.join();
}

TEST_F(ModelDirLockTest, OnALocalFileSystemTheKernelsWordSuffices) {
  timing.watch = 1h;
  put(file, forged(5));
  take(LockPolicy::kernel);
  EXPECT_EQ(logged.str(), "");
}

TEST_F(ModelDirLockTest, GarbageIsWatchedAndThenTakenOver) {
  for (const std::string& garbage :
       {std::string("x"), std::string(10'000, '\0'), std::string("fcmnist_mpi lock\n"),
        std::string("fcmnist_mpi lock\nhost \npid -4\n"),
        std::string("fcmnist_mpi lock\nhost a\npid abc\nbeat")}) {
    put(file, garbage);
    take(LockPolicy::text);
    EXPECT_EQ(content(file), "");
    put(file, garbage);
    take(LockPolicy::kernel);
  }
  EXPECT_TRUE(contains(logged.str(), "names another process"));
}

TEST_F(ModelDirLockTest, GarbageInALockedFileStillRefuses) {
  const Child holder([&] { hold(model_dir, LockPolicy::kernel); });
  put(file, "garbage");
  EXPECT_TRUE(contains(refused(LockPolicy::kernel), "is in use by another process\n"));
}

TEST_F(ModelDirLockTest, TheHeartBeatsWhenItIsTimeAndKeepsTheLengthOfTheText) {
  for (const LockPolicy policy : {LockPolicy::kernel_and_text, LockPolicy::text}) {
    timing.beat = 30ms;
    ModelDirLock lock(model_dir, log, policy, timing);
    const std::string first = content(file);
    EXPECT_TRUE(first.ends_with("\nbeat 0000000000\n"));
    std::this_thread::sleep_for(40ms);
    lock.beat();
    const std::string second = content(file);
    EXPECT_TRUE(second.ends_with("\nbeat 0000000001\n"));
    EXPECT_EQ(first.size(), second.size());
  }
  timing.beat = 1h;
  ModelDirLock lock(model_dir, log, LockPolicy::text, timing);
  lock.beat();
  EXPECT_TRUE(content(file).ends_with("\nbeat 0000000000\n"));
}

TEST_F(ModelDirLockTest, WhoWasTakenForDeadIsToldAndLeavesTheOthersTextAlone) {
  {
    timing.beat = 0ms;
    ModelDirLock lock(model_dir, log, LockPolicy::text, timing);
    put(file, forged(3));
    EXPECT_TRUE(contains(message_of<InUseError>([&] { lock.beat(); }),
                         "is in use by process 1234 on host elsewhere"));
  }
  EXPECT_EQ(content(file), forged(3));
}

TEST_F(ModelDirLockTest, ADeletedLockFileOfAnEndedRunIsMadeAgain) {
  take(LockPolicy::kernel);
  fs::remove(file);
  const ModelDirLock lock(model_dir, log, LockPolicy::kernel, timing);
  EXPECT_NE(content(file), "");
}

/// Two ends of a pipe: one process waits until the other has closed its end.
struct Gate {
  int ends[2] = {-1, -1};
  Gate() {
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  }
  void wait_in_child() const {
    ::close(ends[1]);
    char byte = 0;
    const ssize_t ignored = ::read(ends[0], &byte, 1);
    static_cast<void>(ignored);
  }
  void open() const { ::close(ends[1]); }
};

TEST_F(ModelDirLockTest, OfManyThatComeAtOnceOneGetsIt) {
  constexpr int runs = 8;
  for (const LockPolicy policy : {LockPolicy::kernel, LockPolicy::kernel_and_text}) {
    const Gate start, end;
    for (int i = 0; i < runs; ++i) {
      if (::fork() != 0) continue;
      start.wait_in_child();
      try {
        const auto silent = make_logger("error", true);
        const ModelDirLock lock(model_dir, *silent, policy, timing);
        end.wait_in_child();
        ::_exit(0);
      } catch (const InUseError&) {
        ::_exit(7);
      } catch (const std::exception&) {
        ::_exit(1);
      }
    }
    start.open();
    for (int i = 0; i < runs; ++i) {
      if (i == runs - 1) end.open();  // all others have been refused while the holder held it
      int status = 0;
      ASSERT_GT(::wait(&status), 0);
      ASSERT_TRUE(WIFEXITED(status));
      EXPECT_EQ(WEXITSTATUS(status), i < runs - 1 ? 7 : 0);
    }
  }
}

TEST_F(ModelDirLockTest, WhatCannotBeMadeIsAnErrorWithItsCause) {
  fs::create_directory(file);
  EXPECT_TRUE(
      contains(message_of<StoreError>([&] { take(LockPolicy::kernel); }), "LOCK: Is a directory\n  HINT"));
  const ModelDir absent(directory / "absent");
  EXPECT_TRUE(contains(message_of<StoreError>([&] { ModelDirLock(absent, log, LockPolicy::kernel, timing); }),
                       "No such file or directory\n  HINT"));
}

TEST_F(ModelDirLockTest, AReadOnlyDirectoryIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  ASSERT_EQ(::chmod(directory.path().c_str(), 0500), 0);
  EXPECT_TRUE(
      contains(message_of<StoreError>([&] { take(LockPolicy::kernel); }), "Permission denied\n  HINT"));
  ASSERT_EQ(::chmod(directory.path().c_str(), 0700), 0);
}

TEST(LockPolicyOf, LocalFileSystemsAskTheKernelOnly) {
  const TemporaryDirectory directory;
  EXPECT_EQ(lock_policy_of(directory.path()), LockPolicy::kernel);
  EXPECT_EQ(lock_policy_of("/dev/shm"), LockPolicy::kernel);
  EXPECT_EQ(lock_policy_of("/nowhere"), LockPolicy::kernel);
}

}  // namespace
}  // namespace fcmnist::store
