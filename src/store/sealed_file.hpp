#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"

namespace fcmnist::store {

/// A file that is there and readable but of no use: damaged, of another kind, foreign, or of a newer version.
/// Whoever can go on without it may catch this; all other StoreErrors are about the file system.
struct UnusableFileError : StoreError {
  using StoreError::StoreError;
};

/// What a file of ours holds.
enum class FileKind { checkpoint, metrics };

/// The version of both formats that this program writes, and the newest that it reads. See FORMAT.md.
inline constexpr int format_version = 1;

/// Seals a file and puts it in place, durably (see write_atomically): fills its user block (see FORMAT.md)
/// with kind, version, length and SHA-256 of the HDF5 image behind it. HDF5's own checksums do not cover its
/// metadata; this covers every byte. Callable from any thread: it uses neither HDF5 nor MPI. Throws
/// StoreError; a file that was there is then untouched.
///   bytes    user block (512 bytes, overwritten) and HDF5 image
void write_sealed(const std::filesystem::path& path, FileKind kind, std::span<std::byte> bytes);

/// Reads a whole file and verifies its seal. Throws UnusableFileError if it is not an intact file of this
/// kind, StoreError if it cannot be read.
std::vector<std::byte> read_sealed(const std::filesystem::path& path, FileKind kind);

}  // namespace fcmnist::store
