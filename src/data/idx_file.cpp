#include "data/idx_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>

#include "core/digest.hpp"
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

struct NumberType {
  std::uint8_t code;
  std::string_view name;
};

constexpr NumberType other_types[] = {
    {0x09, "signed byte"}, {0x0B, "16-bit integer"}, {0x0C, "32-bit integer"},
    {0x0D, "float"},       {0x0E, "double"},
};

std::string_view type_name(std::uint8_t type) {
  const auto found = std::ranges::find(other_types, type, &NumberType::code);
  return found == std::end(other_types) ? "no type of IDX" : found->name;
}

bool is_type(std::uint8_t type) { return type == type_unsigned_byte || type_name(type) != "no type of IDX"; }

/// Formats that are met under the name of an IDX file.
struct Format {
  std::string_view begin;
  std::string_view hint;
};

constexpr Format other_formats[] = {
    {"PK", "this is a zip archive: unpack it"},
    {"\xFD"
     "7zXZ",
     "this is an xz file: unpack it (unxz)"},
    {"BZh", "this is a bzip2 file: unpack it (bunzip2)"},
    {"\x28\xB5\x2F\xFD", "this is a zstd file: unpack it (unzstd)"},
    {"\x93NUM", "this is an array of NumPy, which is not read: store it as an IDX file"},
    {"\x89HDF", "this is an HDF5 file, which is not read: store its arrays as IDX files"},
    {"\x89PNG", "this is a picture: an IDX file holds all images of a split"},
    {"<", "this is a web page, as a login or a proxy sends it in place of the file: fetch the file again"},
};

constexpr std::string_view little_endian_hint =
    "the header is little-endian: write its numbers in big-endian order, as IDX has them";

std::string_view hint_for_magic(std::span<const std::uint8_t> magic) {
  const std::string text(magic.begin(), magic.end());
  for (const Format& format : other_formats) {
    if (text.starts_with(format.begin.substr(0, text.size()))) return format.hint;
  }
  const bool is_swapped = magic[2] == 0 && magic[3] == 0 && is_type(magic[1]) && magic[0] > 0;
  return is_swapped ? little_endian_hint : std::string_view();
}

std::string hint_for_type(std::uint8_t type, std::uint8_t dimensions, IdxKind kind) {
  if (!is_type(type)) return {};
  constexpr std::string_view is_whole = "this is an IDX file of a kind that is not read";
  if (kind == IdxKind::labels && dimensions == 2) {
    return fmt::format(
        "{}, not a damaged one: QMNIST's labels are 8 numbers per sample, of which the first is the class. "
        "Store the classes alone, as unsigned bytes (names end in labels-idx1-ubyte)",
        is_whole);
  }
  return fmt::format("{}, not a damaged one: store its numbers as unsigned bytes, {}", is_whole,
                     kind == IdxKind::images ? "0 for background to 255 for ink" : "one class per sample");
}

