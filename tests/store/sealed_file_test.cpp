#include "store/sealed_file.hpp"

#include <sys/stat.h>

#include "store/checkpoint.hpp"
#include "store/hdf5.hpp"
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
  /// The message with which this content is refused as a checkpoint.
  std::string refused(const std::string& bytes) {
    put(path, bytes);
    return message_of<UnusableFileError>([&] { Checkpoint::read(path); });
  }
};

TEST_F(SealedFile, BeginsWithReadableText) {
  EXPECT_TRUE(good.starts_with("fcmnist_mpi checkpoint\nformat_version 1\nimage_bytes "));
  EXPECT_EQ(good.substr(hdf5::user_block_bytes, 4), "\x89HDF");
}

TEST_F(SealedFile, EveryFlippedBitIsFound) {
  const CounterRng rng(5, Purpose::fake_data, 0, 0);
  for (std::uint32_t i = 0; i < 600; ++i) {
    std::string bytes = good;
    // Every byte of the text, then places all over the file.
    const std::size_t at = i < 200 ? i : rng.below(static_cast<std::uint32_t>(good.size()), i);
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
  EXPECT_TRUE(contains(refused(good.substr(0, good.size() - 1)), "the file is damaged: found "));
}

TEST_F(SealedFile, AppendedAndSwappedBytesAreFound) {
  EXPECT_TRUE(contains(refused(good + '\0'), "damaged"));
  EXPECT_TRUE(contains(refused(good + good), "damaged"));
  const auto middle = good.begin() + static_cast<long>(good.size() / 2);
  std::string swapped = good;
  std::swap_ranges(swapped.end() - 1024, swapped.end() - 512, swapped.end() - 512);
  ASSERT_NE(swapped, good);
  EXPECT_TRUE(contains(refused(swapped), "damaged: found SHA-256"));
  const std::string half_zeroed = std::string(good.begin(), middle) + std::string(good.end() - middle, '\0');
  EXPECT_TRUE(contains(refused(half_zeroed), "damaged: found SHA-256"));
}

TEST_F(SealedFile, FilesOfOthersAreRefusedByName) {
  EXPECT_TRUE(contains(refused(""), "the file is empty"));
  EXPECT_TRUE(contains(refused(std::string(100'000, '\0')), "it begins with zeros"));
  EXPECT_TRUE(contains(refused("train_input:\n  batch_size: 128\n"), "not a file of fcmnist_mpi"));
  EXPECT_TRUE(
      contains(refused(good.substr(hdf5::user_block_bytes)), "an HDF5 file, but not written by fcmnist_mpi"));
  EXPECT_TRUE(contains(refused("fcmnist_mpi " + std::string(1000, 'x')), "damaged"));
}

TEST_F(SealedFile, ANewerVersionIsRefusedAsSuch) {
  std::string newer = good;
  newer[newer.find("format_version ") + 15] = '2';
  EXPECT_TRUE(contains(refused(newer), "format version 2, expected at most 1"));
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
