// All ranks of the world but one come to the end of the Session, or of a SharedWindow: the world must end,
// with an error that names the missing rank.
//   end_without_a_rank session|window MISSING_RANK

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "comm/session.hpp"
#include "comm/shared_window.hpp"

int main(int argc, char** argv) {
  using namespace fcmnist::comm;
  if (argc != 3) return EXIT_FAILURE;
  const Session session;
  session.set_stall_timeout(1.0);
  const auto wait_for_ever_if_missing = [&] {
    while (session.world().rank() == std::atoi(argv[2])) pause();
  };
  if (argv[1] == std::string_view("window")) {
    const SharedWindow window(session.world(), 100);
    wait_for_ever_if_missing();
  }
  wait_for_ever_if_missing();
  return EXIT_SUCCESS;
}
