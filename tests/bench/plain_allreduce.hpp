#pragma once

#include <mpi.h>

#include <span>

#include "comm/mpi_handle.hpp"

namespace fcmnist::bench {

/// out = sum over ranks of in, as MPI does it; not in place. Collective.
inline void plain_allreduce(const comm::Communicator& world, std::span<const float> in,
                            std::span<float> out) {
  FCMNIST_MPI(MPI_Allreduce(in.data(), out.data(), static_cast<int>(in.size()), MPI_FLOAT, MPI_SUM,
                            world.handle().comm));
}

}  // namespace fcmnist::bench
