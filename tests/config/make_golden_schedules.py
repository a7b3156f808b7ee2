#!/usr/bin/python3
"""Writes golden_schedules.txt: learning rates of 60 steps of every schedule, each below its line of YAML.

The schedulers of PyTorch 1.13 compute them; those that only the reference has are the formulas of its documentation, below.
learning_rate_test.cpp reads the YAML and compares every step.

    tests/config/make_golden_schedules.py > tests/config/golden_schedules.txt
"""
import math

import torch
from torch.optim import lr_scheduler as s

STEPS = 60


def by_torch(make, rate):
    """Rates of a scheduler of PyTorch that is made of an optimizer."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)
    scheduler = make(optimizer)
    for _ in range(STEPS):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


def formula(function):
    return (function(t) for t in range(STEPS))



def one_cycle(**options):
    def make(optimizer):
        return s.OneCycleLR(optimizer, total_steps=STEPS + 1, cycle_momentum=False, **options)
    return make


CASES = [
    ("{scheduler: LinearLR, initial_learning_rate: 0.2, end_learning_rate: 0.05, total_iters: 40}",
     by_torch(lambda o: s.LinearLR(o, 1.0, 0.25, 40), 0.2)),
    ("{scheduler: PolynomialLR, initial_learning_rate: 0.2, end_learning_rate: 0, decay_steps: 40, power: 2.5}",
     by_torch(lambda o: s.PolynomialLR(o, 40, 2.5), 0.2)),
    ("{scheduler: ExponentialLR, initial_learning_rate: 0.2, decay_steps: 1, decay_rate: 0.9}",
     by_torch(lambda o: s.ExponentialLR(o, 0.9), 0.2)),
    ("{scheduler: Exponential, initial_learning_rate: 0.2, total_iters: 7, decay_rate: 0.5, staircase: True}",
     formula(lambda t: 0.2 * 0.5**(t // 7))),
    ("{scheduler: InverseExponentialTimeDecayLR, initial_learning_rate: 0.2, step_exponent: 2, decay_steps: 5, decay_rate: 0.3}",
     formula(lambda t: 0.2 / (1 + 0.3 * t**2 / 5))),
    ("{scheduler: InverseExponentialTimeDecay, initial_learning_rate: 0.2, step_exponent: 1, total_iters: 5, decay_rate: 0.3, "
     "staircase: True}", formula(lambda t: 0.2 / (1 + 0.3 * (t // 5)))),
    ("{scheduler: InverseSquareRootDecayLR, initial_learning_rate: 0.2, scale: 3.0, warmup_steps: 9}",
     formula(lambda t: 0.2 * 3.0 / math.sqrt(max(t, 9)))),
    ("{scheduler: PiecewiseConstantLR, learning_rates: [0.2, 0.4, 0.1], milestones: [7, 30]}",
     formula(lambda t: 0.2 if t < 7 else 0.4 if t < 30 else 0.1)),
    ("{scheduler: StepLR, initial_learning_rate: 0.2, step_size: 11, gamma: 0.5}",
     by_torch(lambda o: s.StepLR(o, 11, 0.5), 0.2)),
    ("{scheduler: MultiStepLR, initial_learning_rate: 0.2, milestones: [3, 20, 50], gamma: 0.3}",
     by_torch(lambda o: s.MultiStepLR(o, [3, 20, 50], 0.3), 0.2)),
    ("{scheduler: MultiplicativeLR, initial_learning_rate: 0.2, coefficient: 0.97}",
     by_torch(lambda o: s.MultiplicativeLR(o, lambda _: 0.97), 0.2)),
    ("{scheduler: CosineDecay, initial_learning_rate: 0.2, end_learning_rate: 0.01, steps: 60}",
     by_torch(lambda o: s.CosineAnnealingLR(o, 60, 0.01), 0.2)),
    ("{scheduler: CosineAnnealingLR, initial_learning_rate: 0.2, T_max: 13, eta_min: 0.01}",
     formula(lambda t: 0.01 + 0.19 * (1 + math.cos(math.pi * t / 13)) / 2)),
    ("{scheduler: CosineAnnealingWarmRestarts, initial_learning_rate: 0.2, T_0: 9, T_mult: 1, eta_min: 0.01}",
     by_torch(lambda o: s.CosineAnnealingWarmRestarts(o, 9, 1, 0.01), 0.2)),
    ("{scheduler: CosineAnnealingWarmRestarts, initial_learning_rate: 0.2, T_0: 7, T_mult: 2, eta_min: 0.01}",
     by_torch(lambda o: s.CosineAnnealingWarmRestarts(o, 7, 2, 0.01), 0.2)),
    ("{scheduler: CyclicLR, base_lr: 0.02, max_lr: 0.2, step_size_up: 7, step_size_down: 12, mode: triangular}",
     by_torch(lambda o: s.CyclicLR(o, 0.02, 0.2, 7, 12, cycle_momentum=False), 0.02)),
    ("{scheduler: CyclicLR, base_lr: 0.02, max_lr: 0.2, step_size_up: 7, step_size_down: null, mode: triangular2, gamma: 1.0, "
     "scale_mode: cycle}", by_torch(lambda o: s.CyclicLR(o, 0.02, 0.2, 7, mode="triangular2", cycle_momentum=False), 0.02)),
    ("{scheduler: CyclicLR, base_lr: 0.02, max_lr: 0.2, step_size_up: 5, mode: exp_range, gamma: 0.98}",
     by_torch(lambda o: s.CyclicLR(o, 0.02, 0.2, 5, mode="exp_range", gamma=0.98, cycle_momentum=False), 0.02)),
    ("{scheduler: OneCycleLR, initial_learning_rate: 0.02, max_lr: 0.2, total_steps: 61, pct_start: 0.3, final_div_factor: 100.0, "
     "three_phase: False, anneal_strategy: cos}",
     by_torch(one_cycle(max_lr=0.2, div_factor=10, final_div_factor=100), 0.02)),
    ("{scheduler: OneCycleLR, initial_learning_rate: 0.02, max_lr: 0.2, total_steps: 61, pct_start: 0.4, final_div_factor: 100.0, "
     "three_phase: True, anneal_strategy: linear}",
     by_torch(one_cycle(max_lr=0.2, div_factor=10, pct_start=0.4, final_div_factor=100, three_phase=True,
                        anneal_strategy="linear"), 0.02)),
    ("[{scheduler: Linear, initial_learning_rate: 0.0, end_learning_rate: 0.2, steps: 10}, "
     "{scheduler: Exponential, initial_learning_rate: 0.2, decay_steps: 15, decay_rate: 0.5}, "
     "{scheduler: StepLR, initial_learning_rate: 0.1, step_size: 5, gamma: 0.5}]",
     formula(lambda t: 0.02 * t if t < 10 else 0.2 * 0.5**((t - 10) / 15) if t < 25 else 0.1 * 0.5**((t - 25) // 5))),
]


def main():
    print("# Written by make_golden_schedules.py with PyTorch", torch.__version__.split("+")[0])
    for yaml, rates in CASES:
        print("schedule", yaml)
        print(*(f"{rate:.9g}" for rate in rates))


if __name__ == "__main__":
    main()
