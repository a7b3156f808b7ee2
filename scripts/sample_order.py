"""In which order fcmnist_mpi sees its training samples, for programs that train on the same batches.

Written from the description in src/data/epoch_order.hpp, not from the code.
"""
import numpy as np

from fcmnist_analysis.counter_rng import EPOCH_ORDER, VALIDATION_SPLIT, philox


def _shuffled(samples, seed, purpose, a, b):
    """0 .. samples - 1 after Fisher and Yates, from the last place down."""
    blocks = philox(seed, purpose, a, b, np.arange(samples // 2 + 1))
    low, high = blocks.reshape(-1, 2)[:samples].T
    bounds = np.arange(1, samples + 1, dtype=np.uint64)
    half = np.uint64(32)
    chosen = (high * bounds + (low * bounds >> half)) >> half
    order = list(range(samples))
    for last, other in zip(range(samples - 1, 0, -1), chosen[:0:-1].tolist()):
        order[last], order[other] = order[other], order[last]
    return np.array(order)


def held_out(samples, validation_size, seed):
    """The ids of the validation samples, in the order of the file (src/data/validation_split.hpp)."""
    return np.sort(_shuffled(samples, seed, VALIDATION_SPLIT, 0, 0)[samples - validation_size:])


def epoch_order(samples, seed, epoch, validation_size=0):
    """The ids of the samples that are trained on in the order of an epoch (from 0), with `shuffle: True`."""
    ids = np.delete(np.arange(samples), held_out(samples, validation_size, seed))
    return ids[_shuffled(len(ids), seed, EPOCH_ORDER, epoch & 0xFFFFFFFF, epoch >> 32)]


def batches(samples, batch, seed, validation_size=0):
    """Sample ids of one step after the other, for ever; the last batch of an epoch is what is left."""
    epoch = 0
    while True:
        order = epoch_order(samples, seed, epoch, validation_size)
        yield from (order[begin:begin + batch] for begin in range(0, len(order), batch))
        epoch += 1
