#include "store/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <system_error>

#include "core/error.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view infix = ".tmp.";
constexpr std::string_view probe_name = "write_test";

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "unknown-host";
  return name.data();
}

fs::path directory_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

[[noreturn]] void fail(std::string_view call, const fs::path& path, int error_number) {
  throw StoreError(errno_message(call, path.native(), error_number), hint_for_errno(error_number, path));
}

/// A file under a temporary name; unless renamed, it is removed with this object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const fs::path& final_path)
      : final_path_(final_path), path_(temporary_name(final_path)) {
    // O_EXCL: never write through a link somebody put here. A leftover with our host and pid is of a dead
    // process.
    constexpr int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    fd_ = ::open(path_.c_str(), flags, 0666);
    if (fd_ < 0 && errno == EEXIST && ::unlink(path_.c_str()) == 0) fd_ = ::open(path_.c_str(), flags, 0666);
    if (fd_ < 0) fail("create", path_, errno);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (!renamed_) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write", final_path_, errno);
      bytes = bytes.subspan(n);
    }
  }

  void close() {
    const int fd = fd_;
    fd_ = -1;
    if (::close(fd) != 0) fail("close", final_path_, errno);
  }

  /// Until both have succeeded the bytes may not have been accepted (quota on NFS, delayed allocation).
  void sync_and_close() {
    while (::fsync(fd_) != 0) {
      if (errno != EINTR) fail("fsync", final_path_, errno);
    }
    close();
  }

  void rename() {
    if (::rename(path_.c_str(), final_path_.c_str()) != 0) fail("rename to", final_path_, errno);
    renamed_ = true;
  }

 private:
  fs::path final_path_;
  fs::path path_;
  int fd_ = -1;
  bool renamed_ = false;
};

/// What the name of a temporary says.
struct Temporary {
  std::string_view final_name;
  std::string_view host;
  pid_t pid;
};

/// Nothing if the name is not one of ours. The parts are parts of `name`.
std::optional<Temporary> parse_temporary(std::string_view name) {
  const std::size_t at = name.rfind(infix);
  const std::size_t dot = name.rfind('.');
  if (!name.starts_with('.') || at == std::string_view::npos || dot < at + infix.size()) return std::nullopt;
  const std::string_view digits = name.substr(dot + 1);
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc{} || end != digits.data() + digits.size() || pid <= 0) return std::nullopt;
  return Temporary{name.substr(1, at - 1), name.substr(at + infix.size(), dot - at - infix.size()), pid};
}

/// Whether only the run that holds the model_dir writes a file of this name.
bool is_of_the_run(std::string_view final_name) {
  constexpr std::array<std::string_view, 5> names = {"metrics.h5", "metrics.journal", "params.yaml",
                                                     "STOPPED", probe_name};
  return final_name.starts_with("checkpoint_") ||
         std::find(names.begin(), names.end(), final_name) != names.end();
}

bool is_stale(const fs::directory_entry& entry, const std::string& this_host) {
  const std::string name = entry.path().filename().string();
  const auto temporary = parse_temporary(name);
  std::error_code error;
  if (!temporary || !fs::is_regular_file(entry.symlink_status(error))) return false;
  if (is_of_the_run(temporary->final_name)) return true;
  if (temporary->host == this_host) return ::kill(temporary->pid, 0) != 0 && errno == ESRCH;
  const auto written = entry.last_write_time(error);
  return !error && fs::file_time_type::clock::now() - written > std::chrono::hours(24);
}

}  // namespace

std::string hint_for_errno(int error_number, const fs::path& path) {
  const std::string directory = directory_of(path).string();
  switch (error_number) {
    case ENOSPC:
      return fmt::format(
          "the file system is full: free some space (see \"df -h {0}\" and \"df -i {0}\") or set "
          "another runconfig.model_dir",
          directory);
    case EDQUOT:
      return "your disk quota is used up: remove files or set another runconfig.model_dir";
    case EFBIG:
      return "the file is larger than this process may write: see \"ulimit -f\"";
    case EACCES:
    case EPERM:
      return fmt::format("check the permissions (\"ls -ld {}\") or set another runconfig.model_dir",
                         directory);
    case EROFS:
      return "the file system is mounted read-only here: set another runconfig.model_dir";
    case ENOENT:
      return fmt::format("the directory {} is not there (removed during the run?)", directory);
    case ENOTDIR:
    case EEXIST:
      return fmt::format("a file stands where a directory is needed: see \"ls -ld {}\"", directory);
    case EISDIR:
      return "a directory stands where a file is needed";
    case EIO:
    case ESTALE:
      return "the file system failed; ask the administrators and start again: the run resumes";
    default:
      return "";
  }
}

fs::path temporary_name(const fs::path& path) {
  return directory_of(path) /
         fmt::format(".{}{}{}.{}", path.filename().string(), infix, host_name(), ::getpid());
}

void write_atomically(const fs::path& path, std::span<const std::byte> bytes) {
  TemporaryFile file(path);
  file.write(bytes);
  file.sync_and_close();
  file.rename();
  sync_directory_of(path);
}

void write_atomically(const fs::path& path, std::string_view text) {
  write_atomically(path, std::as_bytes(std::span(text)));
}

void sync_directory_of(const fs::path& path) {
  const fs::path directory = directory_of(path);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("open directory", directory, errno);
  const int error_number = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  // Some network file systems cannot sync a directory and say EINVAL; their renames are synchronous.
  if (error_number != 0 && error_number != EINVAL && error_number != ENOTSUP)
    fail("fsync", directory, error_number);
}

void replace_file(const fs::path& path, std::span<const std::byte> bytes) {
  TemporaryFile file(path);
  file.write(bytes);
  file.close();
  file.rename();
}

void check_writable(const fs::path& directory) {
  // More than file systems keep inside an inode, so that a full disk is noticed.
  const std::vector<std::byte> probe(std::size_t{64} * 1024);
  TemporaryFile file(directory / probe_name);
  file.write(probe);
  file.sync_and_close();
}

std::vector<std::string> remove_stale_temporaries(const fs::path& directory) {
  const std::string this_host = host_name();
  std::vector<std::string> removed;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (is_stale(*entry, this_host) && fs::remove(entry->path(), ignored)) {
      removed.push_back(entry->path().filename().string());
    }
  }
  return removed;
}

std::filesystem::path rename_damaged(const std::filesystem::path& path) {
  std::error_code error;
  for (int n = 1;; ++n) {
    std::filesystem::path candidate = fmt::format("{}.damaged-{}", path.string(), n);
    if (std::filesystem::exists(std::filesystem::symlink_status(candidate, error))) continue;
    std::filesystem::rename(path, candidate, error);
    if (!error) return candidate;
    throw StoreError(errno_message("rename", path.native(), error.value()),
                     hint_for_errno(error.value(), path));
  }
}

}  // namespace fcmnist::store
