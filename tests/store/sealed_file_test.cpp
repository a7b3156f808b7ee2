#include "store/sealed_file.hpp"

#include <sys/stat.h>

#include "store/checkpoint.hpp"
#include "store/sealed_file.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

struct SealedFile : testing::Test {
  TemporaryDirectory directory;
  std::filesystem::path path = directory / "checkpoint_1.h5";
  Layout layout = mlp_layout({20, 10, 5});
  std::string good;

  SealedFile() {
    Arena<float> weights(layout);
    fill(weights.view(), 1);
    write_checkpoint(path, example_header(), weights.view(),
                     std::vector<OptimizerArray>{{"momentum_buffer", weights.view()}});
    good = content(path);
  }
  [[nodiscard]] std::string image() const { return good.substr(0, good.size() - seal_bytes); }
  [[nodiscard]] std::string seal() const { return good.substr(good.size() - seal_bytes); }
  /// The message with which this content is refused as a checkpoint.
  std::string refused(const std::string& bytes) {
    put(path, bytes);
    return message_of<UnusableFileError>([&] { Checkpoint::read(path); });
  }
};

TEST_F(SealedFile, IsHdf5FromItsFirstByteAndEndsWithReadableText) {
  EXPECT_EQ(good.substr(0, 4), "\x89HDF");
  EXPECT_TRUE(seal().starts_with("fcmnist_mpi checkpoint\nformat_version 2\nimage_bytes "));
}

TEST_F(SealedFile, AFileOfVersion1IsRead) {
  put(path, version_1(good));
  EXPECT_EQ(Checkpoint::read(path).header().state, example_header().state);
}

TEST_F(SealedFile, EveryFlippedBitOfAFileOfVersion1IsFound) {
  const std::string old = version_1(good);
  const CounterRng rng(7, Purpose::fake_data, 0, 0);
  for (std::uint32_t i = 0; i < 600; ++i) {
    std::string bytes = old;
    const std::size_t at = i < 200 ? i : rng.below(static_cast<std::uint32_t>(old.size()), i);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << i % 8));
    EXPECT_NE(refused(bytes), "") << "byte " << at;
  }
}

TEST_F(SealedFile, ASealInTheWrongPlaceIsFound) {
  const std::string old = version_1(good);
  EXPECT_TRUE(
      contains(refused(old.substr(seal_bytes) + old.substr(0, seal_bytes)), "has its seal elsewhere"));
  EXPECT_TRUE(contains(refused(seal() + image()), "has its seal elsewhere"));
}

TEST_F(SealedFile, EveryFlippedBitIsFound) {
  const CounterRng rng(5, Purpose::fake_data, 0, 0);
  for (std::uint32_t i = 0; i < 600; ++i) {
    std::string bytes = good;
    // Every byte of the text, then places all over the file.
    const std::size_t at =
        i < 200 ? image().size() + i : rng.below(static_cast<std::uint32_t>(good.size()), i);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << i % 8));
    EXPECT_NE(refused(bytes), "") << "byte " << at;
  }
}

TEST_F(SealedFile, EveryCutIsFound) {
  const CounterRng rng(6, Purpose::fake_data, 0, 0);
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::size_t length = i < 100 ? 6 * i : rng.below(static_cast<std::uint32_t>(good.size()), i);
    EXPECT_NE(refused(good.substr(0, length)), "") << length;
  }
  EXPECT_TRUE(contains(refused(good.substr(0, good.size() - 1)), "without its seal at the end: cut off"));
  EXPECT_TRUE(contains(refused(good.substr(8, good.size() - 16)), "other bytes than HDF5's signature"));
  const std::string shorter = good.substr(0, 4096) + seal();
  EXPECT_TRUE(
      contains(refused(shorter), "damaged: found " + std::to_string(shorter.size()) + " bytes, expected "));
}

TEST_F(SealedFile, AppendedAndSwappedBytesAreFound) {
  EXPECT_TRUE(contains(refused(good + '\0'), "without its seal at the end"));
  EXPECT_TRUE(contains(refused(good + good), "damaged"));
  const auto middle = good.begin() + static_cast<long>(good.size() / 2);
  std::string swapped = good;
  const auto image_end = swapped.end() - static_cast<long>(seal_bytes);
  std::swap_ranges(image_end - 1024, image_end - 512, image_end - 512);
  ASSERT_NE(swapped, good);
  EXPECT_TRUE(contains(refused(swapped), "damaged: found SHA-256"));
  std::string half_zeroed = good;
  std::fill(half_zeroed.begin() + (middle - good.begin()), half_zeroed.end() - static_cast<long>(seal_bytes),
            '\0');
  EXPECT_TRUE(contains(refused(half_zeroed), "damaged: found SHA-256"));
}

TEST_F(SealedFile, FilesOfOthersAreRefusedByName) {
  EXPECT_TRUE(contains(refused(""), "the file is empty"));
  EXPECT_TRUE(contains(refused(std::string(100'000, '\0')), "it begins with zeros"));
  EXPECT_TRUE(contains(refused("train_input:\n  batch_size: 128\n"), "not a file of fcmnist_mpi"));
  EXPECT_TRUE(contains(refused(image()), "written by another program"));
  EXPECT_TRUE(contains(refused("fcmnist_mpi " + std::string(1000, 'x')), "damaged"));
}

TEST_F(SealedFile, ANewerVersionIsRefusedAsSuch) {
  std::string newer = good;
  newer[image().size() + seal().find("format_version ") + 15] = '3';
  EXPECT_TRUE(contains(refused(newer), "format version 3, expected at most 2"));
}

TEST_F(SealedFile, MetricsAreNotACheckpoint) {
  const auto log = make_logger("error", true);
  MetricsFile::open_or_create(directory / "metrics.h5", 10, "", {}, *log).write();
  EXPECT_TRUE(contains(message_of<UnusableFileError>([&] { Checkpoint::read(directory / "metrics.h5"); }),
                       "found a metrics file, expected a checkpoint file"));
}

TEST_F(SealedFile, WhatCannotBeReadIsAnErrorWithItsCause) {
  EXPECT_TRUE(
      contains(message_of<StoreError>([&] { Checkpoint::read(directory / "absent.h5"); }), "No such file"));
  EXPECT_TRUE(
      contains(message_of<StoreError>([&] { Checkpoint::read(directory.path()); }), "found a directory"));
  ASSERT_EQ(::mkfifo((directory / "pipe").c_str(), 0600), 0);
  EXPECT_TRUE(contains(message_of<StoreError>([&] { Checkpoint::read(directory / "pipe"); }), "or a device"));
}

TEST_F(SealedFile, AnUnreadableFileIsAnErrorWithItsCause) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  EXPECT_TRUE(contains(message_of<StoreError>([&] { Checkpoint::read(path); }), "Permission denied"));
}

}  // namespace
}  // namespace fcmnist::store
