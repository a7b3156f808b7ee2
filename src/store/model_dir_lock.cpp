#include "store/model_dir_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "store/lock_holder.hpp"
#include "store/write_error.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void refuse(const ModelDir& model_dir, const std::string& text) {
  throw InUseError(
      fmt::format("model_dir {} is in use by {}", model_dir.path().string(), describe(parse_lock_text(text))),
      "wait until it ends, or give this run another -o/--model_dir");
}

/// Whether the kernel's answer means that this file system has no locks.
bool means_no_locks(int error_number) {
  return error_number == ENOLCK || error_number == EOPNOTSUPP || error_number == EINVAL ||
         error_number == ENOSYS;
}

/// The file is opened anew each time, which makes NFS ask the server.
std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

double seconds(std::chrono::milliseconds time) { return std::chrono::duration<double>(time).count(); }

bool is_the_file_named(const FileDescriptor& file, const fs::path& path) {
  struct stat open_one {
  }, named{};
  return ::fstat(file.get(), &open_one) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_one.st_dev == named.st_dev && open_one.st_ino == named.st_ino;
}

}  // namespace

LockPolicy lock_policy_of(const fs::path& directory) {
  // The names are from linux/magic.h, the numbers from the sources of the file systems that it lacks.
  constexpr std::array<unsigned long, 12> network = {
      NFS_SUPER_MAGIC,  SMB_SUPER_MAGIC,  CIFS_SUPER_MAGIC, SMB2_SUPER_MAGIC,
      CEPH_SUPER_MAGIC, FUSE_SUPER_MAGIC, AFS_SUPER_MAGIC,  V9FS_MAGIC,
      0x0BD00BD0,  // Lustre
      0x19830326,  // BeeGFS
      0x47504653,  // GPFS
      0xAAD7AAEA,  // PanFS
  };
  struct statfs status {};
  if (::statfs(directory.c_str(), &status) != 0) return LockPolicy::kernel;  // opening the file says why
  const auto magic = static_cast<unsigned long>(status.f_type) & 0xFFFFFFFFUL;
  return std::find(network.begin(), network.end(), magic) != network.end() ? LockPolicy::kernel_and_text
                                                                           : LockPolicy::kernel;
}

bool is_held(const ModelDir& model_dir) {
  const FileDescriptor file(::open(model_dir.lock_file().c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return false;
  struct flock whole_file {};
  whole_file.l_type = F_WRLCK;
  whole_file.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_OFD_GETLK, &whole_file) == 0 && whole_file.l_type != F_UNLCK) return true;
  if (lock_policy_of(model_dir.path()) == LockPolicy::kernel) return false;
  const auto holder = parse_lock_text(read_text(model_dir.lock_file()));
  return holder && holder->is_of_this_machine() && holder->is_running();
}

ModelDirLock::ModelDirLock(const ModelDir& model_dir, Logger& log, LockPolicy policy, LockTiming timing)
    : model_dir_(model_dir),
      log_(&log),
      policy_(policy),
      timing_(timing),
      identity_(lock_text_of_this_process()) {
  const bool is_locked = lock_in_kernel();
  if (policy_ == LockPolicy::kernel) {
    if (!is_locked) refuse(model_dir_, text_now());
    write_text();
    return;
  }
  wait_for_holder(is_locked);
  write_text();
  std::this_thread::sleep_for(timing_.settle);
  if (const std::string text = text_now(); !is_ours(text)) {
    file_ = {};  // the text is theirs, and is not to be emptied
    refuse(model_dir_, text);
  }
  thread_ = std::jthread([this](const std::stop_token& end) { write_heartbeats_until(end); });
}

std::chrono::milliseconds ModelDirLock::longest_wait(const ModelDir& model_dir) {
  using std::chrono_literals::operator""ms;
  const LockTiming timing;
  return lock_policy_of(model_dir.path()) == LockPolicy::kernel ? 0ms : timing.lease + timing.settle;
}

ModelDirLock::~ModelDirLock() {
  thread_ = {};  // asks the thread to end and waits for it
  try {
    if (policy_ == LockPolicy::kernel || is_ours(text_now())) {
      // If this fails, the next run finds that we are dead.
      const int ignored = ::ftruncate(file_.get(), 0);
      static_cast<void>(ignored);
    }
  } catch (const std::exception&) {  // there is no memory to read the text: the next run finds the same
  }
}

/// Opens the file and locks it, if the file system has locks. Returns false if another process has locked it.
bool ModelDirLock::lock_in_kernel() {
  const fs::path path = model_dir_.lock_file();
  do {
    file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file_) throw_write_error("open", path, errno);
    if (policy_ == LockPolicy::text) return true;
    struct flock whole_file {};
    whole_file.l_type = F_WRLCK;
    whole_file.l_whence = SEEK_SET;
    // flock() is local on some network file systems, and any close() of the file in this process would drop a
    // lock of F_SETLK.
    if (::fcntl(file_.get(), F_OFD_SETLK, &whole_file) != 0) {
      const int error_number = errno;
      if (error_number == EAGAIN || error_number == EACCES) return false;
      if (!means_no_locks(error_number)) throw_write_error("lock", path, error_number);
      log_->warn(
          "{}: this file system has no locks ({}); only the text in the file tells whether its holder lives",
          path.string(), std::strerror(error_number));
      policy_ = LockPolicy::text;
    }
    // Somebody may have deleted the file while we opened it. Another run may have locked a new one since.
  } while (!is_the_file_named(file_, path));
  return true;
}

