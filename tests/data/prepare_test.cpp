#include "data/prepare.hpp"

#include <cstdlib>

#include "data/fetch_fixture.hpp"

namespace fcmnist::data {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace): the fixture and its file names

using PrepareTest = FetchTest;

TEST_F(PrepareTest, FetchesVerifiesAndSaysWhatItFound) {
  options_.mirrors = {server().mirror("good")};
  InputOptions test = options_;
  test.split = Split::test;
  prepare(options_, test, 10, *file_logger(), known_, limits_);
  expect_complete(data_dir_);
  expect_contains(log(),
                  {train_images + ".gz: 40 images of 28 x 28, verified: " + train_images + " of TinyMNIST",
                   test_labels + ".gz: 20 labels from 0 to 9, verified: " + test_labels + " of TinyMNIST"});
}

TEST_F(PrepareTest, AcceptsASetOfYourOwnAndFindsItsFaults) {
  write_file(data_dir_ / train_images, images_file(30, 8, 8));
  write_file(data_dir_ / train_labels, labels_file(30));
  write_file(data_dir_ / test_images, images_file(20, 8, 8));
  write_file(data_dir_ / test_labels, labels_file(20));
  InputOptions test = options_;
  test.split = Split::test;
  const auto logger = file_logger();
  prepare(options_, test, 10, *logger, known_, limits_);
  expect_contains(log(), {"30 images of 8 x 8, verified: a set of your own, not TinyMNIST"});
  expect_contains(error_of([&] { prepare(options_, test, 5, *logger, known_, limits_); }),
                  {"label of sample 5"});
  write_file(data_dir_ / test_images, images_file(20, 8, 9));
  expect_contains(error_of([&] { prepare(options_, test, 10, *logger, known_, limits_); }),
                  {test_images, "image size", "found 8 x 9", "expected 8 x 8"});
}

TEST_F(PrepareTest, FakeDataNeedNothing) {
  options_.use_fake_data = true;
  prepare(options_, options_, 10, *file_logger(), known_, limits_);
  expect_contains(log(), {"train_input: use_fake_data is set"});
  EXPECT_FALSE(fs::exists(data_dir_));
}

TEST_F(PrepareTest, KnowsTheRealMnist) {
  const char* data_dir = std::getenv("FCMNIST_MNIST_DIR");
  if (data_dir == nullptr) GTEST_SKIP() << "FCMNIST_MNIST_DIR is not set";
  options_.data_dir = data_dir;
  InputOptions test = options_;
  test.split = Split::test;
  prepare(options_, test, 10, *file_logger());
  expect_contains(log(), {"60000 images of 28 x 28, verified: train-images-idx3-ubyte of MNIST",
                          "60000 labels from 0 to 9, verified: train-labels-idx1-ubyte of MNIST",
                          "10000 images of 28 x 28, verified: t10k-images-idx3-ubyte of MNIST",
                          "10000 labels from 0 to 9, verified: t10k-labels-idx1-ubyte of MNIST"});
}

}  // namespace
}  // namespace fcmnist::data
