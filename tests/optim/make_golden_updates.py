#!/usr/bin/python3
"""Writes golden_updates.txt: two weights after each of 100 steps of every optimizer, in float64.

PyTorch 1.13 computes them; what it has not or has wrong, Lion (Chen et al., arXiv 2302.06675, algorithm 2), LARS (You, Gitman,
Ginsburg, arXiv 1708.03888, algorithm 1, with the learning rate outside the momentum), LAMB (You et al., ICLR 2020, algorithm 2)
and NAdam, stands below. Both weights make one array, of which LARS and LAMB take norms. rules_test.cpp holds our rules to these numbers. Gradients and learning rates are functions of the step; both
programs have them.

    tests/optim/make_golden_updates.py > tests/optim/golden_updates.txt
"""
import math

import torch

STEPS = 100
START = (0.5, -0.3)


def gradient(step, i):
    return math.cos(0.37 * step + i) + 0.3 * math.sin(1.7 * step * (i + 1))


def learning_rate(step):
    return 0.01 * (1.0 + 0.5 * math.cos(0.1 * step))


class Lion(torch.optim.Optimizer):
    def __init__(self, params, lr, betas=(0.9, 0.99), weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                update = torch.sign(beta1 * m + (1 - beta1) * w.grad)
                w.copy_(w - group["lr"] * (update + group["weight_decay"] * w))
                m.copy_(beta2 * m + (1 - beta2) * w.grad)


class Lars(torch.optim.Optimizer):
    """adapts False: of an array whose ratio is 1."""

    def __init__(self, params, lr, momentum=0.0, nesterov=False, weight_decay=0.0, trust_coefficient=1e-3, eps=1e-8, adapts=True):
        super().__init__(params, {"lr": lr, "momentum": momentum, "nesterov": nesterov, "weight_decay": weight_decay,
                                  "trust_coefficient": trust_coefficient, "eps": eps, "adapts": adapts})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            decay, momentum = group["weight_decay"], group["momentum"]
            for w in group["params"]:
                size = w.norm()
                ratio = group["trust_coefficient"] * size / (w.grad.norm() + decay * size + group["eps"])
                g = (ratio if group["adapts"] else 1.0) * (w.grad + decay * w)
                m = self.state[w].setdefault("m", torch.zeros_like(w))
                m.copy_(momentum * m + g)
                w.sub_(group["lr"] * (g + momentum * m if group["nesterov"] else m))


class Lamb(torch.optim.Optimizer):
    """adapts False: of an array whose ratio is 1."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.0, correct_bias=True, adapts=True):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "correct_bias": correct_bias, "adapts": adapts})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                state = self.state[w] or self.state.setdefault(w, {})
                step = state["step"] = state.get("step", 0) + 1
                m = state["m"] = beta1 * state.get("m", torch.zeros_like(w)) + (1 - beta1) * w.grad
                v = state["v"] = beta2 * state.get("v", torch.zeros_like(w)) + (1 - beta2) * w.grad**2
                if group["correct_bias"]:
                    m, v = m / (1 - beta1**step), v / (1 - beta2**step)
                r = m / (v.sqrt() + group["eps"]) + group["weight_decay"] * w
                ratio = w.norm() / r.norm() if group["adapts"] else 1.0
                w.sub_(group["lr"] * ratio * r)


class NAdam(torch.optim.Optimizer):
    """As in PyTorch 2.0: 1.13 takes a factor of the second product twice."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, momentum_decay=4e-3):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
                                  "momentum_decay": momentum_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for w in group["params"]:
                state = self.state[w] or self.state.setdefault(w, {})
                step = state["step"] = state.get("step", 0) + 1
                g = w.grad + group["weight_decay"] * w
                now, following = (beta1 * (1 - 0.5 * 0.96**(t * group["momentum_decay"])) for t in (step, step + 1))
                product = state["product"] = state.get("product", 1.0) * now
                m = state["m"] = beta1 * state.get("m", torch.zeros_like(w)) + (1 - beta1) * g
                v = state["v"] = beta2 * state.get("v", torch.zeros_like(w)) + (1 - beta2) * g * g
                scale = (v / (1 - beta2**step)).sqrt() + group["eps"]
                w.sub_(group["lr"] * (1 - now) / (1 - product) * g / scale)
                w.sub_(group["lr"] * following / (1 - product * following) * m / scale)


o = torch.optim
VARIANTS = {
    "sgd": (o.SGD, {}),
    "sgd_momentum_decay": (o.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "sgd_nesterov": (o.SGD, {"momentum": 0.8, "nesterov": True}),
    "adam": (o.Adam, {}),
    "adam_decay_betas": (o.Adam, {"weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-3}),
    "adam_amsgrad": (o.Adam, {"amsgrad": True, "betas": (0.9, 0.9)}),
    "adamw": (o.AdamW, {"weight_decay": 0.1}),
    "adamw_amsgrad": (o.AdamW, {"weight_decay": 0.1, "amsgrad": True, "betas": (0.9, 0.9)}),
    "adamax": (o.Adamax, {"weight_decay": 0.1}),
    "nadam": (NAdam, {"weight_decay": 0.1}),
    "nadam_momentum_decay": (NAdam, {"momentum_decay": 0.1, "betas": (0.95, 0.99)}),
    "radam": (o.RAdam, {"weight_decay": 0.1}),
    "radam_betas": (o.RAdam, {"betas": (0.8, 0.9)}),
    "rmsprop": (o.RMSprop, {"weight_decay": 0.1}),
    "rmsprop_momentum": (o.RMSprop, {"momentum": 0.9, "alpha": 0.9, "eps": 1e-3}),
    "rmsprop_centered": (o.RMSprop, {"centered": True, "momentum": 0.5, "alpha": 0.95}),
    "rprop": (o.Rprop, {}),
    "rprop_limits": (o.Rprop, {"etas": (0.4, 1.5), "step_sizes": (1e-3, 0.02)}),
    "adagrad": (o.Adagrad, {"weight_decay": 0.1}),
    "adagrad_decay": (o.Adagrad, {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    "adadelta": (o.Adadelta, {"weight_decay": 0.1, "rho": 0.8}),
    "asgd": (o.ASGD, {"weight_decay": 0.1, "lambd": 0.05, "alpha": 0.6, "t0": 10}),
    "lion": (Lion, {"weight_decay": 0.1}),
    "lion_betas": (Lion, {"betas": (0.5, 0.8)}),
    "lars": (Lars, {"momentum": 0.9, "weight_decay": 0.1, "trust_coefficient": 0.5}),
    "lars_nesterov": (Lars, {"momentum": 0.8, "nesterov": True, "trust_coefficient": 2.0, "eps": 0.1}),
    "lars_left_out": (Lars, {"momentum": 0.9, "trust_coefficient": 0.5, "adapts": False}),
    "lamb": (Lamb, {"weight_decay": 0.1}),
    "lamb_betas": (Lamb, {"betas": (0.8, 0.95), "eps": 1e-3}),
    "lamb_without_bias_correction": (Lamb, {"weight_decay": 0.1, "betas": (0.9, 0.99), "correct_bias": False}),
    "lamb_left_out": (Lamb, {"adapts": False}),
}
# Of these PyTorch takes the learning rate of the step before.
CONSTANT_RATE = ("asgd", "rprop", "rprop_limits")


def main():
    print("# Written by make_golden_updates.py with PyTorch", torch.__version__.split("+")[0])
    for name, (optimizer_class, options) in VARIANTS.items():
        print("variant", name)
        weights = torch.tensor(START, dtype=torch.float64, requires_grad=True)
        optimizer = optimizer_class([weights], lr=learning_rate(1), **options)
        for step in range(1, STEPS + 1):
            if name not in CONSTANT_RATE:
                optimizer.param_groups[0]["lr"] = learning_rate(step)
            weights.grad = torch.tensor([gradient(step, i) for i in range(len(START))], dtype=torch.float64)
            optimizer.step()
            print(*(f"{w:.9g}" for w in weights.tolist()))


if __name__ == "__main__":
    main()
