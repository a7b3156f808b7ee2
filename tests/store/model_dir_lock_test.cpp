// Two processes are two runs in one model_dir. Holders on other machines are forged, by a text, a lock, or
// both.
#include "store/model_dir_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <functional>
#include <optional>
#include <sstream>
#include <thread>

#include "core/error.hpp"
#include "core/file_descriptor.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr LockTiming quick{20ms, 300ms, 600ms, 5ms};
constexpr LockPolicy all_policies[] = {LockPolicy::kernel, LockPolicy::kernel_and_text, LockPolicy::text};
constexpr LockPolicy with_heartbeat[] = {LockPolicy::kernel_and_text, LockPolicy::text};

/// Takes the lock that a server keeps for another node, until the descriptor is closed.
FileDescriptor locked(const fs::path& file) {
  FileDescriptor descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  struct flock whole_file {};
  whole_file.l_type = F_WRLCK;
  if (::fcntl(descriptor.get(), F_OFD_SETLK, &whole_file) != 0) throw std::runtime_error("fcntl");
  return descriptor;
}

/// Whether something becomes true in good time.
bool soon(const std::function<bool()>& is_true) {
  for (int i = 0; i < 1000 && !is_true(); ++i) std::this_thread::sleep_for(5ms);
  return is_true();
}

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
  test::LogText logged;
  Logger& log = logged.log();
  LockTiming timing = quick;

  void take(LockPolicy policy) { const ModelDirLock lock(model_dir, log, policy, timing); }
  /// The message with which the lock is refused.
  std::string refused(LockPolicy policy) {
    return message_of<InUseError>([&] { take(policy); });
  }
  static constexpr std::string_view forged_without_heartbeat =
      "fcmnist_mpi lock\nhost elsewhere\nboot 0000\npid 1234\npid_start 99\nslurm_job 77\n"
      "started 2026-01-02T03:04:05Z\n";
  static std::string forged(unsigned beat) {
    return fmt::format("{}beat {:010}\n", forged_without_heartbeat, beat);
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
  EXPECT_EQ(logged.text(), "");
}

TEST_F(ModelDirLockTest, WhetherItIsHeldCanBeSeenWithoutTakingIt) {
  EXPECT_FALSE(is_held(model_dir)) << "there is no file yet";
  {
    const ModelDirLock lock(model_dir, log, LockPolicy::kernel, timing);
    EXPECT_TRUE(is_held(model_dir));
    EXPECT_TRUE(is_held(model_dir)) << "to look at it does not end it";
  }
  EXPECT_FALSE(is_held(model_dir));
}

TEST_F(ModelDirLockTest, ALivingHolderIsNamedInTheRefusalAtOnce) {
  timing.watch = timing.lease = 1h;
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
  EXPECT_TRUE(contains(logged.text(), "which is gone"));
}

TEST_F(ModelDirLockTest, AHolderElsewhereWithAHeartbeatIsRefused) {
  timing.watch = timing.lease = 60s;  // refused at the first heartbeat
  struct Case {
    LockPolicy policy;
    bool is_locked;
  };
  for (const auto& [policy, is_locked] : {Case{LockPolicy::kernel_and_text, false},
                                          {LockPolicy::kernel_and_text, true},
                                          {LockPolicy::text, false}}) {
    put(file, forged(1));
    const FileDescriptor lock = is_locked ? locked(file) : FileDescriptor();
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
  EXPECT_TRUE(contains(logged.text(), "watching its heartbeat for 60 s"));
  EXPECT_TRUE(contains(logged.text(), "trying for 60 s"));
}

TEST_F(ModelDirLockTest, AHolderElsewhereWithoutAHeartbeatIsDead) {
  for (const LockPolicy policy : with_heartbeat) {
    put(file, forged(5));
    const auto begin = std::chrono::steady_clock::now();
    take(policy);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, timing.watch);
    EXPECT_EQ(content(file), "");
  }
  EXPECT_TRUE(contains(logged.text(), "process 1234 on host elsewhere (Slurm job 77)"));
}

TEST_F(ModelDirLockTest, TheLockOfADeadNodeIsWaitedFor) {
  timing.lease = 1h;
  put(file, forged(5));
  FileDescriptor kept = locked(file);
  std::thread server([&] {
    std::this_thread::sleep_for(timing.watch + 100ms);
    kept = {};
  });
  {
    const auto begin = std::chrono::steady_clock::now();
    const ModelDirLock lock(model_dir, log, LockPolicy::kernel_and_text, timing);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, timing.watch + 100ms);
    EXPECT_EQ(lock.policy(), LockPolicy::kernel_and_text);
    EXPECT_THROW(locked(file), std::runtime_error);  // it has the kernel's lock
  }
  server.join();
  const std::string said = "is locked and names process 1234 on host elsewhere";
  EXPECT_TRUE(contains(logged.text(), said));
  EXPECT_EQ(logged.text().find(said), logged.text().rfind(said));
}

