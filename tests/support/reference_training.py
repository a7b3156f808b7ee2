"""An independent program for the training that fcmnist_mpi does: NumPy in double precision, one process, no shares.

Written from the documents (PyTorch's SGD and clip_grad_*, Salmon et al. 2011 for the random numbers, src/core/
counter_rng.hpp for their keys), not from the C++ code.
"""
import dataclasses
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from fcmnist_analysis.mixup import mixed, partner_of, share_of  # noqa: E402
from sample_order import epoch_order, philox  # noqa: E402

DROPOUT = 3  # the purpose of the random numbers of dropout masks, part of their key
INPUTS = 255  # the inputs, where the key has a layer


def dropout_mask(seed, epoch, layer, ids, units, probability):
    """Factors 0 or 1 / (1 - probability). A unit takes 16 bits. Blocks come in groups of 16, for 128 units: 16 units take the
    low halves of the first number of each block, the next 16 the high halves, then the second number, and so on."""
    unit = np.arange(units)
    block = unit // 128 * 16 + unit % 16
    number, half = unit % 128 // 32, unit // 16 % 2
    mask = np.empty((len(ids), units))
    for row, sample in enumerate(ids):
        numbers = philox(seed, DROPOUT, epoch << 8 | layer, int(sample), np.arange(block.max() + 1))
        draws = numbers[block, number] >> (16 * half).astype(np.uint64) & np.uint64(0xFFFF)
        mask[row] = np.where(draws < int(probability * 65536), 0.0, 1 / (1 - probability))
    return mask


def features(images):
    return (images.reshape(len(images), -1) / 255.0 - 0.1307) / 0.3081


def logits(weights, inputs):
    """Scores of a trained network, without dropout. weights: arrays by PyTorch's names."""
    names = sorted(name for name in weights if name.endswith(".weight") and name != "last_layer.weight")
    x = inputs
    for name in sorted(names, key=lambda name: int(name.split(".")[1])):
        x = np.maximum(x @ weights[name].astype(float).T + weights.get(name.replace("weight", "bias"), 0.0), 0)
    return x @ weights["last_layer.weight"].astype(float).T + weights.get("last_layer.bias", 0.0)


@dataclasses.dataclass
class Settings:
    """As the keys of the configuration; learning_rate is a function of the step, from 0."""
    step_batch: int
    learning_rate: object
    momentum: float = 0.0
    use_nesterov: bool = False
    weight_decay_rate: float = 0.0
    max_weight_norm: float = 0.0
    max_gradient_norm: float = 0.0
    max_gradient_value: float = 0.0
    input_dropout: float = 0.0
    dropout: object = 0.0  # or a list with a number for each hidden layer
    mixup: float = 0.0
    shuffle: bool = False
    drop_last_batch: bool = False
    seed: int = 1


class Training:
    """Training from given weights on the images of one split; after each step weights, momentum, loss and so on."""

    def __init__(self, options, weights, data):
        self.options = options
        self.weights = {name: array.astype(float) for name, array in weights.items()}
        self.momentum = {name: np.zeros_like(array) for name, array in self.weights.items()}
        self.images, self.labels = data.images, data.labels.astype(int)
        hidden = sum(name.endswith(".weight") for name in weights) - 1
        self.layers = [f"fc_layers.{i}" for i in range(hidden)] + ["last_layer"]
        self.steps_done = 0

    def samples_of_step(self):
        """Epoch, and the ids of the step's samples."""
        samples, batch = len(self.labels), self.options.step_batch
        per_epoch = samples // batch + (samples % batch > 0 and not self.options.drop_last_batch)
        epoch, position = divmod(self.steps_done, per_epoch)
        order = epoch_order(samples, self.options.seed, epoch) if self.options.shuffle else np.arange(samples)
        return epoch, order[position * batch:(position + 1) * batch]

    def step(self):
        epoch, ids = self.samples_of_step()
        gradients = self.gradients(epoch, ids)
        self.gradient_norm = np.sqrt(sum((g ** 2).sum() for g in gradients.values()))
        self.update(gradients)
        self.steps_done += 1

    def samples(self, epoch, ids):
        """Images, and targets (samples x classes)."""
        one_hot = np.eye(len(self.weights["last_layer.weight"]))
        if self.options.mixup == 0:
            return self.images[ids], one_hot[self.labels[ids]]
        seed, pool = self.options.seed, list(range(len(self.labels)))
        partners = [partner_of(seed, epoch, int(sample), pool) for sample in ids]
        shares = np.array([share_of(self.options.mixup, seed, epoch, int(sample)) for sample in ids])
        images = [mixed(self.images[one], self.images[other], share) for one, other, share in zip(ids, partners, shares)]
        shares = shares.astype(float)[:, None]
        return np.stack(images), shares * one_hot[self.labels[ids]] + (1 - shares) * one_hot[self.labels[partners]]

    def gradients(self, epoch, ids):
        """Of the mean loss over the samples. Sets loss and accuracy."""
        images, targets = self.samples(epoch, ids)
        options, below, masks = self.options, [features(images)], []
        if options.input_dropout > 0:
            below[0] = below[0] * dropout_mask(options.seed, epoch, INPUTS, ids, below[0].shape[1], options.input_dropout)
        for index, layer in enumerate(self.layers):
            out = below[-1] @ self.weights[layer + ".weight"].T + self.weights.get(layer + ".bias", 0.0)
            if layer != "last_layer":
                mask = np.ones_like(out)
                dropout = options.dropout[index] if isinstance(options.dropout, list) else options.dropout
                if dropout > 0:
                    mask = dropout_mask(options.seed, epoch, index, ids, out.shape[1], dropout)
                masks.append(mask * (out > 0))
                out = out * masks[-1]
            below.append(out)
        scores = below.pop()
        shifted = scores - scores.max(axis=1, keepdims=True)
        log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        self.loss = -(targets * log_probability).sum(axis=1).mean()
        self.accuracy = (scores.argmax(axis=1) == targets.argmax(axis=1)).mean()
        delta = (np.exp(log_probability) - targets) / len(ids)
        gradients = {}
        for index in reversed(range(len(self.layers))):
            layer = self.layers[index]
            gradients[layer + ".weight"] = delta.T @ below[index]
            if layer + ".bias" in self.weights:
                gradients[layer + ".bias"] = delta.sum(axis=0)
            if index > 0:
                delta = delta @ self.weights[layer + ".weight"] * masks[index - 1]
        return gradients

    def update(self, gradients):
        """torch.optim.SGD behind torch.nn.utils.clip_grad_norm_ or clip_grad_value_."""
        options = self.options
        scale, limit = 1.0, np.inf
        if options.max_gradient_norm > 0:
            scale = min(1.0, options.max_gradient_norm / (self.gradient_norm + 1e-6))
        if options.max_gradient_value > 0:
            limit = options.max_gradient_value
        rate = options.learning_rate(self.steps_done)
        for name, gradient in gradients.items():
            gradient = np.clip(gradient * scale, -limit, limit) + options.weight_decay_rate * self.weights[name]
            self.momentum[name] = options.momentum * self.momentum[name] + gradient
            direction = gradient + options.momentum * self.momentum[name] if options.use_nesterov else self.momentum[name]
            self.weights[name] -= rate * direction
            if options.max_weight_norm > 0 and name.endswith(".weight"):
                norms = np.sqrt((self.weights[name] ** 2).sum(axis=1, keepdims=True))
                self.weights[name] *= np.minimum(1.0, options.max_weight_norm / norms)
