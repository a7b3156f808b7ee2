#include "core/digest.hpp"

#include <gtest/gtest.h>

#include <string_view>

namespace fcmnist {
namespace {

// These are the example values of FIPS 180-4.
TEST(Sha256, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(std::string_view("abc")))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, DoesNotDependOnHowTheBytesArrive) {
  Sha256 sum;
  sum.add(std::as_bytes(std::span(std::string_view("a"))));
  sum.add(std::as_bytes(std::span(std::string_view("bc"))));
  EXPECT_EQ(sum.hex(), sha256_hex(std::as_bytes(std::span(std::string_view("abc")))));
}

}  // namespace
}  // namespace fcmnist
