#include "data/idx_file.hpp"

#include <unistd.h>

#include <algorithm>

#include "core/digest.hpp"
#include "data/idx_fixtures.hpp"

namespace fcmnist::data {
namespace {

using testing::Bytes;
using testing::error_of;
using testing::expect_contains;
using testing::gzipped;
using testing::idx;
using testing::images_file;
using testing::labels_file;
using testing::ramp;
using testing::write_file;

Bytes read_whole(const std::filesystem::path& path, IdxKind kind) {
  IdxFile file(path, kind);
  Bytes body(file.body_bytes());
  file.read_body(body);
  return body;
}

TEST(IdxFile, ReadsPlainAndGzippedFilesWhateverTheirName) {
  const TemporaryDirectory directory;
  write_file(directory / "plain", images_file(5, 3, 2));
  write_file(directory / "gzipped", gzipped(images_file(5, 3, 2)));
  for (const char* name : {"plain", "gzipped"}) {
    EXPECT_EQ(IdxFile(directory / name, IdxKind::images).counts(), (std::vector<std::uint32_t>{5, 3, 2}))
        << name;
    EXPECT_EQ(read_whole(directory / name, IdxKind::images), ramp(30)) << name;
  }
  write_file(directory / "labels", labels_file(3));
  EXPECT_EQ(read_whole(directory / "labels", IdxKind::labels), (Bytes{0, 1, 2}));
}

TEST(IdxFile, ReadsGzipOfSeveralMembersAndIgnoresWhatFollowsThem) {
  const TemporaryDirectory directory;
  const Bytes whole = images_file(5, 3, 2);
  Bytes members = gzipped({whole.begin(), whole.begin() + 20});
  const Bytes second = gzipped({whole.begin() + 20, whole.end()});
  members.insert(members.end(), second.begin(), second.end());
  members.insert(members.end(), {0, 0, 0, 0});  // padding, as tapes leave it
  write_file(directory / "members", members);
  EXPECT_EQ(read_whole(directory / "members", IdxKind::images), ramp(30));
}

struct BadFile {
  std::string name;
  Bytes content;
  IdxKind kind;
  std::vector<std::string> message;  ///< parts that it must have
};

Bytes without_end(Bytes bytes, std::size_t count) {
  bytes.resize(bytes.size() - count);
  return bytes;
}

Bytes with(Bytes bytes, std::size_t at, std::uint8_t value) {
  bytes.at(at) = value;
  return bytes;
}

Bytes with_more(Bytes bytes, std::size_t count) {
  bytes.resize(bytes.size() + count, 7);
  return bytes;
}

Bytes flipped(Bytes bytes, std::size_t at) {
  bytes.at(at) ^= 0xFF;
  return bytes;
}

const Bytes good = images_file(20, 28, 28);
const Bytes good_gz = gzipped(good);
constexpr auto images = IdxKind::images;
constexpr std::uint32_t most = 0xFFFFFFFF;

Bytes text(std::string_view content) { return {content.begin(), content.end()}; }

const std::vector<BadFile>& bad_files() {
  static const std::vector<BadFile> files = {
      {"Empty", {}, images, {"length", "empty"}},
      {"OneByte", {0}, images, {"header", "found 1 bytes", "expected 16 bytes"}},
      {"HalfAHeader", {0, 0, 8, 3, 0, 0, 0, 5}, images, {"header", "found 8 bytes", "expected 16 bytes"}},
      {"EndsInsideMagic", {0, 0, 8}, IdxKind::labels, {"header", "found 3 bytes", "expected 8 bytes"}},
      {"FirstByte", with(good, 0, 1), images, {"magic number", "found 01 00 08 03", "expected 00 00 08 03"}},
      {"SecondByte", with(good, 1, 9), images, {"magic number", "found 00 09 08 03"}},
      {"WebPage",
       text("<!DOCTYPE html><html><body>Please log in</body></html>"),
       images,
       {"magic number", "3c 21"}},
      {"WebPageGzipped",
       gzipped(text("<!DOCTYPE html><html><body>Log in</body></html>")),
       images,
       {"magic number"}},
      {"TypeFloat", with(good, 2, 0x0D), images, {"type", "found 0x0d (float)", "expected 0x08"}},
      {"TypeUnknown", with(good, 2, 0x55), images, {"type", "found 0x55"}},
      {"LabelsAsImages",
       labels_file(20),
       images,
       {"dimensions", "found 1", "expected 3 (images)", "exchanged"}},
      {"ImagesAsLabels",
       good,
       IdxKind::labels,
       {"dimensions", "found 3", "expected 1 (labels)", "exchanged"}},
      {"FourDimensions", idx(8, {2, 2, 2, 2}, ramp(16)), images, {"dimensions", "found 4"}},
      {"NoImages", idx(8, {0, 28, 28}, {}), images, {"number of images", "found 0"}},
      {"NoLabels", idx(8, {0}, {}), IdxKind::labels, {"number of labels", "found 0"}},
      {"NoRows", idx(8, {5, 0, 28}, {}), images, {"rows of an image", "found 0", "expected 1 to 4096"}},
      {"NoColumns", idx(8, {5, 28, 0}, {}), images, {"columns of an image", "found 0"}},
      {"HugeRows", idx(8, {1, 4097, 1}, ramp(4097)), images, {"rows", "found 4097", "expected 1 to 4096"}},
      {"HugeColumns", idx(8, {20, 28, most}, ramp(100)), images, {"columns", "found 4294967295"}},
      {"HugeCount",
       idx(8, {most, 28, 28}, ramp(100)),
       images,
       {"length", "found 116 bytes", "expected 3367254359296"}},
      {"HugeEverything",
       idx(8, {most, 4096, 4096}, ramp(100)),
       images,
       {"length", "4294967295 x 4096 x 4096"}},
      {"Overflowing", idx(8, {most, most, most}, ramp(100)), images, {"rows", "found 4294967295"}},
      {"HugeCountGzipped", gzipped(idx(8, {most, 4096, 4096}, ramp(9))), images, {"length", "found at most"}},
      {"HugeLabels",
       idx(8, {most}, ramp(100)),
       IdxKind::labels,
       {"length", "found 108 bytes", "expected 4294967303"}},
      {"Short", without_end(good, 1), images, {"length", "found 15695 bytes", "expected 15696 bytes"}},
      {"HeaderOnly", Bytes(good.begin(), good.begin() + 16), images, {"length", "found 16 bytes"}},
      {"ShortInsideGzip", gzipped(without_end(good, 1)), images, {"length", "found 15679", "expected 15680"}},
      {"Trailing", with_more(good, 1), images, {"length", "found 15697 bytes", "expected 15696 bytes"}},
      {"TrailingInsideGzip", gzipped(with_more(good, 1)), images, {"length", "found more than 15680 bytes"}},
      {"TruncatedGzip",
       without_end(good_gz, good_gz.size() / 2),
       images,
       {"gzip data", "unexpected end of file"}},
      {"GzipWithoutChecksum", without_end(good_gz, 8), images, {"gzip data", "unexpected end of file"}},
      {"GzipHeaderOnly",
       Bytes(good_gz.begin(), good_gz.begin() + 10),
       images,
       {"gzip data", "unexpected end"}},
      {"FlippedGzipData", flipped(good_gz, good_gz.size() / 2), images, {"gzip data"}},
      {"FlippedGzipChecksum",
       flipped(good_gz, good_gz.size() - 8),
       images,
       {"gzip data", "incorrect data check"}},
      {"FlippedGzipLength",
       flipped(good_gz, good_gz.size() - 4),
       images,
       {"gzip data", "incorrect length check"}},
      {"FlippedGzipMethod", flipped(good_gz, 2), images, {"gzip data", "compression method"}},
  };
  return files;
}

class BadIdxFile : public ::testing::TestWithParam<std::size_t> {};

TEST_P(BadIdxFile, IsRefusedWithFileFieldAndHint) {
  const BadFile& bad = bad_files()[GetParam()];
  const TemporaryDirectory directory;
  const auto path = directory / "some-file";
  write_file(path, bad.content);
  const std::string message = error_of([&] { read_whole(path, bad.kind); });
  expect_contains(message, {path.string() + ": ", "expected", "HINT: "});
  expect_contains(message, bad.message);
}

INSTANTIATE_TEST_SUITE_P(Table, BadIdxFile, ::testing::Range(std::size_t{0}, bad_files().size()),
                         [](const auto& bad) { return bad_files()[bad.param].name; });

/// A file that is whole, and the part of the HINT that says so.
struct OtherKind {
  std::string name;
  Bytes content;
  IdxKind kind;
  std::string hint;
};

Bytes little_endian(Bytes bytes, std::size_t begin, std::size_t end) {
  for (std::size_t at = begin; at < end; at += 4) std::reverse(bytes.begin() + at, bytes.begin() + at + 4);
  return bytes;
}

TEST(IdxFile, AWholeFileOfAnotherKindIsNotCalledDamaged) {
  const Bytes letters = labels_file(200);
  const std::vector<OtherKind> others = {
      {"Int32Labels", idx(0x0C, {20}, ramp(80)), IdxKind::labels, "unsigned bytes, one class per sample"},
      {"QmnistLabels", idx(0x0C, {20, 8}, ramp(640)), IdxKind::labels,
       "QMNIST's labels are 8 numbers per sample"},
      {"FloatImages", idx(0x0D, {20, 2, 2}, ramp(320)), images, "unsigned bytes, 0 for background"},
      {"SignedBytes", idx(0x09, {20, 2, 2}, ramp(80)), images, "of a kind that is not read"},
      {"Shorts", idx(0x0B, {20, 2, 2}, ramp(160)), images, "of a kind that is not read"},
      {"Doubles", idx(0x0E, {20, 2, 2}, ramp(640)), images, "of a kind that is not read"},
      {"Colours", idx(8, {20, 2, 2, 3}, ramp(240)), images, "no colours"},
      {"FlatImages", idx(8, {20, 784}, ramp(20 * 784)), images, "samples x rows x columns"},
      {"OneHotLabels", idx(8, {20, 10}, ramp(200)), IdxKind::labels, "one class per sample"},
      {"LittleEndianMagic", little_endian(good, 0, 16), images, "little-endian"},
      {"LittleEndianCounts", little_endian(good, 4, 16), images, "little-endian"},
      {"LittleEndianGzipped", gzipped(little_endian(good, 4, 16)), images, "little-endian"},
      {"LittleEndianLabels", little_endian(letters, 4, 8), IdxKind::labels, "little-endian"},
      {"LittleEndianLabelsMagic", little_endian(letters, 0, 8), IdxKind::labels, "little-endian"},
      {"LittleEndianInt32", little_endian(idx(0x0C, {20}, ramp(80)), 0, 8), IdxKind::labels, "little-endian"},
      {"NoSamples", idx(8, {0}, {}), IdxKind::labels, "no samples"},
      {"LargeImages", idx(8, {1, 4097, 1}, ramp(4097)), images, "larger images are not read"},
      {"Zip", text("PK\x03\x04 and so on"), images, "zip archive"},
      {"WebPage", text("<!DOCTYPE html>..."), images, "web page"},
      {"NumPy", text("\x93NUMPY..........."), images, "NumPy"},
  };
  for (const OtherKind& other : others) {
    const TemporaryDirectory directory;
    write_file(directory / "file", other.content);
    const std::string message = error_of([&] { read_whole(directory / "file", other.kind); });
    expect_contains(message, {"HINT: ", other.hint});
    EXPECT_EQ(message.find("delete it"), std::string::npos) << other.name << ": " << message;
  }
}

TEST(IdxFile, DamageIsNotCalledAnotherKind) {
  const TemporaryDirectory directory;
  for (const Bytes& content :
       {without_end(good, 1), with(good, 2, 0x55), with(good, 0, 1), with(good, 4, 1)}) {
    write_file(directory / "file", content);
    expect_contains(error_of([&] { read_whole(directory / "file", images); }), {"damaged", "copy it again"});
  }
}

TEST(IdxFile, RefusesADirectoryAndAMissingFile) {
  const TemporaryDirectory directory;
  expect_contains(error_of([&] { IdxFile(directory.path(), images); }),
                  {directory.path().string(), "a directory"});
  expect_contains(error_of([&] { IdxFile(directory / "none", images); }),
                  {"none", "No such file or directory"});
  expect_contains(error_of([&] { IdxFile("/dev/null", images); }), {"/dev/null", "expected a regular file"});
}

TEST(IdxFile, SaysThatAFileMayNotBeRead) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const TemporaryDirectory directory;
  write_file(directory / "secret", good);
  std::filesystem::permissions(directory / "secret", std::filesystem::perms::none);
  expect_contains(error_of([&] { IdxFile(directory / "secret", images); }),
                  {(directory / "secret").string(), "Permission denied", "HINT: "});
}

TEST(ContentDigest, DoesNotDependOnCompressionAndIsBounded) {
  const TemporaryDirectory directory;
  write_file(directory / "plain", good);
  write_file(directory / "gzipped", good_gz);
  const std::string expected = sha256_hex(std::as_bytes(std::span(good)));
  EXPECT_EQ(content_sha256(directory / "plain", good.size()), expected);
  EXPECT_EQ(content_sha256(directory / "gzipped", good.size()), expected);
  expect_contains(error_of([&] { content_sha256(directory / "gzipped", good.size() - 1); }),
                  {"gzipped", "more than 15695 bytes"});
}

}  // namespace
}  // namespace fcmnist::data
