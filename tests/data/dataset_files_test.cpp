#include "data/dataset_files.hpp"

#include <unistd.h>

#include "data/idx_fixtures.hpp"

namespace fcmnist::data {
namespace {

using testing::error_of;
using testing::expect_contains;
using testing::write_file;

InputOptions options_for(const TemporaryDirectory& directory, Split split) {
  InputOptions options;
  options.data_dir = directory.path().string();
  options.split = split;
  return options;
}

void touch(const std::filesystem::path& path) { write_file(path, {0}); }

TEST(Locate, FindsEverySpellingInEveryPlace) {
  for (const char* place : {"", "MNIST/raw/", "FashionMNIST/raw/", "raw/"}) {
    for (const char* dot : {"-", "."}) {
      for (const char* end : {"", ".gz"}) {
        const TemporaryDirectory directory;
        const auto file = [&](const char* begin, const char* type) {
          return directory / (std::string(place) + begin + dot + type + "-ubyte" + end);
        };
        touch(file("train-images", "idx3"));
        touch(file("train-labels", "idx1"));
        touch(file("t10k-images", "idx3"));
        touch(file("t10k-labels", "idx1"));
        const DatasetFiles train = locate(options_for(directory, Split::train));
        EXPECT_EQ(train.images, file("train-images", "idx3"));
        EXPECT_EQ(train.labels, file("train-labels", "idx1"));
        const DatasetFiles test = locate(options_for(directory, Split::test));
        EXPECT_EQ(test.images, file("t10k-images", "idx3"));
        EXPECT_EQ(test.labels, file("t10k-labels", "idx1"));
      }
    }
  }
}

TEST(Locate, FindsASetWithAPrefix) {
  const TemporaryDirectory directory;
  for (const char* name :
       {"emnist-digits-train-images-idx3-ubyte.gz", "emnist-digits-train-labels-idx1-ubyte",
        "emnist-digits-test-images-idx3-ubyte", "emnist-digits-test-labels-idx1-ubyte.gz"}) {
    touch(directory / name);
  }
  EXPECT_EQ(locate(options_for(directory, Split::train)).images,
            directory / "emnist-digits-train-images-idx3-ubyte.gz");
  EXPECT_EQ(locate(options_for(directory, Split::test)).labels,
            directory / "emnist-digits-test-labels-idx1-ubyte.gz");
}

TEST(Locate, PrefersTheUsualNameAndThePlainFile) {
  const TemporaryDirectory directory;
  for (const char* name : {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte",
                           "train-labels-idx1-ubyte.gz", "emnist-train-images-idx3-ubyte"}) {
    touch(directory / name);
  }
  const DatasetFiles files = locate(options_for(directory, Split::train));
  EXPECT_EQ(files.images, directory / "train-images-idx3-ubyte");
  EXPECT_EQ(files.labels, directory / "train-labels-idx1-ubyte");
}

TEST(Locate, NeverTakesTemporaryOrOtherFiles) {
  const TemporaryDirectory directory;
  for (const char* name : {".train-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz.part",
                           "train-images.png", "train-images-idx3-ubyte.sha256"}) {
    touch(directory / name);
  }
  EXPECT_FALSE(try_locate(options_for(directory, Split::train)));
}

TEST(Locate, UpperCaseIsAsGoodAsLowerCase) {
  const TemporaryDirectory directory;
  touch(directory / "TRAIN-IMAGES.IDX3-UBYTE");
  touch(directory / "TRAIN-LABELS-IDX1-UBYTE.GZ");
  const DatasetFiles files = locate(options_for(directory, Split::train));
  EXPECT_EQ(files.images, directory / "TRAIN-IMAGES.IDX3-UBYTE");
  EXPECT_EQ(files.labels, directory / "TRAIN-LABELS-IDX1-UBYTE.GZ");
}

TEST(Locate, TheLastWordOfANameSaysTheSplit) {
  const TemporaryDirectory directory;
  touch(directory / "latest-train-images-idx3-ubyte");
  touch(directory / "latest-train-labels-idx1-ubyte");
  EXPECT_TRUE(try_locate(options_for(directory, Split::train)));
  EXPECT_FALSE(try_locate(options_for(directory, Split::test)));
}

TEST(Locate, AFileGoesBeforeADirectoryOfItsName) {
  const TemporaryDirectory directory;  // as some archives unpack
  touch(directory / "train-images-idx3-ubyte/train-images-idx3-ubyte");
  touch(directory / "train-images.idx3-ubyte");
  touch(directory / "train-labels.idx1-ubyte");
  EXPECT_EQ(locate(options_for(directory, Split::train)).images, directory / "train-images.idx3-ubyte");
}

TEST(Locate, FindsLabelsOfAnotherTypeSoThatTheirReaderCanSayWhatTheyAre) {
  const TemporaryDirectory directory;
  touch(directory / "QMNIST/raw/qmnist-train-images-idx3-ubyte.gz");
  touch(directory / "QMNIST/raw/qmnist-train-labels-idx2-int.gz");
  EXPECT_EQ(locate(options_for(directory, Split::train)).labels,
            directory / "QMNIST/raw/qmnist-train-labels-idx2-int.gz");
}

TEST(Locate, RefusesToGuessBetweenFoldersEvenIfOneLacksTheSplit) {
  const TemporaryDirectory directory;
  touch(directory / "FashionMNIST/raw/train-images-idx3-ubyte");
  touch(directory / "FashionMNIST/raw/train-labels-idx1-ubyte");
  touch(directory / "MNIST/raw/t10k-images-idx3-ubyte");
  const std::string fashion = (directory / "FashionMNIST/raw").string();
  expect_contains(error_of([&] { locate(options_for(directory, Split::train)); }),
                  {"holds several sets", fashion, (directory / "MNIST/raw").string(), "HINT: name the one",
                   "train_input.data_dir "});
  InputOptions named = options_for(directory, Split::train);
  named.data_dir = fashion;
  EXPECT_EQ(locate(named).images, directory / "FashionMNIST/raw/train-images-idx3-ubyte");
  touch(directory / "train-images-idx3-ubyte");  // what lies in data_dir itself is what it names
  touch(directory / "train-labels-idx1-ubyte");
  EXPECT_EQ(locate(options_for(directory, Split::train)).images, directory / "train-images-idx3-ubyte");
}

struct OtherContent {
  const char* name;
  const char* advice;
};

TEST(Locate, SaysWhatLiesThereInsteadAndWhatToDoWithIt) {
  for (const OtherContent& other : {OtherContent{"mnist.npz", "python3 -c"},
                                    {"mnist_train.csv", "IDX files"},
                                    {"archive.ZIP", "unpack it"},
                                    {"notes.txt", "name the directory"},
                                    {"train-images-idx3-ubyte (1)", "name the directory"}}) {
    const TemporaryDirectory directory;
    touch(directory / other.name);
    expect_contains(
        error_of([&] { locate(options_for(directory, Split::train)); }),
        {"no images for train_input", std::string("holds ") + other.name, "HINT: ", other.advice});
  }
}

TEST(Locate, NamesASetByItsPrefixOrItsFolder) {
  EXPECT_EQ(name_of_set("a/emnist-letters-train-images-idx3-ubyte.gz"), "emnist-letters-");
  EXPECT_EQ(name_of_set("data/KMNIST/raw/train-images-idx3-ubyte"), "KMNIST");
  EXPECT_EQ(name_of_set("a/t10k-images.idx3-ubyte"), "");
}

TEST(Locate, RefusesToGuessBetweenSets) {
  const TemporaryDirectory directory;
  touch(directory / "emnist-digits-train-images-idx3-ubyte");
  touch(directory / "emnist-letters-train-images-idx3-ubyte");
  expect_contains(error_of([&] { locate(options_for(directory, Split::train)); }),
                  {directory.path().string(), "train_input.data_dir", "emnist-digits-train-images-idx3-ubyte",
                   "emnist-letters-train-images-idx3-ubyte", "HINT: "});
}

TEST(Locate, SaysWhatWasLookedForAndHowToGetIt) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(try_locate(options_for(directory, Split::test)));
  expect_contains(error_of([&] { locate(options_for(directory, Split::test)); }),
                  {"eval_input", directory.path().string(), "is empty", "MNIST/raw", "t10k-images-idx3-ubyte",
                   "HINT: ", "-m prepare_data", "dataset-fashion-mnist",
                   "train_input.data_dir /usr/share/datasets/fashion-mnist"});
}

TEST(Locate, NamesTheMissingLabels) {
  const TemporaryDirectory directory;
  touch(directory / "kuzushiji-train-images-idx3-ubyte.gz");
  EXPECT_FALSE(try_locate(options_for(directory, Split::train)));
  expect_contains(error_of([&] { locate(options_for(directory, Split::train)); }),
                  {"no labels", "kuzushiji-train-images-idx3-ubyte.gz", "kuzushiji-train-labels-idx1-ubyte"});
}

TEST(Locate, TellsAMissingDirectoryFromOneThatIsNone) {
  const TemporaryDirectory directory;
  InputOptions options = options_for(directory, Split::train);
  options.data_dir = (directory / "nowhere").string();
  expect_contains(error_of([&] { locate(options); }), {"no images", "nowhere does not exist"});
  touch(directory / "a_file");
  options.data_dir = (directory / "a_file").string();
  expect_contains(error_of([&] { locate(options); }),
                  {"a_file", "is a file, expected a directory", "HINT: "});
  options.data_dir = (directory / "a_file/below").string();
  expect_contains(error_of([&] { locate(options); }), {"no images", "below does not exist"});
}

TEST(Locate, SaysThatADirectoryMayNotBeListed) {
  if (geteuid() == 0) GTEST_SKIP() << "root may list everything";
  const TemporaryDirectory directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms::none);
  const std::string message = error_of([&] { locate(options_for(directory, Split::train)); });
  std::filesystem::permissions(directory.path(), std::filesystem::perms::owner_all);
  expect_contains(message, {directory.path().string(), "Permission denied", "HINT: "});
}

}  // namespace
}  // namespace fcmnist::data
