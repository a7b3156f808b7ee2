#include "data/claimed_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "core/error.hpp"

namespace fcmnist::data {

namespace fs = std::filesystem;

namespace {

constexpr int most_tries = 100;

DataError cannot_create(const fs::path& directory, const std::error_code& error) {
  return DataError(
      fmt::format("cannot create data_dir {}: {}", directory.string(), error.message()),
      "name a directory that this user may write, or one that already holds the files, as data_dir");
}

}  // namespace

MadeDirectories::~MadeDirectories() {
  std::error_code ignored;  // one that is not empty stays
  for (auto path = paths_.rbegin(); path != paths_.rend(); ++path) fs::remove(*path, ignored);
}

void MadeDirectories::make(const fs::path& directory) {
  std::vector<fs::path> missing;
  std::error_code error;
  for (fs::path path = directory; !path.empty() && !fs::exists(path, error); path = path.parent_path()) {
    missing.push_back(path);
  }
  for (auto path = missing.rbegin(); path != missing.rend(); ++path) {
    if (fs::create_directory(*path, error)) paths_.push_back(*path);
    if (error) break;
  }
  if (!error) fs::create_directories(directory, error);  // says what else is wrong, such as a file in the way
  if (error) throw cannot_create(directory, error);
}

ClaimedDirectory::ClaimedDirectory(fs::path directory, Logger& logger)
    : directory_(std::move(directory)), lock_path_(directory_ / ".fcmnist_fetch.lock") {
  for (int tries = 1; !try_lock(logger); ++tries) {
    if (tries == most_tries)
      throw cannot_create(directory_, std::make_error_code(std::errc::device_or_resource_busy));
  }
}

ClaimedDirectory::~ClaimedDirectory() {
  std::error_code ignored;
  if (lock_->is_held()) fs::remove(lock_path_, ignored);
  lock_.reset();  // first, since NFS keeps a deleted file in its directory while somebody has it open
}

/// False if another process has removed the directory, or its lock, in between.
bool ClaimedDirectory::try_lock(Logger& logger) {
  made_.make(directory_);
  try {
    lock_.emplace(lock_path_, logger);
  } catch (const DataError&) {
    std::error_code unknown;
    if (fs::exists(directory_, unknown)) throw;
    return false;
  }
  return !lock_->is_held() || lock_->is_current();
}

}  // namespace fcmnist::data
