// A checkpoint that is damaged in any way is refused by name, with the error that says so; it is never used.
#include <sys/stat.h>

#include <algorithm>

#include "core/error.hpp"
#include "store/checkpoint.hpp"
#include "store/hdf5.hpp"
#include "store/metrics_file.hpp"
#include "store/sealed_file.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

namespace fs = std::filesystem;

/// Part of a file, [begin, end) in bytes.
struct Region {
  const char* name;
  std::size_t begin, end;
};

/// The checkpoint of a network of real size, which is larger than the blocks that disks lose.
struct Corruption : testing::Test {
  TemporaryDirectory directory;
  fs::path path = directory / "checkpoint_1234.h5";
  std::string good;
  std::vector<Region> regions;
  int refusals = 0;

  Corruption() {
    const Layout layout = mlp_layout({64, 50, 40, 10});
    Arena<float> weights(layout), momentum(layout);
    fill(weights.view(), 1);
    fill(momentum.view(), 2);
    write_checkpoint(path, example_header(), weights.view(),
                     std::vector<OptimizerArray>{{"momentum_buffer", momentum.view()}});
    good = content(path);
    const std::size_t seal = good.size() - seal_bytes;
    const std::size_t attributes = position("labels_sha256"), arrays = position_of(weights);
    regions = {{"seal", seal, good.size()},
               {"seal text", seal, good.find("\n\n", seal)},
               {"superblock", 0, 96},
               {"HDF5 image", 96, seal},
               {"attributes", attributes, attributes + 200},
               {"weights", arrays, arrays + layout.slots().front().count() * sizeof(float)},
               {"last byte", good.size() - 1, good.size()}};
  }

  [[nodiscard]] std::size_t position(const std::string& text) const {
    const std::size_t at = good.find(text);
    if (at == std::string::npos) throw std::runtime_error("not in the file: " + text);
    return at;
  }
  [[nodiscard]] std::size_t position_of(const Arena<float>& array) const {
    const float* first = array.view().data();
    return position({reinterpret_cast<const char*>(first), 16 * sizeof(float)});
  }

  /// Writes these bytes and reads them as a checkpoint.
  void expect_refused(const std::string& bytes, const std::string& what) {
    ASSERT_NE(bytes, good) << what;
    put(path, bytes);
    const std::string message = message_of<UnusableFileError>([&] { Checkpoint::read(path); });
    ASSERT_TRUE(contains(message, path.string() + ": ")) << what;
    ++refusals;
  }
};

TEST_F(Corruption, FlippedBitsInEveryRegion) {
  std::uint32_t seed = 0;
  for (const Region& region : regions) {
    ASSERT_LT(region.begin, region.end) << region.name;
    for (int trial = 0; trial < 60; ++trial) {
      const CounterRng rng(11, Purpose::fake_data, seed++, 0);
      std::string bytes = good;
      const std::uint32_t flips = trial < 30 ? 1 : 2 + rng.below(30, 0);
      for (std::uint32_t i = 1; i <= flips; ++i) {
        const std::size_t at =
            region.begin + rng.below(static_cast<std::uint32_t>(region.end - region.begin), 2 * i);
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << (rng.below(8, 2 * i + 1))));
      }
      if (bytes == good) continue;  // an even number of flips of one bit
      expect_refused(bytes, std::string(region.name) + ", trial " + std::to_string(trial));
    }
  }
  EXPECT_GE(refusals, 380);
}

TEST_F(Corruption, CutsAtEveryKindOfPlace) {
  std::vector<std::size_t> lengths = {
      0, 1, 511, 512, 513, 4095, 4096, 4097, good.size() / 2, good.size() - 1};
  for (const Region& region : regions) {
    lengths.push_back(std::min(region.begin + 1, good.size() - 1));
    lengths.push_back((region.begin + region.end) / 2);
  }
  const CounterRng rng(12, Purpose::fake_data, 0, 0);
  while (lengths.size() < 80) {
    lengths.push_back(
        rng.below(static_cast<std::uint32_t>(good.size()), static_cast<std::uint32_t>(lengths.size())));
  }
  for (const std::size_t length : lengths)
    expect_refused(good.substr(0, length), "cut to " + std::to_string(length));
  EXPECT_EQ(refusals, 80);
}

