#include "core/atomic_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <optional>
#include <system_error>
#include <utility>

#include "core/host_name.hpp"

namespace fcmnist {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view infix = ".tmp.";

/// What the name of a temporary file says.
struct TemporaryName {
  std::string_view final_name;
  std::string_view host;
  pid_t pid;
};

/// Nothing if the name is not one of ours. The parts are parts of `name`.
std::optional<TemporaryName> parse_temporary(std::string_view name) {
  const std::size_t at = name.rfind(infix);
  const std::size_t dot = name.rfind('.');
  if (!name.starts_with('.') || at == std::string_view::npos || dot < at + infix.size()) return std::nullopt;
  const std::string_view digits = name.substr(dot + 1);
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  if (error != std::errc{} || end != digits.data() + digits.size() || pid <= 0) return std::nullopt;
  return TemporaryName{name.substr(1, at - 1), name.substr(at + infix.size(), dot - at - infix.size()), pid};
}

bool is_leftover(const fs::directory_entry& entry, const std::string& this_host,
                 const std::function<bool(std::string_view)>& only_we_write) {
  const std::string name = entry.path().filename().string();
  const auto temporary = parse_temporary(name);
  std::error_code error;
  const auto status = entry.symlink_status(error);
  if (!temporary || !(fs::is_regular_file(status) || fs::is_symlink(status))) return false;
  if (only_we_write(temporary->final_name)) return true;
  if (temporary->host == this_host) return ::kill(temporary->pid, 0) != 0 && errno == ESRCH;
  const auto written = entry.last_write_time(error);
  return !error && fs::file_time_type::clock::now() - written > std::chrono::hours(24);
}

}  // namespace

AtomicFile::AtomicFile(fs::path path, ThrowFileError throw_error)
    : path_(std::move(path)), temporary_path_(temporary_name(path_)), throw_error_(throw_error) {
  // O_EXCL: never write through a link that somebody put here. A file of this name is the leftover of a dead
  // process that had our number.
  const auto create = [&] {
    return FileDescriptor(::open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  };
  file_ = create();
  if (!file_ && errno == EEXIST && ::unlink(temporary_path_.c_str()) == 0) file_ = create();
  if (!file_) throw_error_("create", temporary_path_, errno);
}

AtomicFile::~AtomicFile() {
  if (!is_renamed_) ::unlink(temporary_path_.c_str());
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (const int error_number = write_all(file_.get(), bytes)) throw_error_("write", path_, error_number);
}

void AtomicFile::close() {
  if (::close(file_.release()) != 0) throw_error_("close", path_, errno);
}

void AtomicFile::sync_and_close() {
  if (const int error_number = sync_to_disk(file_.get())) throw_error_("fsync", path_, error_number);
  close();
}

void AtomicFile::rename() {
  if (::rename(temporary_path_.c_str(), path_.c_str()) != 0) throw_error_("rename to", path_, errno);
  is_renamed_ = true;
}

void AtomicFile::commit() {
  sync_and_close();
  rename();
  sync_directory_of(path_, throw_error_);
}

void AtomicFile::commit_without_sync() {
  close();
  rename();
}

bool AtomicFile::take_name(const fs::path& name) {
  if (::link(temporary_path_.c_str(), name.c_str()) == 0) return true;
  if (errno == EEXIST) return false;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) {
    throw_error_("link to", name, errno);
  }
  // A file system without hard links: an empty file claims the name for a moment.
  const FileDescriptor claim(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!claim && errno == EEXIST) return false;
  if (!claim) throw_error_("create", name, errno);
  if (::rename(temporary_path_.c_str(), name.c_str()) != 0) {
    const int error_number = errno;
    ::unlink(name.c_str());
    throw_error_("rename to", name, error_number);
  }
  is_renamed_ = true;
  return true;
}

void sync_directory_of(const fs::path& path, ThrowFileError throw_error) {
  const fs::path directory = directory_of(path);
  const FileDescriptor file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!file) throw_error("open directory", directory, errno);
  const int error_number = sync_to_disk(file.get());
  // Some network file systems cannot sync a directory and say EINVAL; their renames are synchronous.
  if (error_number != 0 && error_number != EINVAL && error_number != ENOTSUP) {
    throw_error("fsync", directory, error_number);
  }
}

fs::path temporary_name(const fs::path& path) {
  return directory_of(path) /
         fmt::format(".{}{}{}.{}", path.filename().string(), infix, host_name(), ::getpid());
}

fs::path directory_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : "."; }

std::vector<std::string> remove_leftovers(const fs::path& directory,
                                          const std::function<bool(std::string_view)>& only_we_write) {
  const std::string this_host = host_name();
  std::vector<std::string> removed;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (is_leftover(*entry, this_host, only_we_write) && fs::remove(entry->path(), ignored)) {
      removed.push_back(entry->path().filename().string());
    }
  }
  return removed;
}

}  // namespace fcmnist
