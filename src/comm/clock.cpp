#include "comm/clock.hpp"

#include <mpi.h>

namespace fcmnist::comm {

double now_s() { return MPI_Wtime(); }

}  // namespace fcmnist::comm
