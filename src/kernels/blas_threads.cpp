#include "kernels/blas_threads.hpp"

#include <cblas.h>
#include <unistd.h>

#include "core/signal_stack.hpp"
#include "kernels/gemm_onednn.hpp"

// OpenBLAS starts its threads in its constructor, before main(), unless its environment says otherwise. glibc
// starts a program in this order:
//   1. the functions in .preinit_array of the executable; they get the arguments of main()
//   2. the constructors of the libraries. That of glibc sets `environ` to the array of (1), so that a setenv() in
//      (1) would be lost. That of OpenBLAS calls getenv().
//   3. the constructors of the executable
//   4. main()
// So (1) exchanges one entry of the array, and (3) puts it back: main() and child processes have the user's
// environment. Other C libraries ignore .preinit_array, and OpenBLAS does what it always does.

namespace {

char one_thread[] = "OPENBLAS_NUM_THREADS=1";
char* original = nullptr;  // the entry in whose place that one stands

// In (1) no sanitizer is ready.
#define FCMNIST_BEFORE_SANITIZERS __attribute__((no_sanitize("address", "undefined")))

FCMNIST_BEFORE_SANITIZERS bool is_variable(const char* entry, const char* name) {
  while (*name != '\0' && *entry == *name) {
    ++entry;
    ++name;
  }
  return *name == '\0' && *entry == '=';
}

/// In the order of preference: what OpenBLAS reads itself, and what no library reads in its constructor.
constexpr const char* exchangeable[] = {"OPENBLAS_NUM_THREADS",
                                        "_",
                                        "OLDPWD",
                                        "SHLVL",
                                        "PWD",
                                        "SHELL",
                                        "LOGNAME",
                                        "USER",
                                        "MAIL",
                                        "TERM",
                                        "HOME",
                                        "PATH",
                                        "GOTO_NUM_THREADS",
                                        "HOSTNAME"};

FCMNIST_BEFORE_SANITIZERS void show_one_thread(int /*argc*/, char** /*argv*/, char** environment) {
  for (const char* name : exchangeable) {
    for (char** entry = environment; *entry != nullptr; ++entry) {
      if (!is_variable(*entry, name)) continue;
      original = *entry;
      *entry = one_thread;
      return;
    }
  }
}

__attribute__((section(".preinit_array"), used)) void (*before_libraries)(int, char**,
                                                                          char**) = show_one_thread;

/// A library may have set a variable meanwhile; then the entries are in a new array.
__attribute__((constructor)) void put_entry_back() {
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (*entry == one_thread) *entry = original;
  }
}

}  // namespace

namespace fcmnist::kernels {

void set_blas_threads(int threads) {
  const SignalsBlocked blocked;
  openblas_set_num_threads(threads);
  if constexpr (FCMNIST_HAS_ONEDNN) set_onednn_threads(threads);
}

}  // namespace fcmnist::kernels
