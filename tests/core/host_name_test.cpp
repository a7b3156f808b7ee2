#include "core/host_name.hpp"

#include <gtest/gtest.h>
#include <sys/utsname.h>

namespace fcmnist {
namespace {

TEST(HostName, IsTheNodeNameOfTheKernel) {
  utsname name{};
  ASSERT_EQ(::uname(&name), 0);
  EXPECT_EQ(host_name(), name.nodename);
}

}  // namespace
}  // namespace fcmnist
