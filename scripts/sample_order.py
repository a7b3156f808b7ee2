"""In which order fcmnist_mpi sees its training samples, for programs that train on the same batches.

Written from the descriptions in src/core/counter_rng.hpp and src/data/epoch_order.hpp, not from the code.
"""
import numpy as np

EPOCH_ORDER = 2  # the purpose of these random numbers, part of their key


def philox(seed, purpose, a, b, blocks):
    """Philox 4x32-10 with key `seed` for counters (block, purpose, a, b): 32-bit numbers (len(blocks) x 4).
    Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11."""
    mask = np.uint64(0xFFFFFFFF)
    blocks = np.asarray(blocks, np.uint64)
    x = [blocks, *(np.full_like(blocks, value) for value in (purpose, a, b))]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = x[0] * np.uint64(0xD2511F53), x[2] * np.uint64(0xCD9E8D57)
        x = [(p1 >> np.uint64(32)) ^ x[1] ^ np.uint64(key[0]), p1 & mask,
             (p0 >> np.uint64(32)) ^ x[3] ^ np.uint64(key[1]), p0 & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(x, axis=-1)


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
