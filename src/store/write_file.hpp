#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// How the files of a model_dir are written. Every failure is a StoreError: a full disk, a quota, a
/// permission, a directory that has vanished. The old file is then untouched.
namespace fcmnist::store {

/// Replaces a file as a whole and waits until it is on the disk (see AtomicFile::commit).
void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes,
                      std::string_view text_behind = {});
void write_atomically(const std::filesystem::path& path, std::string_view text);

/// Writes a file that replaces none: it gets the first of name(first), name(first + 1), ... that no file has,
/// even if other processes look for a name at the same time. All are in one directory. Waits until the file is
/// on the disk, and returns its name.
std::filesystem::path write_as_new(const std::function<std::filesystem::path(int)>& name, int first,
                                   std::span<const std::byte> bytes, std::string_view text_behind = {});

/// Replaces a file as a whole without waiting for the disk (see AtomicFile::commit_without_sync).
void replace_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Proves that files can be written into a directory, by writing one and removing it.
void check_writable(const std::filesystem::path& directory);

/// Removes the temporary files that dead runs left in a model_dir, and returns their names. To be called with
/// the ModelDirLock held: then every temporary of a checkpoint or of another file that only the run with the
/// lock writes is a leftover. See remove_leftovers() for the other files (evaluation*.h5).
std::vector<std::string> remove_stale_temporaries(const std::filesystem::path& directory);

/// Renames a damaged file to the first free "<path>.damaged-<n>", out of the way of good ones, and returns
/// that name.
std::filesystem::path rename_damaged(const std::filesystem::path& path);

}  // namespace fcmnist::store
