#include <gtest/gtest.h>

#include "comm/session.hpp"
#include "support/mpi_test.hpp"
#include "support/tests_of_file.hpp"

namespace fcmnist::test {
namespace {
const comm::Session* session = nullptr;
}
const comm::Communicator& world() { return session->world(); }
}  // namespace fcmnist::test

int main(int argc, char** argv) {
  const fcmnist::comm::Session session;
  fcmnist::test::session = &session;
  testing::InitGoogleTest(&argc, argv);
  if (!fcmnist::test::choose_tests_of_file(argc, argv)) return 1;
  // Rank 0 prints the usual report; the others speak only of failures, and their result counts.
  if (session.world().rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    class FailurePrinter : public testing::EmptyTestEventListener {
      void OnTestPartResult(const testing::TestPartResult& result) override {
        if (result.failed()) {
          std::fprintf(stderr, "rank %d: %s:%d: %s\n", fcmnist::test::world().rank(), result.file_name(),
                       result.line_number(), result.message());
        }
      }
    };
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter);
  }
  return static_cast<int>(session.world().max(RUN_ALL_TESTS()));
}