/// Returns when the text names nobody who lives, and nobody else holds the kernel's lock or the lease is
/// over.
void ModelDirLock::wait_for_holder(bool is_locked) {
  const std::string text = text_now();
  if (text.empty() && is_locked) return;
  const std::string path = model_dir_.lock_file().string();
  const std::optional<LockHolder> holder = parse_lock_text(text);
  const bool is_here = holder && holder->is_of_this_machine();
  if (is_here && holder->is_running()) refuse(model_dir_, text);
  // A holder without a heartbeat runs on the server itself, under LockPolicy::kernel: its lock ends when it
  // ends.
  if (!is_locked && holder && !is_here && !holder->has_heartbeat) refuse(model_dir_, text);
  if (is_here) log_->info("{} was left by {}, which is gone", path, describe(holder));
  if (is_here && is_locked) return;
  if (is_locked) {
    log_->info("{} names {}: watching its heartbeat for {:.0f} s", path, describe(holder),
               seconds(timing_.watch));
  } else {
    log_->info("{} is locked and names {}: a server may keep the lock of a dead node; trying for {:.0f} s",
               path, describe(holder), seconds(timing_.lease));
  }
  watch(text, is_here, is_locked);
}

/// Waits until the holder that `text` names has proved to be dead; refuses when the text changes.
void ModelDirLock::watch(const std::string& text, bool is_here, bool is_locked) {
  const std::string path = model_dir_.lock_file().string();
  const auto poll =
      std::min<std::chrono::milliseconds>(timing_.heartbeat / 5, std::chrono::milliseconds(500));
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    std::this_thread::sleep_for(poll);
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (!is_locked) is_locked = lock_in_kernel();
    // Read after the lock is taken, so that we see what its last holder wrote.
    const std::string now = text_now();
    if (!now.empty() && now != text) refuse(model_dir_, now);
    if (is_locked && (now.empty() || is_here)) return;  // the holder has ended in order, or died here
    if (is_locked && waited >= timing_.watch) return log_->info("{}: its holder is dead", path);
    if (waited < timing_.lease) continue;
    log_->warn(
        "{} is still locked after {:.0f} s, but its text has no heartbeat: this run takes it over, and only "
        "the "
        "text counts from now on",
        path, seconds(timing_.lease));
    policy_ = LockPolicy::text;
    return;
  }
}

void ModelDirLock::write_text() {
  const std::string text =
      policy_ == LockPolicy::kernel ? identity_ : identity_ + heartbeat_line(heartbeats_);
  const fs::path path = model_dir_.lock_file();
  const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), 0);
  if (written != static_cast<ssize_t>(text.size())) {
    throw_write_error("write", path, written < 0 ? errno : ENOSPC);
  }
  if (::ftruncate(file_.get(), static_cast<off_t>(text.size())) != 0) {
    throw_write_error("truncate", path, errno);
  }
  if (policy_ == LockPolicy::kernel) return;
  if (const int error_number = sync_to_disk(file_.get())) throw_write_error("fsync", path, error_number);
}

void ModelDirLock::write_heartbeat() {
  if (const std::string text = text_now(); !text.empty() && !is_ours(text)) {
    taken_by_ = text;
    lost_ = true;
    return;
  }
  ++heartbeats_;
  write_text();
}

/// What the thread does: it writes heartbeats until it is asked to end, or another run has the lock.
void ModelDirLock::write_heartbeats_until(const std::stop_token& end) {
  bool has_failed = false;
  std::unique_lock guard(mutex_);
  while (!lost_) {
    wake_.wait_for(guard, end, timing_.heartbeat, [] { return false; });
    if (end.stop_requested()) return;
    try {
      write_heartbeat();
      has_failed = false;
    } catch (const std::exception& error) {  // the disk is full, or a server is away
      // One warning is enough for failures in a row.
      if (!std::exchange(has_failed, true)) {
        log_->warn(
            "cannot write a heartbeat, trying again every {:.0f} s; another run may take this one for dead: "
            "{}",
            seconds(timing_.heartbeat), error.what());
      }
    }
  }
}

void ModelDirLock::check() {
  if (!lost_.load(std::memory_order_relaxed)) return;
  const std::scoped_lock guard(mutex_);
  refuse(model_dir_, taken_by_);
}

std::string ModelDirLock::text_now() const { return read_text(model_dir_.lock_file()); }

bool ModelDirLock::is_ours(const std::string& text) const { return text.starts_with(identity_); }

}  // namespace fcmnist::store
