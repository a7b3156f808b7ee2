#include "core/processor.hpp"

#include <gtest/gtest.h>

namespace fcmnist {
namespace {

TEST(ProcessorName, IsOneLineOfText) {
  const std::string name = processor_name();
  EXPECT_FALSE(name.empty());
  EXPECT_EQ(name.find_first_of("\n\r\t:"), std::string::npos) << name;
}

}  // namespace
}  // namespace fcmnist
