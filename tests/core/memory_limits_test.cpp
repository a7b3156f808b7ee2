#include "core/memory_limits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>

namespace fcmnist {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool has_address_sanitizer = true;  // which needs all of the address space
#else
constexpr bool has_address_sanitizer = false;
#endif

constexpr std::size_t gigabyte = 1'000'000'000;

void set_limit(int resource, std::size_t bytes) {
  rlimit limit{};
  getrlimit(resource, &limit);
  limit.rlim_cur = bytes;
  if (setrlimit(resource, &limit) != 0) std::_Exit(99);
}

/// Prints the text, in a process that has such limits, and whether it gets 8 GB.
[[noreturn]] void print_with_limits(std::size_t address_space, std::size_t data, std::size_t needed) {
  if (address_space > 0) set_limit(RLIMIT_AS, address_space);
  if (data > 0) set_limit(RLIMIT_DATA, data);
  std::fprintf(stderr, "%s. %s%s\n", memory_limits_text(needed).c_str(),
               can_allocate(8 * gigabyte) ? "granted" : "refused", can_share(8 * gigabyte) ? ", shared" : "");
  std::_Exit(0);
}

class MemoryLimits : public testing::Test {
 protected:
  void SetUp() override {
    if (has_address_sanitizer) GTEST_SKIP() << "the address sanitizer needs all of the address space";
    rlimit limit{};
    for (const int resource : {RLIMIT_AS, RLIMIT_DATA}) {
      getrlimit(resource, &limit);
      if (limit.rlim_cur != RLIM_INFINITY) GTEST_SKIP() << "there is a limit already";
    }
  }
};

TEST_F(MemoryLimits, TheOneThatForbidsItIsNamedWithWhatIsInUse) {
  EXPECT_EXIT(print_with_limits(4 * gigabyte, 0, 8 * gigabyte), testing::ExitedWithCode(0),
              AllOf(HasSubstr("ulimit -v (RLIMIT_AS) is 4.00 GB, "), HasSubstr("are in use"),
                    Not(HasSubstr("RLIMIT_DATA")), HasSubstr("refused\n")));
  EXPECT_EXIT(print_with_limits(0, 3 * gigabyte, 8 * gigabyte), testing::ExitedWithCode(0),
              AllOf(HasSubstr("ulimit -d (RLIMIT_DATA) is 3.00 GB, "), Not(HasSubstr("RLIMIT_AS")),
                    HasSubstr("refused, shared\n")));
  EXPECT_EXIT(print_with_limits(32 * gigabyte, 3 * gigabyte, 8 * gigabyte), testing::ExitedWithCode(0),
              AllOf(HasSubstr("RLIMIT_DATA"), Not(HasSubstr("RLIMIT_AS")), HasSubstr("refused")));
}

TEST_F(MemoryLimits, IfNoneIsKnownToForbidItAllOfThemAreNamed) {
  EXPECT_EXIT(print_with_limits(32 * gigabyte, 31 * gigabyte, 0), testing::ExitedWithCode(0),
              AllOf(HasSubstr("RLIMIT_AS"), HasSubstr("; ulimit -d (RLIMIT_DATA)"), HasSubstr("granted")));
  EXPECT_THAT(memory_limits_text(0),
              testing::AnyOf(HasSubstr("is set"), HasSubstr("vm.overcommit_memory is 2")));
}

TEST_F(MemoryLimits, TheErrorIsExit5AndHasAHint) {
  const CommError error = out_of_memory("no memory for this");
  EXPECT_EQ(error.code(), ExitCode::communication);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("no memory for this: "), HasSubstr("\n  HINT: ")));
}

}  // namespace
}  // namespace fcmnist
