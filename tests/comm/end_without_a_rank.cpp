// One rank does not come to the end of the Session or of a SharedWindow, to which all other ranks come. Or
// one rank is stopped within a call of MPI that waits for the others. In both cases the world must end with
// an error that names this rank.
//   end_without_a_rank session|window|split|split_by_node|allocate|free|finalize RANK

#include <mpi.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string_view>

#include "comm/session.hpp"
#include "comm/shared_window.hpp"

namespace {

std::string_view stop_in;  // the call in which this rank stops; empty if it does not stop

void stop_if(std::string_view call) {
  if (call == stop_in) raise(SIGSTOP);
}

}  // namespace

// The profiling interface of MPI calls our functions in the place of those of the library.
extern "C" {
int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm* part) {
  stop_if("split");
  return PMPI_Comm_split(comm, color, key, part);
}
int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm* part) {
  stop_if("split_by_node");
  return PMPI_Comm_split_type(comm, type, key, info, part);
}
int MPI_Win_allocate_shared(MPI_Aint size, int unit, MPI_Info info, MPI_Comm comm, void* base,
                            MPI_Win* window) {
  stop_if("allocate");
  return PMPI_Win_allocate_shared(size, unit, info, comm, base, window);
}
int MPI_Win_free(MPI_Win* window) {
  stop_if("free");
  return PMPI_Win_free(window);
}
int MPI_Finalize() {
  stop_if("finalize");
  return PMPI_Finalize();
}
}

int main(int argc, char** argv) {
  using namespace fcmnist::comm;
  if (argc != 3) return EXIT_FAILURE;
  const std::string_view what = argv[1];
  const Session session;
  session.set_stall_timeout(3.0);
  const bool is_the_one = session.world().rank() == std::atoi(argv[2]);
  if (is_the_one) stop_in = what;
  const auto wait_for_ever_if_missing = [&] {
    while (is_the_one) pause();
  };
  {
    const Communicator all = session.world().split(0);
    const Communicator node = all.split_by_node();
    const SharedWindow window(node, 100);
    if (what == "window") wait_for_ever_if_missing();
  }
  if (what == "session") wait_for_ever_if_missing();
  return EXIT_SUCCESS;
}
