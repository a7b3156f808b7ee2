#pragma once

#include <csignal>

namespace fcmnist {

/// Gives the calling thread a stack of its own for signal handlers, unless it has one. Handlers must be installed with
/// SA_ONSTACK to run there.
///
/// Products of oneDNN (2.6) use the stack pointer as if no signal could come: a handler on the ordinary stack
/// overwrites their numbers, or the heap. So each thread that multiplies has such a stack, or takes no signals.
void use_signal_stack();

/// Threads that start while there is such an object take no signals, to their end.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace fcmnist
