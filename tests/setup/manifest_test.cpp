#include "setup/manifest.hpp"

#include <gtest/gtest.h>

namespace fcmnist::setup {
namespace {

store::Manifest manifest(const std::string& blas, const std::string& core, const std::string& compiler) {
  store::Manifest made;
  made.add("git_revision", std::string("0123456789ab"));
  made.add("blas", blas);
  if (!core.empty()) made.add("blas_core", core);
  made.add("compiler", compiler);
  made.add("world_size", std::int64_t{4});
  return made;
}

const store::Manifest then = manifest("OpenBLAS 0.3.21 DYNAMIC_ARCH SkylakeX", "SkylakeX", "g++ 12.2.0");

TEST(ManifestChanges, AreEmptyForEqualEntries) {
  EXPECT_EQ(manifest_changes(then, then, bit_entries), "");
  EXPECT_EQ(manifest_changes(then, then, noted_entries), "");
}

TEST(ManifestChanges, NameTheEntryAndBothValues) {
  const auto to = [](const char* blas, const char* core, const char* compiler) {
    return manifest_changes(then, manifest(blas, core, compiler), bit_entries);
  };
  EXPECT_EQ(to("OpenBLAS 0.3.21 DYNAMIC_ARCH Haswell", "Haswell", "g++ 12.2.0"),
            "blas_core from SkylakeX to Haswell");
  EXPECT_EQ(
      to("oneDNN 2.6.3", "avx512_core", "g++ 13.1.0"),
      "blas from OpenBLAS 0.3.21 to oneDNN 2.6.3, blas_core from SkylakeX to avx512_core, compiler from g++ "
      "12.2.0 to g++ 13.1.0");
  EXPECT_EQ(to("OpenBLAS 0.3.22 DYNAMIC_ARCH SkylakeX", "SkylakeX", "g++ 12.2.0"),
            "blas from OpenBLAS 0.3.21 to OpenBLAS 0.3.22");
}

TEST(ManifestChanges, AnEntryThatIsNotThereIsPassedOver) {
  EXPECT_EQ(manifest_changes(then, manifest("OpenBLAS 0.3.21", "", "g++ 12.2.0"), bit_entries), "");
  EXPECT_EQ(manifest_changes(manifest("OpenBLAS 0.3.21", "", "g++ 12.2.0"), then, bit_entries), "");
}

TEST(KernelsOf, NamesEachKindOnce) {
  const std::vector<std::string> alike = {"Haswell", "Haswell"}, mixed = {"Zen", "Haswell", "Zen"};
  EXPECT_EQ(distinct(alike), "Haswell");
  EXPECT_EQ(distinct(mixed), "Zen, Haswell");
}

TEST(NameAndVersion, IsTheFirstTwoWords) {
  EXPECT_EQ(name_and_version("OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH Haswell"), "OpenBLAS 0.3.21");
  EXPECT_EQ(name_and_version("oneDNN 2.6.3"), "oneDNN 2.6.3");
}

}  // namespace
}  // namespace fcmnist::setup
