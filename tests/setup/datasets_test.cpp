#include "setup/datasets.hpp"

#include <gtest/gtest.h>

#include "core/error.hpp"
#include "support/log_text.hpp"

namespace fcmnist::setup {
namespace {

data::SetIdentity identity(const std::string& set, const std::string& images_sha256) {
  data::SetIdentity made;
  made.set = set;
  made.shape = {60, 8, 8};
  if (set == data::made_up_set) return made;
  made.files = {"here/train-images-idx3-ubyte", "here/train-labels-idx1-ubyte"};
  made.digests = {images_sha256, "labels"};
  return made;
}

store::Manifest trained_on(const data::SetIdentity& made) {
  store::Manifest manifest;
  add_to_manifest(made, Role::training, manifest);
  return manifest;
}

std::string warning(const store::Manifest& trained, const data::SetIdentity& tested) {
  test::LogText log;
  warn_of_other_set(trained, tested, log.log());
  return log.text();
}

TEST(TrainedAndTested, OnDifferentSetsIsAWarningThatNamesThem) {
  const std::string text = warning(trained_on(identity("MNIST", "a")), identity("unknown set", "b"));
  EXPECT_NE(text.find("warning: trained on MNIST ("), std::string::npos) << text;
  EXPECT_NE(text.find("but tested on unknown set (here/train-images-idx3-ubyte)"), std::string::npos) << text;
  EXPECT_NE(warning(trained_on(identity("made-up data", "")), identity("MNIST", "b")), "");
}

TEST(TrainedAndTested, OnWhatMayBeOneSetIsNoWarning) {
  EXPECT_EQ(warning(trained_on(identity("MNIST", "a")), identity("MNIST", "b")), "");
  EXPECT_EQ(warning(trained_on(identity("unknown set", "a")), identity("unknown set", "b")), "");
  EXPECT_EQ(warning(store::Manifest(), identity("MNIST", "b")), "") << "an older file does not say";
}

TEST(OwnTestSet, IsKnownByItsDigests) {
  store::Manifest run;
  add_to_manifest(identity("MNIST", "a"), Role::test, run);
  EXPECT_EQ(is_own_test_set(run, identity("MNIST", "a")), true);
  EXPECT_EQ(is_own_test_set(run, identity("MNIST", "b")), false);
  EXPECT_EQ(is_own_test_set(run, identity("made-up data", "")), std::nullopt);
  EXPECT_EQ(is_own_test_set(store::Manifest(), identity("MNIST", "a")), std::nullopt) << "an older file";
}

TEST(OwnTestSet, IsNamedIfAnotherIsScored) {
  store::Manifest run;
  add_to_manifest(identity("MNIST", "a"), Role::test, run);
  const auto said = [&](const data::SetIdentity& scored) {
    test::LogText log;
    say_other_test_set(run, scored, log.log());
    return log.text();
  };
  EXPECT_EQ(said(identity("MNIST", "a")), "");
  EXPECT_NE(said(identity("unknown set", "b")).find("another set than the run itself, whose set is MNIST, "),
            std::string::npos);
}

TEST(TrainingImages, MustBeTheSameWhenARunGoesOn) {
  const auto check = [](const store::Manifest& then, const store::Manifest& now) {
    check_same_images(then, now, "here");
  };
  const store::Manifest then = trained_on(identity("unknown set", "a"));
  EXPECT_NO_THROW(check(then, trained_on(identity("unknown set", "a"))));
  EXPECT_NO_THROW(check(store::Manifest(), then)) << "an older file does not say";
  EXPECT_THROW(check(then, trained_on(identity("unknown set", "b"))), DataError);
}

}  // namespace
}  // namespace fcmnist::setup
