#pragma once

/// Written before a function, this compiles it a second time for AVX-512; the loader chooses between the two.
/// It is for functions whose loops gain from that. (clang 14 has no such clones. The sanitizers are not ready
/// when the loader chooses.)
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FCMNIST_ALSO_FOR_AVX512 __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define FCMNIST_ALSO_FOR_AVX512
#endif
