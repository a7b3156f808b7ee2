#include "core/signal_stack.hpp"

#include <cstddef>
#include <memory>

namespace fcmnist {

void use_signal_stack() {
  constexpr std::size_t bytes = std::size_t{64}
                                << 10;  // the registers of a processor with AMX alone take 11 kB of it
  stack_t stack{};
  const bool has_one = sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) == 0;
  if (has_one) return;
  thread_local const auto memory = std::make_unique<std::byte[]>(bytes);
  stack.ss_sp = memory.get();
  stack.ss_size = bytes;
  stack.ss_flags = 0;
  sigaltstack(&stack, nullptr);
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

}  // namespace fcmnist
