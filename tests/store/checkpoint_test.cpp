#include "store/checkpoint.hpp"

#include <cstring>

#include "store/hdf5.hpp"
#include "store/sealed_file.hpp"
#include "store/support.hpp"

namespace fcmnist::store {
namespace {

struct CheckpointTest : testing::Test {
  TemporaryDirectory directory;
  std::filesystem::path path = directory / "checkpoint_1234.h5";
  Layout layout = mlp_layout({12, 5, 3, 2});
  Arena<float> weights{layout}, momentum{layout};

  void write() {
    fill(weights.view(), 1);
    fill(momentum.view(), 2);
    write_checkpoint(path, example_header(), weights.view(),
                     std::vector<OptimizerArray>{{"momentum_buffer", momentum.view()}});
  }
  std::string load_into(const Layout& other) {
    const Checkpoint checkpoint = Checkpoint::read(path);
    Arena<float> values(other);
    return message_of<StoreError>([&] { checkpoint.load_weights(values.view()); });
  }
};

bool same_bits(ArenaView<const float> a, ArenaView<const float> b) {
  return a.layout() == b.layout() && std::memcmp(a.data(), b.data(), a.layout().size() * sizeof(float)) == 0;
}

TEST_F(CheckpointTest, GivesBackEveryBit) {
  write();
  const Checkpoint checkpoint = Checkpoint::read(path);
  Arena<float> read_weights(layout), read_momentum(layout);
  checkpoint.load_weights(read_weights.view());
  checkpoint.load_optimizer("momentum_buffer", read_momentum.view());
  EXPECT_TRUE(same_bits(weights.view(), read_weights.view()));
  EXPECT_TRUE(same_bits(momentum.view(), read_momentum.view()));
  EXPECT_FALSE(same_bits(weights.view(), read_momentum.view()));

  const CheckpointHeader expected = example_header();
  EXPECT_EQ(checkpoint.header().state, expected.state);
  EXPECT_EQ(checkpoint.header().evaluation, expected.evaluation);
  EXPECT_EQ(checkpoint.header().config_yaml, expected.config_yaml);
  EXPECT_EQ(checkpoint.header().manifest, expected.manifest);
  EXPECT_EQ(checkpoint.optimizer_arrays(), std::vector<std::string>{"momentum_buffer"});
}

TEST_F(CheckpointTest, NeedsNeitherOptimizerArraysNorAnEvaluation) {
  write_checkpoint(path, {}, weights.view(), {});
  const Checkpoint checkpoint = Checkpoint::read(path);
  EXPECT_EQ(checkpoint.header().evaluation, std::nullopt);
  EXPECT_TRUE(checkpoint.optimizer_arrays().empty());
  const std::string message =
      message_of<StoreError>([&] { checkpoint.load_optimizer("momentum_buffer", momentum.view()); });
  EXPECT_TRUE(contains(message, "momentum_buffer is absent; the file has: none"));
}

TEST_F(CheckpointTest, DimensionsHaveNamesWithoutBiasesAndWithoutHiddenLayers) {
  Layout no_bias;
  no_bias.add("fc_layers.0.weight", 1, 6);  // one unit is no bias
  no_bias.add("last_layer.weight", 3, 1);
  Layout no_hidden;
  no_hidden.add("last_layer.weight", 3, 6);
  no_hidden.add("last_layer.bias", 1, 3);
  for (const auto& [of_network, has_hidden] : {std::pair(no_bias, true), std::pair(no_hidden, false)}) {
    const Arena<float> values(of_network);
    const auto image = checkpoint_image(path, example_header(), values.view(), {});
    const hdf5::Group root = hdf5::File::open(path.string(), image).root();
    EXPECT_EQ(root.describe("pixel"), "int64 6");
    EXPECT_EQ(root.describe("class"), "int64 3");
    EXPECT_EQ(root.describe("hidden_0"), has_hidden ? "int64 1" : "absent");
  }
}

TEST_F(CheckpointTest, AnImageIsAsLargeAsWasForetold) {
  constexpr double header_bytes = 64e3;
  const Layout large = mlp_layout({784, 500, 10});
  const Arena<float> numbers(large);
  const std::vector<OptimizerArray> two = {{"exp_avg", numbers.view()}, {"exp_avg_sq", numbers.view()}};
  for (const std::size_t arrays : {0U, 2U}) {
    const auto image = checkpoint_image(path, example_header(), numbers.view(), std::span(two).first(arrays));
    const double two_images = 2.0 * static_cast<double>(image.size());
    EXPECT_NEAR(two_images, static_cast<double>(checkpoint_image_bytes(large, arrays)), 2 * header_bytes);
  }
}

TEST_F(CheckpointTest, SameContentGivesTheSameBytes) {
  write();
  const std::string first = content(path);
  write();
  EXPECT_EQ(content(path), first);
}

TEST_F(CheckpointTest, TextsAndListsOfAnyLengthAreKept) {
  CheckpointHeader header;
  header.config_yaml = std::string(300'000, 'x') + "end";
  header.manifest.add("host_names", std::vector<std::string>(4000, std::string(100, 'h')));
  header.manifest.add("none", std::vector<std::string>{});
  header.manifest.add("too_many", std::vector<std::string>(10'000, "n"));
  write_checkpoint(path, header, weights.view(), {});
  const Checkpoint checkpoint = Checkpoint::read(path);
  EXPECT_EQ(checkpoint.header().config_yaml, header.config_yaml);
  EXPECT_EQ(*checkpoint.header().manifest.find("host_names"), *header.manifest.find("host_names"));
  EXPECT_EQ(*checkpoint.header().manifest.find("none"), *header.manifest.find("none"));
  const auto cut = std::get<std::vector<std::string>>(*checkpoint.header().manifest.find("too_many"));
  EXPECT_EQ(cut.size(), 4000U);
  EXPECT_EQ(cut.back(), "... and 6001 more");
}

TEST_F(CheckpointTest, AnotherModelIsRefusedWithFoundAndExpected) {
  write();
  EXPECT_TRUE(contains(load_into(mlp_layout({12, 4, 3, 2})),
                       "fc_layers.0.weight: found float32 5 x 12, expected float32 4 x 12"));
  EXPECT_TRUE(contains(load_into(mlp_layout({12, 5, 3, 3, 2})),
                       "fc_layers.2.bias: found absent, expected float32 3"));
  EXPECT_TRUE(
      contains(load_into(mlp_layout({12, 5, 2})), "fc_layers.1.bias: found float32 3, expected none"));
}

TEST_F(CheckpointTest, ManyDifferencesGiveAShortMessage) {
  write();
  const std::string message = load_into(mlp_layout({1, 1, 1, 1, 1, 1, 1}));
  EXPECT_TRUE(contains(message, "... and "));
  EXPECT_LT(message.size(), 1000U);
}

/// A sealed file of arbitrary HDF5 content: what a defective or future program of ours could write.
template <class Fill>
void write_sealed_hdf5(const std::filesystem::path& path, Fill fill_root) {
  const hdf5::File file = hdf5::File::create(path.string());
  fill_root(file.root());
  write_sealed(path, FileKind::checkpoint, file.image());
}

void write_minimal(const hdf5::Group& root) {
  root.set("config_yaml", std::string());
  const hdf5::Group state = root.create_group("state");
  for (const char* name : {"step", "epoch", "step_in_epoch", "samples_seen"})
    state.set(name, std::int64_t{1});
  state.set("seed", std::uint64_t{1});
  state.set("labels_sha256", std::string(64, '0'));
  root.create_group("optimizer");
}

TEST_F(CheckpointTest, WrongTypesAreRefused) {
  Layout one;
  one.add("w", 2, 3);
  Arena<float> values(one);
  const double doubles[6] = {};
  write_sealed_hdf5(path, [&](const hdf5::Group& root) {
    write_minimal(root);
    root.create_group("model").write("w", {2, 3}, doubles);
  });
  const Checkpoint checkpoint = Checkpoint::read(path);
  EXPECT_TRUE(contains(message_of<StoreError>([&] { checkpoint.load_weights(values.view()); }),
                       "w: found float64 2 x 3, expected float32 2 x 3"));

  write_sealed_hdf5(path, [&](const hdf5::Group& root) {
    write_minimal(root);
    root.create_group("model").create_group("w");
  });
  EXPECT_TRUE(contains(message_of<StoreError>([&] { Checkpoint::read(path).load_weights(values.view()); }),
                       "w: found a group, expected float32 2 x 3"));
}

TEST_F(CheckpointTest, AMissingPartIsNamed) {
  const auto why = [&] { return message_of<UnusableFileError>([&] { Checkpoint::read(path); }); };
  write_sealed_hdf5(path, [](const hdf5::Group& root) { root.set("config_yaml", std::string()); });
  EXPECT_TRUE(contains(why(), "/state: found absent, expected a group"));
  write_sealed_hdf5(path, [](const hdf5::Group& root) { root.create_group("state"); });
  EXPECT_TRUE(contains(why(), "/state/step: the attribute is absent"));
  write_sealed_hdf5(
      path, [](const hdf5::Group& root) { root.create_group("state").set("step", std::string("one")); });
  EXPECT_TRUE(contains(why(), "/state/step: the attribute is of another type than expected"));
}

}  // namespace
}  // namespace fcmnist::store
