#include "kernels/first_product.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "core/error.hpp"
#include "support/process_threads.hpp"

namespace fcmnist::kernels {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool has_address_sanitizer = true;  // which needs all of the address space
#else
constexpr bool has_address_sanitizer = false;
#endif

/// Bytes of address space that this process uses.
std::size_t address_space_in_use() {
  std::ifstream file("/proc/self/statm");
  std::size_t pages = 0;
  file >> pages;
  return pages * 4096;
}

/// Starts products with so much more address space, or data, than there is in use; prints the error.
[[noreturn]] void start_with(int resource, std::size_t more, int threads) {
  rlimit limit{};
  getrlimit(resource, &limit);
  limit.rlim_cur = address_space_in_use() + more;
  if (setrlimit(resource, &limit) != 0) std::_Exit(99);
  try {
    start_products(threads);
  } catch (const Error& error) {
    std::fputs(error.what(), stderr);
    std::_Exit(static_cast<int>(error.code()));
  }
  std::_Exit(0);
}

TEST(FirstProduct, StartsAsManyThreadsAsAreAskedFor) {
  start_products(1);
  const int before = test::threads_of_this_process();
  start_products(2);
  EXPECT_GE(test::threads_of_this_process(), before);
}

TEST(FirstProduct, ALimitThatForbidsItIsAnErrorAndNoHang) {
  if (has_address_sanitizer) GTEST_SKIP() << "the address sanitizer needs all of the address space";
  constexpr std::size_t megabyte = 1'000'000;
  const auto refused = testing::ExitedWithCode(5);
  EXPECT_EXIT(start_with(RLIMIT_AS, 100 * megabyte, 1), refused,
              "OpenBLAS needs 134.2 MB .*ulimit -v .RLIMIT_AS. is");
  EXPECT_EXIT(start_with(RLIMIT_DATA, 0, 9), refused,
              "OpenBLAS needs|gets [0-9]+ threads besides its own, and its libraries need");
  EXPECT_EXIT(start_with(RLIMIT_AS, 20 * megabyte, 9), refused,
              "gets [0-9]+ threads besides its own, and its libraries need");
  EXPECT_EXIT(start_with(RLIMIT_AS, 2000 * megabyte, 1), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace fcmnist::kernels
