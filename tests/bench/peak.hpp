#pragma once

namespace fcmnist::bench {

/// What this core can do at best in fp32: independent chains of fused multiply-adds in registers, with the
/// widest vectors that it has.
void fma_burst();

/// Floating-point operations of one fma_burst(); a multiply-add counts as two.
double fma_burst_flop();

}  // namespace fcmnist::bench
