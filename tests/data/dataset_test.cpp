#include "data/dataset.hpp"

#include <array>
#include <cstdlib>
#include <numeric>

#include "data/idx_fixtures.hpp"
#include "data/known_set.hpp"

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

struct Loaded {
  DatasetShape shape;
  Bytes images, labels;
  FileDigests digests;
};

Loaded load(const DatasetFiles& files, int num_classes) {
  Loaded loaded{read_shape(files), {}, {}, {}};
  loaded.images.resize(loaded.shape.image_bytes());
  loaded.labels.resize(loaded.shape.samples);
  loaded.digests = read_samples(files, loaded.shape, num_classes, loaded.images, loaded.labels);
  return loaded;
}

class DatasetTest : public ::testing::Test {
 protected:
  DatasetFiles put(const Bytes& images, const Bytes& labels) {
    const DatasetFiles files{directory_ / "images", directory_ / "labels"};
    write_file(files.images, images);
    write_file(files.labels, labels);
    return files;
  }
  TemporaryDirectory directory_;
};

TEST_F(DatasetTest, ReadsAnyShape) {
  const Loaded loaded = load(put(gzipped(images_file(12, 3, 5)), labels_file(12)), 10);
  EXPECT_EQ(loaded.shape, (DatasetShape{12, 3, 5}));
  const Dataset dataset = make_dataset(loaded.shape, 10, loaded.images, loaded.labels);
  EXPECT_EQ(dataset.samples(), 12U);
  EXPECT_EQ(dataset.features(), 15U);
  EXPECT_EQ(dataset.images.row(2)[1], ramp(180)[31]);
  EXPECT_EQ(dataset.labels[11], 1);
}

TEST_F(DatasetTest, TheShapeNeedsNoBodies) {
  // Only the header of a gzipped file is looked at. A reader of the whole file finds that the rest is
  // missing.
  const Bytes whole = gzipped(images_file(12, 28, 28));
  const DatasetFiles files = put({whole.begin(), whole.end() - 10}, gzipped(labels_file(12)));
  EXPECT_EQ(read_shape(files), (DatasetShape{12, 28, 28}));
  expect_contains(error_of([&] { load(files, 10); }), {"images", "gzip data"});
}

TEST_F(DatasetTest, ImagesAndLabelsMustBeEquallyMany) {
  const DatasetFiles files = put(images_file(12, 2, 2), labels_file(11));
  expect_contains(error_of([&] { read_shape(files); }), {files.labels.string(), "number of labels",
                                                         "found 11", "expected 12", files.images.string()});
}

TEST_F(DatasetTest, NamesTheFirstLabelOutOfRange) {
  const DatasetFiles files = put(images_file(5, 2, 2), idx(8, {5}, {0, 9, 10, 255, 3}));
  expect_contains(error_of([&] { load(files, 10); }), {files.labels.string(), "label of sample 2", "found 10",
                                                       "expected 0 to 9", "model.num_classes is 10", "255"});
  expect_contains(error_of([&] { load(files, 255); }), {"label of sample 3", "found 255"});
  EXPECT_EQ(load(files, 256).labels[3], 255);
}

TEST_F(DatasetTest, SaysHowManyClassesLettersNeed) {
  Bytes letters(52);
  for (std::size_t i = 0; i < letters.size(); ++i) letters[i] = static_cast<std::uint8_t>(1 + i % 26);
  const DatasetFiles files = put(images_file(52, 2, 2), idx(8, {52}, letters));
  expect_contains(
      error_of([&] { load(files, 26); }),
      {"found 26, expected 0 to 25", "the labels of this file are 1 to 26: set model.num_classes 27",
       "or subtract 1 from each label and set it to 26"});
  EXPECT_EQ(load(files, 27).labels[25], 26);
}

TEST_F(DatasetTest, NoticesAFileThatChanged) {
  const DatasetFiles files = put(images_file(5, 2, 2), labels_file(5));
  Bytes images(5 * 4), labels(5);
  put(images_file(5, 4, 1), labels_file(5));
  expect_contains(error_of([&] {
                    read_samples(files, {5, 2, 2}, 10, images, labels);
                  }),
                  {files.images.string(), "5 samples of 4 x 1", "5 samples of 2 x 2"});
}

Loaded load_split(const std::string& data_dir, Split split) {
  InputOptions options;
  options.data_dir = data_dir;
  options.split = split;
  return load(locate(options), 10);
}

std::array<int, 10> class_counts(const Bytes& labels) {
  std::array<int, 10> counts{};
  for (const std::uint8_t label : labels) ++counts.at(label);
  return counts;
}

TEST(RealData, MnistIsReadCompletely) {
  const char* data_dir = std::getenv("FCMNIST_MNIST_DIR");
  if (data_dir == nullptr) GTEST_SKIP() << "FCMNIST_MNIST_DIR is not set";
  const Loaded train = load_split(data_dir, Split::train);
  EXPECT_EQ(train.shape, (DatasetShape{60'000, 28, 28}));
  EXPECT_EQ(class_counts(train.labels),
            (std::array<int, 10>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
  // This is the mean that the normalisation of the reference uses.
  const double mean = std::accumulate(train.images.begin(), train.images.end(), 0.0) / (60'000 * 784) / 255;
  EXPECT_NEAR(mean, 0.1307, 0.0001);
  const Loaded test = load_split(data_dir, Split::test);
  EXPECT_EQ(test.shape, (DatasetShape{10'000, 28, 28}));
  EXPECT_EQ(class_counts(test.labels),
            (std::array<int, 10>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
}

TEST(RealData, FashionMnistIsReadCompletely) {
  const char* data_dir = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(data_dir)) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const Loaded train = load_split(data_dir, Split::train);
  EXPECT_EQ(train.shape, (DatasetShape{60'000, 28, 28}));
  for (const int count : class_counts(train.labels)) EXPECT_EQ(count, 6'000);
  const Loaded test = load_split(data_dir, Split::test);
  EXPECT_EQ(test.shape, (DatasetShape{10'000, 28, 28}));
  for (const int count : class_counts(test.labels)) EXPECT_EQ(count, 1'000);
  EXPECT_TRUE(fashion_mnist().has(Split::train, train.digests.images, train.digests.labels));
  EXPECT_TRUE(fashion_mnist().has(Split::test, test.digests.images, test.digests.labels));
}

}  // namespace
}  // namespace fcmnist::data
