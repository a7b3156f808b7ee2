#pragma once

namespace fcmnist::train {

/// OpenBLAS picks its kernels when it is loaded, from OPENBLAS_CORETYPE or the processor's model number. A
/// version that is older than the processor falls back to AVX2 kernels, at half the speed on machines with
/// AVX-512. Then this runs the program anew with the right OPENBLAS_CORETYPE. To be called before MPI starts.
/// A value that the user has set is left alone, and if nothing can be gained or done, it returns.
///   argv  as main got it
void choose_blas_kernels(char** argv);

}  // namespace fcmnist::train
