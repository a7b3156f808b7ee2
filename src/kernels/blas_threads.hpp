#pragma once

namespace fcmnist::kernels {

/// Sets how many threads each GEMM of the calling thread may use, in either library.
///
/// The threads of the libraries take no signals (see core/signal_stack.hpp).
///
/// A program that calls this function has no threads of OpenBLAS before its first call, whatever
/// OPENBLAS_NUM_THREADS and OMP_NUM_THREADS say. By itself OpenBLAS starts one for each core before main(). Each
/// takes a stack and 128 MB of address space, and where a limit forbids either, OpenBLAS ends
/// the process or waits for ever.
void set_blas_threads(int threads);

}  // namespace fcmnist::kernels
