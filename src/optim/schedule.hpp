#pragma once

#include <span>

#include "optim/options.hpp"

namespace fcmnist::optim {

/// Learning rate of a step: a pure function of its number, so that a resumed run goes on where it stopped.
///   pieces       run one after the other; a last piece of length 0 ends with training
///   step         0 <= step, the number of steps done before
///   total_steps  length of training
/// After the end of the last piece its end value holds. With T the length of a piece and t the steps done in
/// it:
///   constant    initial
///   linear      initial + (end - initial) * t / T
///   polynomial  end + (initial - end) * (1 - t / T)^power
///   cosine      end + (initial - end) * (1 + cos(pi * t / T)) / 2      (Loshchilov and Hutter 2017,
///               without restarts)
double learning_rate(std::span<const SchedulePiece> pieces, long step, long total_steps);

}  // namespace fcmnist::optim
