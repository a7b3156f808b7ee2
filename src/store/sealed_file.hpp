#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace fcmnist::store {

/// A file can be read but not used: it is damaged, of another kind, foreign, or of a newer version. Callers
/// that can go on without the file may catch this error. All other StoreErrors are about the file system.
struct UnusableFileError : StoreError {
  using StoreError::StoreError;
};

/// The kinds of files that this program writes.
enum class FileKind { checkpoint, metrics };

/// The version of both formats that this program writes, and the newest that it reads. See FORMAT.md.
inline constexpr int format_version = 1;

/// Seals a file and writes it with write_atomically(). The seal is the text in the user block (see
/// FORMAT.md): kind, version, length and SHA-256 of the HDF5 image behind it. It covers every byte, whereas
/// HDF5's own checksums do not cover its metadata. Any thread may call this, since it uses neither HDF5 nor
/// MPI. Throws StoreError; an old file is then untouched.
///   bytes    user block (512 bytes, overwritten) and HDF5 image
void write_sealed(const std::filesystem::path& path, FileKind kind, std::span<std::byte> bytes);

/// The same for a file that replaces none, as write_as_new() names it.
std::filesystem::path write_sealed_as_new(const std::function<std::filesystem::path(int)>& name, int first,
                                          FileKind kind, std::span<std::byte> bytes);

/// Reads a whole file and verifies its seal. Throws UnusableFileError if it is not an intact file of this
/// kind, StoreError if it cannot be read.
std::vector<std::byte> read_sealed(const std::filesystem::path& path, FileKind kind);

}  // namespace fcmnist::store