TEST_F(ModelDirLockTest, AfterTheLeaseTheLockOfADeadNodeDoesNotCount) {
  for (const std::string& text : {forged(5), std::string(), std::string("garbage")}) {
    put(file, text);
    const FileDescriptor kept = locked(file);
    const auto begin = std::chrono::steady_clock::now();
    {
      const ModelDirLock lock(model_dir, log, LockPolicy::kernel_and_text, timing);
      EXPECT_GE(std::chrono::steady_clock::now() - begin, timing.lease);
      EXPECT_EQ(lock.policy(), LockPolicy::text);
      EXPECT_TRUE(contains(content(file), "\npid " + std::to_string(::getpid()) + "\n"));
      EXPECT_NE(refused(LockPolicy::kernel_and_text),
                "");  // the lock is still kept, and now the text names a process that lives
    }
    EXPECT_EQ(content(file), "");
  }
  EXPECT_TRUE(contains(logged.text(),
                       "is still locked after 1 s, but its text has no heartbeat: this run takes it over"));
}

TEST_F(ModelDirLockTest, ALockIsNotWaitedForUnderTheKernelsPolicyHereOrThere) {
  timing.watch = timing.lease = 1h;
  const FileDescriptor kept = locked(file);
  put(file, forged(5));
  EXPECT_NE(refused(LockPolicy::kernel), "");
  put(file, std::string(forged_without_heartbeat));
  EXPECT_TRUE(contains(refused(LockPolicy::kernel_and_text), "in use by process 1234 on host elsewhere"));
  EXPECT_EQ(logged.text(), "");
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
  EXPECT_EQ(logged.text(), "");
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
  EXPECT_TRUE(contains(logged.text(), "names another process"));
}

TEST_F(ModelDirLockTest, GarbageInALockedFileStillRefuses) {
  const Child holder([&] { hold(model_dir, LockPolicy::kernel); });
  put(file, "garbage");
  EXPECT_TRUE(contains(refused(LockPolicy::kernel), "is in use by another process\n"));
}

TEST_F(ModelDirLockTest, AThreadWritesHeartbeatsAndKeepsTheLengthOfTheText) {
  for (const LockPolicy policy : with_heartbeat) {
    timing.heartbeat = 100ms;
    const ModelDirLock lock(model_dir, log, policy, timing);
    const std::string first = content(file);
    EXPECT_TRUE(first.ends_with("\nbeat 0000000000\n"));
    EXPECT_TRUE(soon([&] { return content(file).ends_with("\nbeat 0000000003\n"); }));
    EXPECT_EQ(content(file).size(), first.size());
  }
}

TEST_F(ModelDirLockTest, TheEndDoesNotWaitForAHeartbeat) {
  timing.heartbeat = 1h;
  timing.watch = 1h;
  for (const LockPolicy policy : with_heartbeat) take(policy);
  EXPECT_EQ(content(file), "");
}

TEST_F(ModelDirLockTest, OnALocalFileSystemThereIsNoHeartbeat) {
  const auto threads = [] {
    return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator());
  };
  const auto before = threads();
  {
    const ModelDirLock lock(model_dir, log, LockPolicy::kernel, timing);
    EXPECT_EQ(threads(), before);
    EXPECT_FALSE(contains(content(file), "beat"));
  }
  const ModelDirLock lock(model_dir, log, LockPolicy::text, timing);
  EXPECT_EQ(threads(), before + 1);
}

TEST_F(ModelDirLockTest, WhoWasTakenForDeadIsToldAndLeavesTheOthersTextAlone) {
  for (const LockPolicy policy : with_heartbeat) {
    {
      ModelDirLock lock(model_dir, log, policy, timing);
      lock.check();
      put(file, forged(3));
      std::string message;
      EXPECT_TRUE(soon([&] {
        try {
          lock.check();
          return false;
        } catch (const InUseError& error) {
          message = error.what();
          return true;
        }
      }));
      EXPECT_TRUE(contains(message, "is in use by process 1234 on host elsewhere"));
      EXPECT_THROW(lock.check(), InUseError);  // it is thrown again
    }
    EXPECT_EQ(content(file), forged(3));
    fs::remove(file);
  }
}

TEST_F(ModelDirLockTest, AHeartbeatThatFailsIsAWarningAndTheNextOneComesInItsTime) {
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit nothing{0, limit.rlim_max};
  test::LogText said;
  const auto begin = std::chrono::steady_clock::now();
  ModelDirLock lock(model_dir, said.log(), LockPolicy::text, timing);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &nothing), 0);  // no file may grow or be written
  EXPECT_TRUE(soon([&] { return !said.lines().empty(); }));
  std::this_thread::sleep_for(10 * timing.heartbeat);  // more heartbeats fail, without a warning
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  const std::string before = content(file);
  EXPECT_TRUE(soon([&] { return content(file) != before; }));
  lock.check();
  const std::string text = content(file);
  const int tries = std::stoi(text.substr(text.rfind(' ')));
  EXPECT_LE(tries * timing.heartbeat, std::chrono::steady_clock::now() - begin);
  ASSERT_EQ(said.lines().size(), 1U);
  EXPECT_TRUE(contains(
      said.lines()[0],
      "cannot write a heartbeat, trying again every 0 s; another run may take this one for dead: write "));
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
  timing.watch = timing.lease = 1h;  // the one that has it may be without a core before it says so
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
