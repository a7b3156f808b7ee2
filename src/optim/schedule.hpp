#pragma once

#include <cstddef>
#include <span>

#include "optim/options.hpp"

namespace fcmnist::optim {

/// Learning rate of a step: a pure function of its number, so that a resumed run goes on where it stopped.
///   pieces       run one after the other; a last piece of length 0 ends with training
///   step         0 <= step, the number of steps done before
///   total_steps  length of training
/// With T the length of a piece, t the steps done in it, and r the initial rate:
///   constant                        r
///   linear                          r + (end - r) t / T
///   polynomial                      end + (r - end) (1 - t / T)^power
///   cosine                          end + (r - end) (1 + cos(pi t / T)) / 2
///   exponential                     r factor^(t / period)
///   inverse_exponential_time_decay  r / (1 + factor t^power / period)
///   inverse_square_root_decay       r factor / sqrt(max(t, warmup_steps))
///   piecewise_constant              learning_rates[k], where k milestones have been reached
///   multi_step                      r factor^k
///   step                            r factor^floor(t / period)
///   multiplicative                  r factor^t
///   cosine_annealing                end + (r - end) (1 + cos(pi t / period)) / 2
///   cosine_annealing_warm_restarts  the same in cycles, the first of `period` steps, each period_factor as long as the one before
///   cyclic                          from r up to max_learning_rate in `period` steps and down in steps_down; the height is halved
///                                   after each cycle (triangular2), or multiplied by factor^t (exp_range)
///   one_cycle                       from r to max_learning_rate in pct_start of T steps, and down to r / final_div_factor; with
///                                   three_phase down to r in as many as up, and then further
/// With `staircase`, what stands under a power or is multiplied by the factor is rounded down. After the end of the last piece the
/// end value of linear, polynomial, cosine and one_cycle holds; the others go on.
/// Sources: as the schedulers of these names in PyTorch 1.13 and in the reference; cosine: Loshchilov, Hutter, ICLR 2017; cyclic:
/// Smith, WACV 2017; one_cycle: Smith, Topin, arXiv 1708.07120.
double learning_rate(std::span<const SchedulePiece> pieces, long step, long total_steps);

/// What options.lr_scaling makes of the learning rate of a step of so many samples: a factor.
double rate_factor(const OptimizerOptions& options, std::size_t step_samples);

}  // namespace fcmnist::optim
