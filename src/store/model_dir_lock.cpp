#include "store/model_dir_lock.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string_view>
#include <utility>

#include "core/error.hpp"
#include "core/host_name.hpp"
#include "store/write_error.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view title = "fcmnist_mpi lock\n";

/// A new number at each start of a machine; with it, a host name means one machine, and its processes.
std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  return file >> id ? id : "unknown";
}

/// When a process started, in clock ticks since boot; nothing if there is no such process. A process that has
/// ended and that nobody has waited for counts as none.
std::optional<long long> start_of_process(long long pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  // The name, field 2, is in parentheses and may hold spaces and parentheses.
  const std::size_t end_of_name = text.rfind(')');
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(end_of_name + 1));
  std::string state, skipped;
  fields >> state;
  for (int field = 4; field <= 21; ++field) fields >> skipped;
  long long start = 0;
  if (!(fields >> start) || state == "Z" || state == "X") return std::nullopt;
  return start;
}

std::string describe_this_process() {
  const auto pid = ::getpid();
  std::string text(title);
  text += fmt::format("host {}\nboot {}\npid {}\npid_start {}\n", host_name(), boot_id(), pid,
                      start_of_process(pid).value_or(0));
  if (const char* job = std::getenv("SLURM_JOB_ID")) text += fmt::format("slurm_job {}\n", job);
  return text + fmt::format("started {:%Y-%m-%dT%H:%M:%SZ}\n", fmt::gmtime(std::time(nullptr)));
}

struct Holder {
  std::string host, boot, started, slurm_job;
  long long pid = 0, pid_start = 0;
  bool has_heart = false;
};

/// Nothing if the text is not of this program.
std::optional<Holder> parse(const std::string& text) {
  if (!text.starts_with(title)) return std::nullopt;
  Holder holder;
  std::istringstream lines(text.substr(title.size()));
  std::string key, value;
  while (lines >> key >> value) {
    if (key == "host") holder.host = value;
    if (key == "boot") holder.boot = value;
    if (key == "pid") holder.pid = std::strtoll(value.c_str(), nullptr, 10);
    if (key == "pid_start") holder.pid_start = std::strtoll(value.c_str(), nullptr, 10);
    if (key == "slurm_job") holder.slurm_job = value;
    if (key == "started") holder.started = value;
    if (key == "beat") holder.has_heart = true;
  }
  if (holder.host.empty() || holder.pid <= 0) return std::nullopt;
  return holder;
}

std::string describe(const std::optional<Holder>& holder) {
  if (!holder) return "another process";
  return fmt::format("process {} on host {}{}, since {}", holder->pid, holder->host,
                     holder->slurm_job.empty() ? "" : fmt::format(" (Slurm job {})", holder->slurm_job),
                     holder->started);
}

[[noreturn]] void refuse(const ModelDir& model_dir, const std::string& text) {
  throw InUseError(
      fmt::format("model_dir {} is in use by {}", model_dir.path().string(), describe(parse(text))),
      "wait until it ends, or give this run another -o/--model_dir");
}

/// The kernel's answers that mean: no locks on this file system.
bool means_no_locks(int error_number) {
  return error_number == ENOLCK || error_number == EOPNOTSUPP || error_number == EINVAL ||
         error_number == ENOSYS;
}

/// Opened anew each time: that makes NFS ask the server.
std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_on_this_machine(const std::optional<Holder>& holder) {
  return holder && holder->host == host_name() && holder->boot == boot_id();
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
  // Of linux/magic.h, or where that has none, of the file system's own sources.
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

ModelDirLock::ModelDirLock(const ModelDir& model_dir, Logger& log, LockPolicy policy, LockTiming timing)
    : model_dir_(model_dir),
      log_(&log),
      policy_(policy),
      timing_(timing),
      identity_(describe_this_process()) {
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
    file_ = {};  // theirs: not to be emptied
    refuse(model_dir_, text);
  }
  heart_ = std::jthread([this](const std::stop_token& end) { beat_until(end); });
}

std::chrono::milliseconds ModelDirLock::longest_wait(const ModelDir& model_dir) {
  using std::chrono_literals::operator""ms;
  const LockTiming timing;
  return lock_policy_of(model_dir.path()) == LockPolicy::kernel ? 0ms : timing.lease + timing.settle;
}

ModelDirLock::~ModelDirLock() {
  heart_ = {};  // asks it to end and waits for it
  try {
    if (policy_ == LockPolicy::kernel || is_ours(text_now())) {
      const int ignored = ::ftruncate(file_.get(), 0);  // then the next one finds us dead
      static_cast<void>(ignored);
    }
  } catch (const std::exception&) {  // no memory: as above
  }
}

