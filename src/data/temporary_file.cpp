#include "data/temporary_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "core/error.hpp"

namespace fcmnist::data {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = ".fcmnist_fetch.";
constexpr std::string_view suffix = ".part";
constexpr std::string_view hint = "check that data_dir can be written and that its disk is not full";

/// Unique among the jobs of a cluster that share the directory.
std::string temporary_name(std::string_view final_name) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {'h', 'o', 's', 't'};
  return fmt::format("{}{}.{}.{}{}", prefix, final_name, host.data(), getpid(), suffix);
}

void sync_directory(const fs::path& directory) {
  const int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool is_synced = descriptor >= 0 && fsync(descriptor) == 0;
  const int reason = errno;
  if (descriptor >= 0) close(descriptor);
  // Some network file systems cannot sync a directory (EINVAL) and need not.
  if (!is_synced && reason != EINVAL)
    throw DataError(errno_message("fsync", directory.string(), reason), hint);
}

}  // namespace

TemporaryFile::TemporaryFile(const fs::path& directory, std::string_view final_name)
    : final_path_(directory / final_name), path_(directory / temporary_name(final_name)) {
  descriptor_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw DataError(errno_message("cannot create", path_.string(), errno), hint);
}

TemporaryFile::~TemporaryFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!is_committed_) unlink(path_.c_str());
}

void TemporaryFile::commit() {
  if (fsync(descriptor_) != 0) throw DataError(errno_message("fsync", path_.string(), errno), hint);
  const int descriptor = descriptor_;
  descriptor_ = -1;
  // NFS may report only here that the disk is full.
  if (close(descriptor) != 0) throw DataError(errno_message("close", path_.string(), errno), hint);
  if (rename(path_.c_str(), final_path_.c_str()) != 0) {
    throw DataError(errno_message("cannot rename to", final_path_.string(), errno), hint);
  }
  is_committed_ = true;
  sync_directory(final_path_.parent_path());
}

void TemporaryFile::remove_leftovers(const fs::path& directory) {
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;  // a leftover that stays is no reason to stop
    if (name.starts_with(prefix) && name.ends_with(suffix)) fs::remove(entry->path(), ignored);
  }
}

}  // namespace fcmnist::data
