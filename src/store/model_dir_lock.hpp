#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "core/file_descriptor.hpp"
#include "core/log.hpp"
#include "store/model_dir.hpp"

namespace fcmnist::store {

/// Where a run finds out whether the holder of a lock lives.
enum class LockPolicy {
  /// From the kernel, which drops the lock of a process that dies. For local file systems.
  kernel,
  /// From the kernel and the text. For network file systems, where other nodes may not see a lock.
  kernel_and_text,
  /// From the text alone. For file systems without locks.
  text,
};

/// kernel_and_text if the directory lies on a network file system (by statfs), else kernel.
LockPolicy lock_policy_of(const std::filesystem::path& directory);

/// How long things take. Tests use shorter times.
struct LockTiming {
  std::chrono::milliseconds heartbeat{5'000};  ///< time between two heartbeats of a holder
  std::chrono::milliseconds watch{15'000};     ///< a holder without a heartbeat for so long is dead
  std::chrono::milliseconds lease{120'000};    ///< a server drops the lock of a dead node by then; > watch
  std::chrono::milliseconds settle{250};       ///< two runs that wrote at once read the same text after it
};

/// Whether a run surely trains in a model_dir, as far as this machine can tell at once: takes nothing and waits for
/// nothing. One of another node may be missed where a network file system does not show its lock.
bool is_held(const ModelDir& model_dir);

/// The right to train in a model_dir, from construction to destruction: a lock on `<model_dir>/LOCK` (fcntl's
/// open file description lock, which works over NFS) and a text in it that names the holder.
///
/// Where the kernel's lock does not suffice, the text tells whether the holder lives. A holder on this
/// machine lives if a process has its number and the start time of the text. A holder elsewhere lives if it
/// writes heartbeats: a thread of the holder, which uses neither HDF5 nor MPI, raises a counter in the text.
/// A lock without a heartbeat may be one that the server keeps for a node that has died: the newcomer tries
/// it again until the lease is over, and then goes on without it. An orderly end empties the text, so that
/// the next run, on whatever node, waits for nothing. The file stays: deleting it would let two runs lock two
/// files of one name.
class ModelDirLock {
 public:
  /// Throws InUseError, which names the holder, if another run has it; StoreError if the file cannot be made.
  /// May wait for LockTiming::watch, or for LockTiming::lease on a network file system, and says so. `log`
  /// must outlive the lock: the thread of the heartbeat warns there.
  ModelDirLock(const ModelDir& model_dir, Logger& log)
      : ModelDirLock(model_dir, log, lock_policy_of(model_dir.path()), {}) {}
  ModelDirLock(const ModelDir& model_dir, Logger& log, LockPolicy policy, LockTiming timing);
  /// How long the first constructor may wait there.
  static std::chrono::milliseconds longest_wait(const ModelDir& model_dir);
  ~ModelDirLock();
  ModelDirLock(const ModelDirLock&) = delete;
  ModelDirLock& operator=(const ModelDirLock&) = delete;

  /// Throws InUseError if another run has taken the lock. It may do so when it has seen no heartbeat of this
  /// run for LockTiming::watch. This costs nothing: call it at every step.
  void check();

  /// It becomes `text` when the file system has no locks, or keeps a dead node's lock beyond the lease.
  [[nodiscard]] LockPolicy policy() const { return policy_; }

 private:
  bool lock_in_kernel();
  void wait_for_holder(bool is_locked);
  void watch(const std::string& text, bool is_here, bool is_locked);
  void write_text();
  void write_heartbeat();
  void write_heartbeats_until(const std::stop_token& end);
  [[nodiscard]] std::string text_now() const;
  [[nodiscard]] bool is_ours(const std::string& text) const;

  ModelDir model_dir_;
  Logger* log_;
  LockPolicy policy_;
  LockTiming timing_;
  FileDescriptor file_;
  std::string identity_;  ///< the text without the line of the heartbeat
  unsigned long heartbeats_ = 0;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::string taken_by_;           ///< the text of the run that has taken the lock; guarded by mutex_
  std::atomic<bool> lost_{false};  ///< whether there is such a text
  std::jthread thread_;            ///< writes the heartbeats; the last member, since it uses the others
};

}  // namespace fcmnist::store
