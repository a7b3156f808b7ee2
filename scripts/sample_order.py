"""In which order fcmnist_mpi sees its training samples, for programs that train on the same batches.

Written from the description in src/data/epoch_order.hpp, not from the code.
"""
import numpy as np

from fcmnist_analysis.counter_rng import EPOCH_ORDER, philox


def epoch_order(samples, seed, epoch):
    """The sample ids 0 .. samples - 1 in the order of an epoch (from 0), with `shuffle: True`: Fisher and
    Yates from the order of the file, from the last place down."""
    blocks = philox(seed, EPOCH_ORDER, epoch & 0xFFFFFFFF, epoch >> 32, np.arange(samples // 2 + 1))
    low, high = blocks.reshape(-1, 2)[:samples].T
    bounds = np.arange(1, samples + 1, dtype=np.uint64)
    half = np.uint64(32)
    chosen = (high * bounds + (low * bounds >> half)) >> half
    order = list(range(samples))
    for last, other in zip(range(samples - 1, 0, -1), chosen[:0:-1].tolist()):
        order[last], order[other] = order[other], order[last]
    return np.array(order)


def batches(samples, batch, seed):
    """Sample ids of one step after the other, for ever; the last batch of an epoch is what is left."""
    epoch = 0
    while True:
        order = epoch_order(samples, seed, epoch)
        yield from (order[begin:begin + batch] for begin in range(0, samples, batch))
        epoch += 1
