#include <gtest/gtest.h>

#include "support/tests_of_file.hpp"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return fcmnist::test::choose_tests_of_file(argc, argv) ? RUN_ALL_TESTS() : 1;
}
