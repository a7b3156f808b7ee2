// A pair of IDX files, plain or gzipped: images, then a mark, then labels. Without the mark there are no
// labels.
#include <algorithm>
#include <vector>

#include "core/digest.hpp"
#include "data/dataset.hpp"
#include "data/idx_file.hpp"
#include "fuzz/fuzz.hpp"

namespace fcmnist::data {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::string_view mark = "--labels--";
constexpr int num_classes = 10;
constexpr std::size_t most_content = std::size_t{32} << 20;

void add_big_endian(std::vector<std::uint8_t>& bytes, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<std::uint8_t>(number >> shift));
}

/// The plain file that a reader says it has read.
std::vector<std::uint8_t> written_again(const IdxFile& file, Bytes body) {
  std::vector<std::uint8_t> bytes = {0, 0, 8, static_cast<std::uint8_t>(file.counts().size())};
  for (const std::uint32_t count : file.counts()) add_big_endian(bytes, count);
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

/// One file by itself: refused, or its content is what was read, to the last byte.
void read_one(const std::filesystem::path& path, IdxKind kind) {
  try {
    IdxFile file(path, kind);
    if (file.body_bytes() > most_content) return;
    std::vector<std::uint8_t> body(file.body_bytes());
    file.read_body(body);
    const std::vector<std::uint8_t> again = written_again(file, body);
    const std::string found = sha256_hex(std::as_bytes(std::span(again)));
    FCMNIST_CHECK(found == content_sha256(path, 2 * most_content), path.string());
  } catch (const DataError&) {
  }
}

void read_pair(const DatasetFiles& files) {
  try {
    const DatasetShape shape = read_shape(files);
    if (shape.image_bytes() > most_content) return;
    std::vector<std::uint8_t> images(shape.image_bytes()), labels(shape.samples);
    read_samples(files, shape, num_classes, images, labels);
    const Dataset set = make_dataset(shape, num_classes, images, labels);
    const bool in_range = std::ranges::all_of(set.labels, [](int label) { return label < num_classes; });
    FCMNIST_CHECK(set.samples() > 0 && set.features() > 0 && in_range, to_string(shape));
  } catch (const DataError&) {
  }
}

}  // namespace
}  // namespace fcmnist::data

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fcmnist::data;
  const Bytes input(data, size);
  const std::size_t at = fcmnist::fuzz::as_text(input).find(mark);
  const bool marked = at != std::string_view::npos;
  const fcmnist::fuzz::MemoryFile images(marked ? input.first(at) : input);
  const fcmnist::fuzz::MemoryFile labels(marked ? input.subspan(at + mark.size()) : Bytes());
  read_one(images.path(), IdxKind::images);
  read_one(labels.path(), IdxKind::labels);
  read_pair({images.path(), labels.path()});
  return 0;
}
