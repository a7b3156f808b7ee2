#pragma once

/// Before a function: it is also compiled for AVX-512, and the loader chooses. For loops that gain from it.
/// (clang 14 has no such clones; the sanitizers are not ready when the loader chooses one.)
#if defined(__x86_64__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FCMNIST_ALSO_FOR_AVX512 __attribute__((target_clones("arch=x86-64-v4", "default")))
#else
#define FCMNIST_ALSO_FOR_AVX512
#endif
