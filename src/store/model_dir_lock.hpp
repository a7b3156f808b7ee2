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

/// Who is asked whether the holder of a lock lives.
enum class LockPolicy {
  kernel,           ///< the kernel: it drops the lock of a process that dies. On file systems of this machine
  kernel_and_text,  ///< then the text in the file too: on network file systems locks may end at the node
  text,             ///< the text alone: a file system without locks
};

/// kernel_and_text if the directory lies on a network file system (by statfs), else kernel.
LockPolicy lock_policy_of(const std::filesystem::path& directory);

/// How long things take; tests are quicker.
struct LockTiming {
  std::chrono::milliseconds beat{5'000};     ///< between two beats of a holder's heart
  std::chrono::milliseconds watch{15'000};   ///< how long a newcomer watches a heart before it calls it dead
  std::chrono::milliseconds lease{120'000};  ///< until a server has dropped the lock of a dead node; > watch
  std::chrono::milliseconds settle{250};     ///< until two newcomers who wrote at once read the same text
};

/// The right to train in a model_dir, from construction to destruction: a lock on `<model_dir>/LOCK` (fcntl's
/// open file description lock, which works over NFS) and a text in it that names the holder.
///
/// Where the kernel's word does not suffice, the text decides: a holder on this machine lives if its process
/// is there, with the start time that the text gives; a holder elsewhere if its heart beats, which a thread
/// of its own sees to (no HDF5, no MPI). A lock without a beating heart may be one that the server keeps for
/// a node that has died: it is tried again until the lease is over, and then does not count. An orderly end
/// empties the text, so that the next run, on whatever node, waits for nothing. The file stays: deleting it
/// would let two runs lock two files of one name.
class ModelDirLock {
 public:
  /// Throws InUseError, which names the holder, if another run has it; StoreError if the file cannot be made.
  /// May wait for LockTiming::watch, or for LockTiming::lease on a network file system, and says so. `log`
  /// must outlive the lock: the heart warns there.
  ModelDirLock(const ModelDir& model_dir, Logger& log)
      : ModelDirLock(model_dir, log, lock_policy_of(model_dir.path()), {}) {}
  ModelDirLock(const ModelDir& model_dir, Logger& log, LockPolicy policy, LockTiming timing);
  /// How long the first constructor may wait there.
  static std::chrono::milliseconds longest_wait(const ModelDir& model_dir);
  ~ModelDirLock();
  ModelDirLock(const ModelDirLock&) = delete;
  ModelDirLock& operator=(const ModelDirLock&) = delete;

  /// Throws InUseError if another run has taken the lock, which it may when this heart stood still for longer
  /// than it watched. Costs nothing: to be called at every step.
  void check();

  /// After a file system said that it has no locks, or kept a dead node's lock beyond the lease: text.
  [[nodiscard]] LockPolicy policy() const { return policy_; }

 private:
  bool lock_in_kernel();
  void wait_for_holder(bool is_locked);
  void write_text();
  void beat();
  void beat_until(const std::stop_token& end);
  [[nodiscard]] std::string text_now() const;
  [[nodiscard]] bool is_ours(const std::string& text) const;

  ModelDir model_dir_;
  Logger* log_;
  LockPolicy policy_;
  LockTiming timing_;
  FileDescriptor file_;
  std::string identity_;  ///< the text without its last line, which counts the beats
  unsigned long beats_ = 0;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::string taken_by_;           ///< the text of the run that has taken the lock; guarded by mutex_
  std::atomic<bool> lost_{false};  ///< whether there is such a text
  std::jthread heart_;             ///< the last member: it uses the others
};

}  // namespace fcmnist::store
