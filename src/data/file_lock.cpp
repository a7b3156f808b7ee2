#include "data/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "core/error.hpp"

namespace fcmnist::data {

namespace {

// The lock is polled: during a wait in the kernel, a batch log would not show that the program is alive.
constexpr auto poll_interval = std::chrono::milliseconds(50);
constexpr int polls_per_log_line = 600;

}  // namespace

FileLock::FileLock(const std::filesystem::path& path, Logger& logger, std::string_view busy_with)
    : path_(path), file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (!file_) {
    throw DataError(
        errno_message("cannot write in data_dir: open", path.string(), errno),
        "name a directory that this user may write, or one that already holds the files, as data_dir");
  }
  for (int polls = 0; !try_lock(path, logger); ++polls) {
    if (polls % polls_per_log_line == 0) {
      logger.info("waiting for another process that is {} (it holds {})", busy_with, path.string());
    }
    std::this_thread::sleep_for(poll_interval);
  }
}

bool FileLock::is_current() const {
  struct stat mine {
  }, named{};
  return ::fstat(file_.get(), &mine) == 0 && ::stat(path_.c_str(), &named) == 0 &&
         mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

bool FileLock::try_lock(const std::filesystem::path& path, Logger& logger) {
  // A lock of flock() belongs to this descriptor, so no other close() in this process can drop it, as it can
  // with fcntl(). On NFS both are the same lock on the server.
  if (flock(file_.get(), LOCK_EX | LOCK_NB) == 0) {
    is_held_ = true;
    return true;
  }
  const int reason = errno;
  if (reason == EWOULDBLOCK || reason == EINTR) return false;
  logger.warn("{}: this file system has no locks ({}); this run goes on without one", path.string(),
              std::strerror(reason));
  return true;
}

}  // namespace fcmnist::data
