#include "data/gz_file.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <vector>

#include "core/digest.hpp"

namespace fcmnist::data {

namespace {

constexpr std::size_t buffer_bytes = 1 << 18;
// gzread counts in int.
constexpr std::size_t max_call_bytes = 1 << 30;
// Deflate cannot compress better than this: 258 bytes in 2 bits.
constexpr std::uint64_t max_deflate_ratio = 1032;
constexpr std::string_view replace_hint =
    "the file is damaged or is something else: copy it again; or if it is one of MNIST's own, delete it, and "
    "it "
    "is fetched again (download True)";

gzFile as_gz(void* handle) { return static_cast<gzFile>(handle); }

/// The size on disk of a file, which must be regular and not empty.
std::uint64_t size_of_regular_file(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (error) throw DataError(fmt::format("{}: cannot open: {}", path.string(), error.message()));
  if (std::filesystem::is_directory(status)) {
    throw file_error(path, "kind of file", "a directory", "a file",
                     "if the file lies in this directory, move it up into data_dir");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw file_error(path, "kind of file", "a device, pipe or socket", "a regular file");
  }
  const auto bytes = std::filesystem::file_size(path, error);
  if (error) throw DataError(fmt::format("{}: cannot find its size: {}", path.string(), error.message()));
  if (bytes == 0) throw file_error(path, "length", "an empty file", "an IDX file");
  return bytes;
}

}  // namespace

DataError file_error(const std::filesystem::path& path, std::string_view field, std::string_view found,
                     std::string_view expected, std::string_view hint) {
  return DataError(fmt::format("{}: {}: found {}, expected {}", path.string(), field, found, expected),
                   hint.empty() ? replace_hint : hint);
}

void GzFile::Close::operator()(void* handle) const { gzclose_r(as_gz(handle)); }

GzFile::GzFile(const std::filesystem::path& path) : path_(path), bytes_on_disk_(size_of_regular_file(path)) {
  errno = 0;
  handle_.reset(gzopen(path.c_str(), "rb"));
  if (!handle_) {
    const int reason = errno != 0 ? errno : ENOMEM;  // zlib leaves errno alone when it has no memory
    throw DataError(fmt::format("{}: cannot open: {}", path.string(), std::strerror(reason)),
                    "check that this user may read the file and the directories above it");
  }
  FCMNIST_CHECK(gzbuffer(as_gz(handle_.get()), buffer_bytes) == 0, path.string());
}

std::size_t GzFile::read(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto want = static_cast<unsigned>(std::min(out.size() - done, max_call_bytes));
    const int got = gzread(as_gz(handle_.get()), out.data() + done, want);
    if (got < 0) throw_damaged();
    bytes_read_ += static_cast<unsigned>(got);
    done += static_cast<unsigned>(got);
    if (static_cast<unsigned>(got) < want) {
      // Only here does zlib say that the end came too early: a short read alone is also how a good file ends.
      int status = Z_OK;
      gzerror(as_gz(handle_.get()), &status);
      if (status != Z_OK) throw_damaged();
      break;
    }
  }
  return done;
}

void GzFile::throw_damaged() const {
  int status = Z_OK;
  const char* text = gzerror(as_gz(handle_.get()), &status);
  if (status == Z_ERRNO) throw DataError(errno_message("cannot read", path_.string(), errno));
  // zlib puts the path in front of its text.
  std::string_view reason(text);
  if (reason.starts_with(path_.string() + ": ")) reason.remove_prefix(path_.string().size() + 2);
  throw file_error(path_, "gzip data",
                   fmt::format("damage behind {} bytes of content ({})", bytes_read_, reason),
                   "a complete gzip file with the right checksum");
}

bool GzFile::is_compressed() const { return gzdirect(as_gz(handle_.get())) == 0; }

std::uint64_t GzFile::max_content_bytes() const {
  return is_compressed() ? bytes_on_disk_ * max_deflate_ratio : bytes_on_disk_;
}

std::string content_sha256(const std::filesystem::path& path, std::uint64_t max_bytes) {
  GzFile file(path);
  std::vector<std::uint8_t> buffer(buffer_bytes);
  Sha256 sum;
  std::uint64_t bytes = 0;
  for (;;) {
    const std::size_t got = file.read(buffer);
    bytes += got;
    if (bytes > max_bytes) {
      throw file_error(path, "length", fmt::format("more than {} bytes of content", max_bytes),
                       "at most so many");
    }
    sum.add(std::as_bytes(std::span(buffer).first(got)));
    if (got < buffer.size()) return sum.hex();
  }
}

}  // namespace fcmnist::data
