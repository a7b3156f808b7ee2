#pragma once

namespace fcmnist::kernels {

/// Does what the libraries do once, at their first product, before anybody depends on it: OpenBLAS takes a buffer
/// of 128 MB for each thread and starts its threads, oneDNN makes its first machine code.
///
/// Throws CommError if a limit of this process forbids that. OpenBLAS would not say so: it asks for a buffer again
/// and again. Should a library wait for ever all the same, the process ends with exit code 5 after a minute.
///   threads  as for set_blas_threads(), which this calls
void start_products(int threads);

}  // namespace fcmnist::kernels