/// Opens the file and, if the file system can, locks it. False if another one has locked it.
bool ModelDirLock::lock_in_kernel() {
  const fs::path path = model_dir_.lock_file();
  do {
    file_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
    if (!file_) throw_write_error("open", path, errno);
    if (policy_ == LockPolicy::text) return true;
    struct flock whole_file {};
    whole_file.l_type = F_WRLCK;
    whole_file.l_whence = SEEK_SET;
    // Not flock(), which is local on some network file systems; not F_SETLK, which any close() of the file in
    // this process would drop.
    if (::fcntl(file_.get(), F_OFD_SETLK, &whole_file) != 0) {
      const int error_number = errno;
      if (error_number == EAGAIN || error_number == EACCES) return false;
      if (!means_no_locks(error_number)) throw_write_error("lock", path, error_number);
      log_->warn("{}: this file system has no locks ({}); the text in the file decides", path.string(),
                 std::strerror(error_number));
      policy_ = LockPolicy::text;
    }
    // Somebody may have deleted the file while we opened it, and another run may have locked a new one.
  } while (!is_the_file_named(file_, path));
  return true;
}

/// Returns when nobody lives who is named in the file, and nobody has locked it or the lease is over.
void ModelDirLock::wait_for_holder(bool is_locked) {
  const std::string text = text_now();
  if (text.empty() && is_locked) return;
  const std::string path = model_dir_.lock_file().string();
  const std::optional<Holder> holder = parse(text);
  const bool is_here = is_on_this_machine(holder);
  if (is_here && start_of_process(holder->pid) == holder->pid_start) refuse(model_dir_, text);
  // Without a heart it is on the server itself, under LockPolicy::kernel: its lock ends when it does.
  if (!is_locked && holder && !is_here && !holder->has_heart) refuse(model_dir_, text);
  if (is_here) log_->info("{} was left by {}, which is gone", path, describe(holder));
  if (is_here && is_locked) return;
  if (is_locked) {
    log_->info("{} names {}: watching for {:.0f} s whether it lives", path, describe(holder),
               seconds(timing_.watch));
  } else {
    log_->info("{} is locked and names {}: a server may keep the lock of a dead node; trying for {:.0f} s",
               path, describe(holder), seconds(timing_.lease));
  }
  const auto poll = std::min<std::chrono::milliseconds>(timing_.beat / 5, std::chrono::milliseconds(500));
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    std::this_thread::sleep_for(poll);
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (!is_locked) is_locked = lock_in_kernel();
    // After the lock, so that we see what its last holder wrote.
    const std::string now = text_now();
    if (!now.empty() && now != text) refuse(model_dir_, now);
    if (is_locked && (now.empty() || is_here)) return;  // it has ended in order, or here
    if (is_locked && waited >= timing_.watch) return log_->info("{}: it does not live", path);
    if (waited < timing_.lease) continue;
    log_->warn("{} is still locked after {:.0f} s, but no heart beats in it: taken over; its text decides",
               path, seconds(timing_.lease));
    policy_ = LockPolicy::text;
    return;
  }
}

void ModelDirLock::write_text() {
  // No heart, no beats. With one, one length for all beats: a reader sees the text before or after, never
  // half of one.
  const std::string text =
      policy_ == LockPolicy::kernel ? identity_ : fmt::format("{}beat {:010}\n", identity_, beats_);
  const fs::path path = model_dir_.lock_file();
  const ssize_t written = ::pwrite(file_.get(), text.data(), text.size(), 0);
  if (written != static_cast<ssize_t>(text.size()))
    throw_write_error("write", path, written < 0 ? errno : ENOSPC);
  if (::ftruncate(file_.get(), static_cast<off_t>(text.size())) != 0)
    throw_write_error("truncate", path, errno);
  if (policy_ != LockPolicy::kernel && ::fsync(file_.get()) != 0) throw_write_error("fsync", path, errno);
}

void ModelDirLock::beat() {
  if (const std::string text = text_now(); !text.empty() && !is_ours(text)) {
    taken_by_ = text;
    lost_ = true;
    return;
  }
  ++beats_;
  write_text();
}

/// The life of the heart: until the end is asked for, or another run has the lock.
void ModelDirLock::beat_until(const std::stop_token& end) {
  bool has_failed = false;
  std::unique_lock guard(mutex_);
  while (!lost_) {
    wake_.wait_for(guard, end, timing_.beat, [] { return false; });
    if (end.stop_requested()) return;
    try {
      beat();
      has_failed = false;
    } catch (const std::exception& error) {  // a full disk or a server that is away: once a row of failures
      if (!std::exchange(has_failed, true)) {
        log_->warn("no beats, tried again every {:.0f} s; another run may take this one for dead: {}",
                   seconds(timing_.beat), error.what());
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
