#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace fcmnist::store {

/// A file can be read but not used: it is damaged, of another kind, foreign, or of a newer version. Callers
/// that can go on without the file may catch this error. All other StoreErrors are about the file system.
struct UnusableFileError : StoreError {
  using StoreError::StoreError;
};

/// The kinds of files that this program writes.
enum class FileKind { checkpoint, metrics, predictions, trace, sweep };
std::string_view name_of(FileKind kind);

/// The version of both formats that this program writes, and the newest that it reads. See FORMAT.md.
inline constexpr int format_version = 2;

/// Length of a seal: text, filled up with line feeds.
inline constexpr std::size_t seal_bytes = 512;

/// The seal of an HDF5 image: kind, version, length and SHA-256 of the image (see FORMAT.md). It covers every
/// byte, whereas HDF5's own checksums do not cover its metadata.
std::string seal_of(FileKind kind, int version, std::span<const std::byte> image);

/// Writes an HDF5 image and behind it its seal, durably and as a whole (see AtomicFile::commit). Any thread
/// may call this, since it uses neither HDF5 nor MPI. Throws StoreError; an old file is then untouched.
void write_sealed(const std::filesystem::path& path, FileKind kind, std::span<const std::byte> image);

/// The same for a file that replaces none, as write_as_new() names it.
std::filesystem::path write_sealed_as_new(const std::function<std::filesystem::path(int)>& name, int first,
                                          FileKind kind, std::span<const std::byte> image);

/// Reads the HDF5 image of a file and verifies its seal. In files of version 1 the seal stands before the
/// image. Throws UnusableFileError if it is not an intact file of this kind, StoreError if it cannot be read.
std::vector<std::byte> read_sealed(const std::filesystem::path& path, FileKind kind);

}  // namespace fcmnist::store
