#include "data/idx_file.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <string_view>

#include "core/text.hpp"

namespace fcmnist::data {

namespace {

constexpr std::size_t magic_bytes = 4;
constexpr std::uint8_t type_unsigned_byte = 0x08;

std::size_t dimensions(IdxKind kind) { return static_cast<std::size_t>(kind); }
std::size_t header_bytes(IdxKind kind) { return magic_bytes + 4 * dimensions(kind); }

std::string_view count_name(IdxKind kind, std::size_t dimension) {
  if (kind == IdxKind::labels) return "number of labels";
  constexpr std::array<std::string_view, 3> names = {"number of images", "rows of an image",
                                                     "columns of an image"};
  return names[dimension];
}

std::string_view type_name(std::uint8_t type) {
  switch (type) {
    case 0x09:
      return "signed byte";
    case 0x0B:
      return "16-bit integer";
    case 0x0C:
      return "32-bit integer";
    case 0x0D:
      return "float";
    case 0x0E:
      return "double";
    default:
      return "no type of IDX";
  }
}

/// "60000 x 28 x 28"
std::string counts_text(const std::vector<std::uint32_t>& counts) {
  std::vector<std::string> numbers;
  numbers.reserve(counts.size());
  for (const std::uint32_t count : counts) numbers.push_back(std::to_string(count));
  return joined(numbers, " x ");
}

std::uint32_t big_endian(std::span<const std::uint8_t> b) {
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

}  // namespace

IdxFile::IdxFile(const std::filesystem::path& path, IdxKind kind) : file_(path), kind_(kind) {
  std::vector<std::uint8_t> header(header_bytes(kind));
  const std::size_t got = file_.read(header);
  if (got >= magic_bytes) check_magic(header);
  if (got < header.size()) {
    throw file_error(path, "header", fmt::format("{} bytes", got), fmt::format("{} bytes", header.size()));
  }
  for (std::size_t d = 0; d < dimensions(kind); ++d) {
    counts_.push_back(big_endian(std::span(header).subspan(magic_bytes + 4 * d, 4)));
  }
  check_counts();
}

void IdxFile::check_magic(std::span<const std::uint8_t> magic) const {
  if (magic[0] != 0 || magic[1] != 0) {
    throw file_error(file_.path(), "magic number",
                     fmt::format("{:02x} {:02x} {:02x} {:02x}", magic[0], magic[1], magic[2], magic[3]),
                     fmt::format("00 00 {:02x} {:02x}", type_unsigned_byte, dimensions(kind_)));
  }
  if (magic[2] != type_unsigned_byte) {
    throw file_error(file_.path(), "type of the numbers",
                     fmt::format("0x{:02x} ({})", magic[2], type_name(magic[2])), "0x08 (unsigned byte)");
  }
  if (magic[3] != dimensions(kind_)) {
    throw file_error(
        file_.path(), "number of dimensions", std::to_string(magic[3]),
        fmt::format("{} ({})", dimensions(kind_), kind_ == IdxKind::images ? "images" : "labels"),
        "check that the file of images and the file of labels were not exchanged");
  }
}

void IdxFile::check_counts() {
  std::uint64_t bytes = 1;
  for (std::size_t d = 0; d < counts_.size(); ++d) {
    const bool is_side = d > 0;
    if (counts_[d] == 0 || (is_side && counts_[d] > max_side)) {
      throw file_error(file_.path(), count_name(kind_, d), std::to_string(counts_[d]),
                       is_side ? fmt::format("1 to {}", max_side) : "1 or more");
    }
    bytes *= counts_[d];  // cannot overflow: at most 2^32 * 2^12 * 2^12
  }
  // A plain file must have exactly the announced length. Of a gzipped one, only the largest possible length
  // is known so early.
  const std::uint64_t announced = header_bytes(kind_) + bytes;
  const std::uint64_t found = file_.max_content_bytes();
  if (announced > found || (!file_.is_compressed() && announced < found)) {
    throw file_error(file_.path(), "length",
                     fmt::format("{}{} bytes", file_.is_compressed() ? "at most " : "", found),
                     fmt::format("{} bytes (header: {})", announced, counts_text(counts_)));
  }
  body_bytes_ = bytes;
}

void IdxFile::read_body(std::span<std::uint8_t> body) {
  FCMNIST_CHECK(body.size() == body_bytes_, fmt::format("{} != {}", body.size(), body_bytes_));
  const std::string expected = fmt::format("{} bytes (header: {})", body_bytes_, counts_text(counts_));
  const std::size_t got = file_.read(body);
  if (got < body.size()) {
    throw file_error(file_.path(), "length behind the header", fmt::format("{} bytes", got), expected);
  }
  // When zlib reaches the end, it also verifies its checksum.
  std::uint8_t more = 0;
  if (file_.read({&more, 1}) != 0) {
    throw file_error(file_.path(), "length behind the header", fmt::format("more than {} bytes", got),
                     expected);
  }
}

}  // namespace fcmnist::data
