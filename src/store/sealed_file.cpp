#include "store/sealed_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

#include "core/digest.hpp"
#include "store/hdf5.hpp"
#include "store/input_file.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

using hdf5::user_block_bytes;

constexpr std::string_view program = "fcmnist_mpi ";
constexpr std::string_view hdf5_signature = "\x89HDF\r\n\x1a\n";

std::string_view name_of(FileKind kind) { return kind == FileKind::checkpoint ? "checkpoint" : "metrics"; }

/// The text of the user block, padded with line feeds. For given values there is exactly one valid text, so
/// that any changed byte of the block is found.
std::string seal_text(std::string_view kind, int version, std::size_t image_bytes,
                      std::string_view image_sha256) {
  std::string text = fmt::format("{}{}\nformat_version {}\nimage_bytes {}\nimage_sha256 {}\n", program, kind,
                                 version, image_bytes, image_sha256);
  text.resize(user_block_bytes, '\n');
  return text;
}

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Refuses a file that is not one of ours, before a large foreign file is read.
void check_origin(const fs::path& path, std::string_view block) {
  if (block.empty()) throw UnusableFileError(fmt::format("{}: the file is empty", path.string()));
  if (block.starts_with(program)) return;
  if (block.starts_with(hdf5_signature)) {
    throw UnusableFileError(
        fmt::format("{}: an HDF5 file, but not written by fcmnist_mpi (or saved again by another program)",
                    path.string()),
        "give the file that the run wrote; copies made by cp, rsync or scp are fine");
  }
  const bool zeros = std::all_of(block.begin(), block.end(), [](char c) { return c == '\0'; });
  throw UnusableFileError(fmt::format(
      "{}: not a file of fcmnist_mpi: it begins with {}", path.string(),
      zeros ? "zeros, expected the text \"fcmnist_mpi\"" : "other bytes than the text \"fcmnist_mpi\""));
}

[[noreturn]] void damaged(const fs::path& path, std::string_view how) {
  throw UnusableFileError(fmt::format("{}: the file is damaged: {}", path.string(), how),
                          "if it was copied here, copy it again; of checkpoints, an older one will do");
}

struct Seal {
  std::string kind;
  int version = 0;
  std::size_t image_bytes = 0;
  std::string image_sha256;
};

Seal parse_seal(const fs::path& path, std::string_view block) {
  char kind[16] = "", sha256[65] = "";
  Seal seal;
  const std::string text(block);
  const int fields =
      std::sscanf(text.c_str(), "fcmnist_mpi %15s format_version %9d image_bytes %18zu image_sha256 %64s",
                  kind, &seal.version, &seal.image_bytes, sha256);
  seal.kind = kind;
  seal.image_sha256 = sha256;
  if (fields != 4 || block != seal_text(seal.kind, seal.version, seal.image_bytes, seal.image_sha256)) {
    damaged(path, "its first 512 bytes are not as they were written");
  }
  return seal;
}

void check_meaning(const fs::path& path, const Seal& seal, FileKind kind) {
  if (seal.version > format_version || seal.version < 1) {
    throw UnusableFileError(fmt::format("{}: format version {}, expected at most {}", path.string(),
                                        seal.version, format_version),
                            "it was written by a newer fcmnist_mpi: use that one");
  }
  if (seal.kind != name_of(kind)) {
    throw UnusableFileError(
        fmt::format("{}: found a {} file, expected a {} file", path.string(), seal.kind, name_of(kind)),
        "checkpoints are named checkpoint_<step>.h5, metrics metrics.h5");
  }
}

/// Writes the seal of an image into the user block before it.
void seal(FileKind kind, std::span<std::byte> bytes) {
  FCMNIST_CHECK(bytes.size() > user_block_bytes, fmt::format("{} bytes", bytes.size()));
  const auto image = bytes.subspan(user_block_bytes);
  const std::string text = seal_text(name_of(kind), format_version, image.size(), sha256_hex(image));
  FCMNIST_CHECK(text.size() == user_block_bytes, text);
  std::memcpy(bytes.data(), text.data(), text.size());
}

}  // namespace

void write_sealed(const fs::path& path, FileKind kind, std::span<std::byte> bytes) {
  seal(kind, bytes);
  write_atomically(path, bytes);
}

fs::path write_sealed_as_new(const std::function<fs::path(int)>& name, int first, FileKind kind,
                             std::span<std::byte> bytes) {
  seal(kind, bytes);
  return write_as_new(name, first, bytes);
}

std::vector<std::byte> read_sealed(const fs::path& path, FileKind kind) {
  InputFile file(path);
  if (!file.regular()) {
    throw StoreError(
        fmt::format("{}: found a directory or a device, expected a {} file", path.string(), name_of(kind)),
        "name the file itself, for example model_dir/checkpoint_1000.h5");
  }
  std::vector<std::byte> bytes(user_block_bytes);
  bytes.resize(file.read(bytes));
  check_origin(path, as_text(bytes));
  if (bytes.size() < user_block_bytes) damaged(path, fmt::format("cut off after {} bytes", bytes.size()));
  const Seal seal = parse_seal(path, as_text(bytes));
  check_meaning(path, seal, kind);
  if (file.size() != user_block_bytes + seal.image_bytes) {
    damaged(path,
            fmt::format("found {} bytes, expected {}", file.size(), user_block_bytes + seal.image_bytes));
  }
  bytes.resize(file.size());
  const auto image = std::span(bytes).subspan(user_block_bytes);
  if (file.read(image) != image.size()) damaged(path, "it became shorter while it was read");
  const std::string found = sha256_hex(image);
  if (found != seal.image_sha256) {
    damaged(path, fmt::format("found SHA-256 {}..., expected {}...", found.substr(0, 12),
                              seal.image_sha256.substr(0, 12)));
  }
  return bytes;
}

}  // namespace fcmnist::store
