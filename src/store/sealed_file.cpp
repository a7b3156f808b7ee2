#include "store/sealed_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>
#include <string_view>
#include <utility>

#include "core/digest.hpp"
#include "core/error.hpp"
#include "store/input_file.hpp"
#include "store/write_file.hpp"

namespace fcmnist::store {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view program = "fcmnist_mpi ";
constexpr std::string_view hdf5_signature = "\x89HDF\r\n\x1a\n";

}  // namespace

std::string_view name_of(FileKind kind) {
  switch (kind) {
    case FileKind::checkpoint:
      return "checkpoint";
    case FileKind::metrics:
      return "metrics";
    case FileKind::predictions:
      return "predictions";
    case FileKind::trace:
      return "trace";
    case FileKind::sweep:
      return "sweep";
  }
  return "?";
}

namespace {

/// For given values there is exactly one valid text, so that any changed byte of a seal is found.
std::string seal_text(std::string_view kind, int version, std::size_t image_bytes,
                      std::string_view image_sha256) {
  std::string text = fmt::format("{}{}\nformat_version {}\nimage_bytes {}\nimage_sha256 {}\n", program, kind,
                                 version, image_bytes, image_sha256);
  text.resize(seal_bytes, '\n');
  return text;
}

[[noreturn]] void damaged(const fs::path& path, std::string_view how) {
  throw UnusableFileError(fmt::format("{}: the file is damaged: {}", path.string(), how),
                          "if it was copied here, copy it again; of checkpoints, an older one will do");
}

[[noreturn]] void foreign(const fs::path& path, std::string_view how) {
  throw UnusableFileError(fmt::format("{}: not a file of fcmnist_mpi: {}", path.string(), how),
                          "give the file that the run wrote; copies made by cp, rsync or scp are fine");
}

/// Up to `length` bytes from `offset` on.
std::string text_at(InputFile& file, std::size_t offset, std::size_t length) {
  std::string text(length, '\0');
  text.resize(file.read_at(offset, std::as_writable_bytes(std::span(text))));
  return text;
}

/// Where the image and its seal lie.
struct Parts {
  std::size_t image_begin;
  std::string seal;
  const char* seal_place;
};

/// Tells the versions apart by the first bytes, and refuses a file that is not one of ours before it is read.
Parts find_parts(const fs::path& path, InputFile& file) {
  const std::string first = text_at(file, 0, seal_bytes);
  if (first.empty()) throw UnusableFileError(fmt::format("{}: the file is empty", path.string()));
  if (first.starts_with(program)) {  // version 1
    if (first.size() < seal_bytes) damaged(path, fmt::format("cut off after {} bytes", first.size()));
    return {seal_bytes, first, "first"};
  }
  if (!first.starts_with(hdf5_signature)) {
    const bool zeros = std::ranges::all_of(first, [](char c) { return c == '\0'; });
    foreign(path, zeros ? "it begins with zeros, expected HDF5's signature"
                        : "it begins with other bytes than HDF5's signature");
  }
  const std::size_t end = file.size() < seal_bytes ? 0 : file.size() - seal_bytes;
  std::string last = text_at(file, end, seal_bytes);
  if (!last.starts_with(program)) {
    foreign(path,
            "an HDF5 file without its seal at the end: cut off, changed, or written by another program");
  }
  return {0, std::move(last), "last"};
}

struct Seal {
  std::string kind;
  int version = 0;
  std::size_t image_bytes = 0;
  std::string image_sha256;
};

Seal parse_seal(const fs::path& path, const Parts& parts) {
  char kind[16] = "", sha256[65] = "";
  Seal seal;
  const int fields = std::sscanf(parts.seal.c_str(),
                                 "fcmnist_mpi %15s format_version %9d image_bytes %18zu image_sha256 %64s",
                                 kind, &seal.version, &seal.image_bytes, sha256);
  seal.kind = kind;
  seal.image_sha256 = sha256;
  const bool is_intact =
      fields == 4 && parts.seal == seal_text(seal.kind, seal.version, seal.image_bytes, seal.image_sha256);
  if (!is_intact) {
    damaged(path, fmt::format("its {} {} bytes are not as they were written", parts.seal_place, seal_bytes));
  }
  return seal;
}

void check_meaning(const fs::path& path, const Seal& seal, const Parts& parts, FileKind kind) {
  if (seal.version > format_version || seal.version < 1) {
    throw UnusableFileError(fmt::format("{}: format version {}, expected at most {}", path.string(),
                                        seal.version, format_version),
                            "it was written by a newer fcmnist_mpi: use that one");
  }
  if ((seal.version == 1) != (parts.image_begin > 0)) {
    damaged(path, fmt::format("a file of version {} has its seal elsewhere", seal.version));
  }
  if (seal.kind != name_of(kind)) {
    throw UnusableFileError(
        fmt::format("{}: found a {} file, expected a {} file", path.string(), seal.kind, name_of(kind)),
        "checkpoints are named checkpoint_<step>.h5, metrics metrics.h5");
  }
}

}  // namespace

std::string seal_of(FileKind kind, int version, std::span<const std::byte> image) {
  std::string text = seal_text(name_of(kind), version, image.size(), sha256_hex(image));
  FCMNIST_CHECK(text.size() == seal_bytes, text);
  return text;
}

void write_sealed(const fs::path& path, FileKind kind, std::span<const std::byte> image) {
  write_atomically(path, image, seal_of(kind, format_version, image));
}

fs::path write_sealed_as_new(const std::function<fs::path(int)>& name, int first, FileKind kind,
                             std::span<const std::byte> image) {
  return write_as_new(name, first, image, seal_of(kind, format_version, image));
}

std::vector<std::byte> read_sealed(const fs::path& path, FileKind kind) {
  InputFile file(path);
  if (!file.regular()) {
    throw StoreError(
        fmt::format("{}: found a directory or a device, expected a {} file", path.string(), name_of(kind)),
        "name the file itself, for example model_dir/checkpoint_1000.h5");
  }
  const Parts parts = find_parts(path, file);
  const Seal seal = parse_seal(path, parts);
  check_meaning(path, seal, parts, kind);
  if (file.size() != seal_bytes + seal.image_bytes) {
    damaged(path, fmt::format("found {} bytes, expected {}", file.size(), seal_bytes + seal.image_bytes));
  }
  std::vector<std::byte> image(seal.image_bytes);
  if (file.read_at(parts.image_begin, image) != image.size())
    damaged(path, "it became shorter while it was read");
  const std::string found = sha256_hex(image);
  if (found != seal.image_sha256) {
    damaged(path, fmt::format("found SHA-256 {}..., expected {}...", found.substr(0, 12),
                              seal.image_sha256.substr(0, 12)));
  }
  return image;
}

}  // namespace fcmnist::store