TEST_F(Corruption, Growth) {
  for (const std::size_t more : {1, 511, 512, 4096}) {
    expect_refused(good + std::string(more, '\0'), "zeros behind it");
    expect_refused(good + good.substr(0, more), "its beginning behind it");
    expect_refused(std::string(more, '\0') + good, "zeros before it");
  }
  expect_refused(good + good, "twice");
}

TEST_F(Corruption, BlocksThatTheDiskSwappedLostOrRepeated) {
  for (const std::size_t size : {std::size_t{512}, std::size_t{4096}}) {
    const std::size_t blocks = good.size() / size;
    ASSERT_GE(blocks, 8U);
    for (std::uint32_t trial = 0; trial < 30; ++trial) {
      const CounterRng rng(13, Purpose::fake_data, trial, static_cast<std::uint32_t>(size));
      const auto a = static_cast<std::ptrdiff_t>(size * rng.below(static_cast<std::uint32_t>(blocks), 0));
      const auto b = static_cast<std::ptrdiff_t>(size * rng.below(static_cast<std::uint32_t>(blocks), 1));
      const auto length = static_cast<std::ptrdiff_t>(size);
      std::string swapped = good, zeroed = good, repeated = good;
      if (a != b) std::swap_ranges(swapped.begin() + a, swapped.begin() + a + length, swapped.begin() + b);
      std::fill_n(zeroed.begin() + a, length, '\0');
      std::copy_n(good.begin() + a, length, repeated.begin() + b);
      const std::string what = std::to_string(a) + " and " + std::to_string(b);
      for (const std::string& bytes : {swapped, zeroed, repeated}) {
        if (bytes != good) expect_refused(bytes, what);  // HDF5 leaves blocks of zeros
      }
    }
  }
  EXPECT_GE(refusals, 140);
}

TEST_F(Corruption, WrongFiles) {
  const auto log = make_logger("error", true);
  MetricsFile metrics = MetricsFile::open_or_create(directory / "metrics.h5", 10, "", {}, *log);
  metrics.append(train_row(1));
  metrics.journal();
  expect_refused(content(directory / "metrics.journal"), "a journal");
  metrics.write();
  expect_refused(content(directory / "metrics.h5"), "a metrics file");
  expect_refused(good.substr(0, good.size() - seal_bytes), "another HDF5 file");
  const std::vector<std::byte> other = hdf5::File::create("other").image();
  expect_refused(std::string(reinterpret_cast<const char*>(other.data()), other.size()), "a file not sealed");
  expect_refused("train_input:\n  batch_size: 128\n", "text");
  expect_refused("\x1f\x8b\x08" + good, "gzip");
  expect_refused(std::string(good.size(), '\0'), "zeros");
  expect_refused(std::string(good.size(), '\xff'), "ones");
  std::string metrics_by_name = good;
  metrics_by_name.replace(good.size() - seal_bytes + 12, 10, "metrics\n\n\n");
  expect_refused(metrics_by_name, "another kind by its text");
}

TEST_F(Corruption, WhatIsNoFileIsAnErrorThatNamesIt) {
  const auto refused = [&](const fs::path& name) {
    const std::string message = message_of<StoreError>([&] { Checkpoint::read(name); });
    EXPECT_TRUE(contains(message, name.string()));
  };
  fs::create_directory(directory / "checkpoint_1.h5");
  ASSERT_EQ(::mkfifo((directory / "checkpoint_2.h5").c_str(), 0600), 0);
  fs::create_symlink("nowhere", directory / "checkpoint_3.h5");
  for (const char* name : {"checkpoint_1.h5", "checkpoint_2.h5", "checkpoint_3.h5", "checkpoint_4.h5"}) {
    refused(directory / name);
  }
  refused("/dev/null");
  refused(path / "below");
}

TEST_F(Corruption, AFileThatIsMendedIsReadAgain) {
  expect_refused(good.substr(1), "first byte missing");
  put(path, good);
  EXPECT_EQ(Checkpoint::read(path).header().state, example_header().state);
}

}  // namespace
}  // namespace fcmnist::store
