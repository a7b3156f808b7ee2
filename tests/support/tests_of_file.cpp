#include "support/tests_of_file.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <string>

namespace fcmnist::test {
namespace {

/// The full names of all tests of a source file, as --gtest_filter takes them; "" if there is none.
std::string filter_of_file(const std::filesystem::path& file) {
  std::string filter;
  const auto& all = *testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const auto& suite = *all.GetTestSuite(s);
    for (int t = 0; t < suite.total_test_count(); ++t) {
      const auto& test = *suite.GetTestInfo(t);
      if (std::filesystem::path(test.file()).filename() != file) continue;
      filter += std::string(filter.empty() ? "" : ":") + suite.name() + "." + test.name();
    }
  }
  return filter;
}

}  // namespace

bool choose_tests_of_file(int argc, char** argv) {
  if (argc < 2) return true;
  const auto filter = filter_of_file(argv[1]);
  if (filter.empty()) {
    std::fprintf(stderr, "error: %s: no test is in a source file of this name\n", argv[1]);
    return false;
  }
  testing::GTEST_FLAG(filter) = filter;
  return true;
}

}  // namespace fcmnist::test
