#pragma once

namespace fcmnist::test {

/// Called after InitGoogleTest: if an argument is left, it is the name of a source file, as in "grid_test.cpp", and only
/// the tests of this file will run. Returns false, after a message on stderr, if that is not so of any test.
bool choose_tests_of_file(int argc, char** argv);

}  // namespace fcmnist::test
