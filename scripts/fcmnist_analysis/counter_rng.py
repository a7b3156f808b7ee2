"""The random numbers of fcmnist_mpi, written from the description in src/core/counter_rng.hpp, not from the code."""
import numpy as np

EPOCH_ORDER, AUGMENTATION, VALIDATION_SPLIT, MIXUP = 2, 5, 6, 8  # what numbers are drawn for: part of their key


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
