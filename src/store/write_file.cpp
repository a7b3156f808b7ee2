#include "store/write_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "core/atomic_file.hpp"
#include "store/write_error.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view probe_name = "write_test";

/// Whether only the run that holds the ModelDirLock writes a file of this name.
bool is_of_the_run(std::string_view final_name) {
  constexpr std::array<std::string_view, 5> names = {"metrics.h5", "metrics.journal", "params.yaml",
                                                     "STOPPED", probe_name};
  return final_name.starts_with("checkpoint_") ||
         std::find(names.begin(), names.end(), final_name) != names.end();
}

}  // namespace

void write_atomically(const fs::path& path, std::span<const std::byte> bytes, std::string_view text_behind) {
  AtomicFile file(path, &throw_write_error);
  file.write(bytes);
  file.write(std::as_bytes(std::span(text_behind)));
  file.commit();
}

void write_atomically(const fs::path& path, std::string_view text) {
  write_atomically(path, std::as_bytes(std::span(text)));
}

fs::path write_as_new(const std::function<fs::path(int)>& name, int first, std::span<const std::byte> bytes,
                      std::string_view text_behind) {
  AtomicFile file(name(first), &throw_write_error);
  file.write(bytes);
  file.write(std::as_bytes(std::span(text_behind)));
  file.sync_and_close();
  int n = first;
  while (!file.take_name(name(n))) ++n;
  sync_directory_of(name(n), &throw_write_error);
  return name(n);
}

void replace_file(const fs::path& path, std::span<const std::byte> bytes) {
  AtomicFile file(path, &throw_write_error);
  file.write(bytes);
  file.commit_without_sync();
}

void check_writable(const fs::path& directory) {
  // The probe is larger than what file systems keep inside an inode, so that a full disk is noticed.
  const std::vector<std::byte> probe(std::size_t{64} * 1024);
  AtomicFile file(directory / probe_name, &throw_write_error);
  file.write(probe);
  file.sync_and_close();
}

std::vector<std::string> remove_stale_temporaries(const fs::path& directory) {
  return remove_leftovers(directory, &is_of_the_run);
}

fs::path rename_damaged(const fs::path& path) {
  std::error_code error;
  for (int n = 1;; ++n) {
    fs::path candidate = fmt::format("{}.damaged-{}", path.string(), n);
    if (fs::exists(fs::symlink_status(candidate, error))) continue;
    fs::rename(path, candidate, error);
    if (!error) return candidate;
    throw_write_error("rename", path, error.value());
  }
}

}  // namespace fcmnist::store
