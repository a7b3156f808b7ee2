#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fcmnist::store {

/// Replaces a file durably and as a whole: the bytes go to a temporary name in the same directory, are
/// synced, and are renamed over `path`; then the directory is synced. Whatever happens, `path` holds the old
/// content or the new one. Throws StoreError (full disk, quota, permission, vanished directory ...); then the
/// temporary is gone and the old file is untouched. Exceeding `ulimit -f` is such an error only if the
/// process ignores SIGXFSZ.
void write_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
void write_atomically(const std::filesystem::path& path, std::string_view text);

/// Replaces a file as a whole without waiting for the disk: whole after the death of this process, but not
/// after that of the machine. Throws StoreError; the old file is then untouched.
void replace_file(const std::filesystem::path& path, std::span<const std::byte> bytes);

/// Makes durable that a file is there (its creation, renaming or deletion). Throws StoreError.
void sync_directory_of(const std::filesystem::path& path);

/// Proves that files can be written into a directory, by writing one and removing it. Throws StoreError.
void check_writable(const std::filesystem::path& directory);

/// "`.<name>.tmp.<host>.<pid>`": the temporary name used for `path` by this process.
std::filesystem::path temporary_name(const std::filesystem::path& path);

/// Removes temporaries that dead runs left in a model_dir; to be called with its ModelDirLock held. Of files
/// that only the run with the lock writes, every temporary is such a one, whatever host and process it names.
/// Of others (evaluation.h5): those of this host whose process is gone, of other hosts those older than a
/// day. Returns the names removed. Failures are not errors: a temporary does no harm.
std::vector<std::string> remove_stale_temporaries(const std::filesystem::path& directory);

/// Renames a damaged file to the first free "<path>.damaged-<n>", out of the way of good ones, and returns
/// that name. Throws StoreError.
std::filesystem::path rename_damaged(const std::filesystem::path& path);

/// What to do about a failed write, by errno; empty if there is nothing to say.
std::string hint_for_errno(int error_number, const std::filesystem::path& path);

}  // namespace fcmnist::store