std::string hint_for_dimensions(std::uint8_t found, IdxKind kind) {
  const IdxKind other = kind == IdxKind::images ? IdxKind::labels : IdxKind::images;
  if (found == dimensions(other)) {
    return "check that the file of images and the file of labels were not exchanged";
  }
  if (found == 0 || found > 8) return {};
  return fmt::format("this is an IDX file of a kind that is not read, not a damaged one: store {}",
                     kind == IdxKind::images
                         ? "samples x rows x columns, with one number per pixel (no colours)"
                         : "one class per sample");
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

IdxFile::IdxFile(const std::filesystem::path& path, IdxKind kind)
    : file_(path), kind_(kind), header_(header_bytes(kind)) {
  const std::size_t got = file_.read(header_);
  if (got >= magic_bytes) check_magic();
  if (got < header_.size()) {
    throw file_error(path, "header", fmt::format("{} bytes", got), fmt::format("{} bytes", header_.size()));
  }
  for (std::size_t d = 0; d < dimensions(kind); ++d) {
    counts_.push_back(big_endian(std::span(header_).subspan(magic_bytes + 4 * d, 4)));
  }
  check_counts();
}

void IdxFile::check_magic() const {
  const auto magic = std::span(header_).first(magic_bytes);
  if (magic[0] != 0 || magic[1] != 0) {
    throw file_error(file_.path(), "magic number",
                     fmt::format("{:02x} {:02x} {:02x} {:02x}", magic[0], magic[1], magic[2], magic[3]),
                     fmt::format("00 00 {:02x} {:02x}", type_unsigned_byte, dimensions(kind_)),
                     hint_for_magic(magic));
  }
  if (magic[2] != type_unsigned_byte) {
    throw file_error(file_.path(), "type of the numbers",
                     fmt::format("0x{:02x} ({})", magic[2], type_name(magic[2])), "0x08 (unsigned byte)",
                     hint_for_type(magic[2], magic[3], kind_));
  }
  if (magic[3] != dimensions(kind_)) {
    throw file_error(
        file_.path(), "number of dimensions", std::to_string(magic[3]),
        fmt::format("{} ({})", dimensions(kind_), kind_ == IdxKind::images ? "images" : "labels"),
        hint_for_dimensions(magic[3], kind_));
  }
}

/// Whether the counts make sense when their bytes are read the other way round.
bool IdxFile::has_little_endian_counts() const {
  std::uint64_t bytes = 1;
  for (std::size_t d = 0; d < counts_.size(); ++d) {
    const std::uint32_t count = __builtin_bswap32(counts_[d]);
    if (count == 0 || (d > 0 && count > max_side)) return false;
    bytes *= count;
  }
  const std::uint64_t announced = header_.size() + bytes;
  return file_.is_compressed() ? announced <= file_.max_content_bytes()
                               : announced == file_.max_content_bytes();
}

void IdxFile::check_counts() {
  std::uint64_t bytes = 1;
  for (std::size_t d = 0; d < counts_.size(); ++d) {
    const bool is_side = d > 0;
    if (counts_[d] == 0 || (is_side && counts_[d] > max_side)) {
      std::string_view hint = "this file has no samples";
      if (counts_[d] != 0)
        hint = "larger images are not read; if these are not so large, the file is damaged";
      throw file_error(file_.path(), count_name(kind_, d), std::to_string(counts_[d]),
                       is_side ? fmt::format("1 to {}", max_side) : "1 or more",
                       has_little_endian_counts() ? little_endian_hint : hint);
    }
    bytes *= counts_[d];  // cannot overflow: at most 2^32 * 2^12 * 2^12
  }
  // A plain file must have exactly the announced length. Of a gzipped one, only the largest possible length
  // is known so early.
  const std::uint64_t announced = header_.size() + bytes;
  const std::uint64_t found = file_.max_content_bytes();
  if (announced > found || (!file_.is_compressed() && announced < found)) {
    throw file_error(file_.path(), "length",
                     fmt::format("{}{} bytes", file_.is_compressed() ? "at most " : "", found),
                     fmt::format("{} bytes (header: {})", announced, counts_text(counts_)),
                     has_little_endian_counts() ? little_endian_hint : std::string_view());
  }
  body_bytes_ = bytes;
}

std::string IdxFile::expected_length() const {
  return fmt::format("{} bytes (header: {})", body_bytes_, counts_text(counts_));
}

void IdxFile::read_first(std::span<std::uint8_t> body) {
  FCMNIST_CHECK(body.size() <= body_bytes_, fmt::format("{} > {}", body.size(), body_bytes_));
  const std::size_t got = file_.read(body);
  if (got < body.size()) {
    throw file_error(file_.path(), "length behind the header", fmt::format("{} bytes", got),
                     expected_length());
  }
}

void IdxFile::read_body(std::span<std::uint8_t> body) {
  FCMNIST_CHECK(body.size() == body_bytes_, fmt::format("{} != {}", body.size(), body_bytes_));
  read_first(body);
  // When zlib reaches the end, it also verifies its checksum.
  std::uint8_t more = 0;
  if (file_.read({&more, 1}) != 0) {
    throw file_error(file_.path(), "length behind the header", fmt::format("more than {} bytes", body.size()),
                     expected_length());
  }
}

std::string IdxFile::sha256(std::span<const std::uint8_t> body) const {
  Sha256 sum;
  sum.add(std::as_bytes(std::span(header_)));
  sum.add(std::as_bytes(body));
  return sum.hex();
}

}  // namespace fcmnist::data
