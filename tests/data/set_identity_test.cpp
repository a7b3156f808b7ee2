#include "data/set_identity.hpp"

#include <gtest/gtest.h>

#include <array>

#include "data/known_set.hpp"

namespace fcmnist::data {
namespace {

constexpr std::array<std::uint8_t, 6> labels = {3, 1, 1, 3, 7, 1};
const DatasetFiles files = {"here/train-images-idx3-ubyte.gz", "here/train-labels-idx1-ubyte.gz"};

SetIdentity identified(Split asked_for, const DatasetFiles& of, const FileDigests& digests) {
  static const std::vector<std::uint8_t> images(6 * 4);
  const DatasetShape shape{6, 2, 2};
  return identify(asked_for, of, digests, shape, make_dataset(shape, 10, images, labels));
}

FileDigests mnist_digests(std::size_t images, std::size_t labels_of) {
  return {mnist().files[images].sha256, mnist().files[labels_of].sha256};
}

TEST(SetIdentity, AKnownSetIsKnownByTheContentOfBothFiles) {
  const SetIdentity train = identified(Split::train, files, mnist_digests(0, 1));
  EXPECT_EQ(train.set, "MNIST");
  EXPECT_EQ(train.split, Split::train);
  EXPECT_EQ(identified(Split::train, files, mnist_digests(2, 3)).split, Split::test) << "whatever its name";
  EXPECT_EQ(identified(Split::train, files, mnist_digests(0, 3)).set, unknown_set)
      << "labels of the other split";
  EXPECT_EQ(identified(Split::train, files, {mnist().files[0].sha256, "other"}).set, unknown_set);
  EXPECT_EQ(identified(Split::train, files, {"other", mnist().files[1].sha256}).set, unknown_set);
}

TEST(SetIdentity, IsOneLine) {
  EXPECT_EQ(to_string(identified(Split::test, files, mnist_digests(0, 1))),
            "MNIST, train split, 6 samples of 2 x 2, 3 classes, here/train-images-idx3-ubyte.gz, "
            "here/train-labels-idx1-ubyte.gz");
  EXPECT_EQ(
      to_string(identified(Split::test, files, {"0123456789abcdef", "fedcba9876543210"})),
      "unknown set (SHA-256 of images 0123456789ab..., of labels fedcba987654...), test split, "
      "6 samples of 2 x 2, 3 classes, here/train-images-idx3-ubyte.gz, here/train-labels-idx1-ubyte.gz");
  EXPECT_EQ(to_string(identified(Split::train, {}, {})),
            "made-up data, train split, 6 samples of 2 x 2, 3 classes");
}

TEST(SetIdentity, SetsDifferOnlyIfThatIsSure) {
  const std::string unknown(unknown_set);
  const std::filesystem::path plain = "a/train-images-idx3-ubyte";
  EXPECT_FALSE(surely_differ("MNIST", plain, "MNIST", "b/t10k-images-idx3-ubyte"));
  EXPECT_TRUE(surely_differ("MNIST", plain, unknown, "b/t10k-images-idx3-ubyte"));
  EXPECT_TRUE(surely_differ(made_up_set, "", "MNIST", plain));
  EXPECT_FALSE(surely_differ(unknown, plain, unknown, "b/t10k-images-idx3-ubyte"));
  EXPECT_TRUE(surely_differ(unknown, "a/emnist-letters-train-images-idx3-ubyte", unknown,
                            "a/emnist-digits-test-images-idx3-ubyte"));
  EXPECT_TRUE(surely_differ(unknown, "d/KMNIST/raw/train-images-idx3-ubyte", unknown,
                            "d/FashionMNIST/raw/t10k-images-idx3-ubyte"));
}

}  // namespace
}  // namespace fcmnist::data
