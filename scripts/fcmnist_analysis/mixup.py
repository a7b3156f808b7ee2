"""What training images are mixed with (train_input.mixup). Written from the description in src/data/mixer.hpp, not from the code."""
import numpy as np

from .counter_rng import MIXUP, philox


def partner_of(seed, epoch, sample, pool):
    """The id of the sample that is mixed with this one, out of the ids that are trained on."""
    low, high = philox(seed, MIXUP, epoch, sample, [0])[0, :2].tolist()
    return pool[high * len(pool) + (low * len(pool) >> 32) >> 32]


def share_of(alpha, seed, epoch, sample):
    """The share of the sample itself: of Beta(alpha, alpha), by Johnk's method from pairs of uniform numbers."""
    for block in range(1000):
        numbers = philox(seed, MIXUP, epoch, sample, [block])[0].tolist()
        for pair in (numbers[:2], numbers[2:]) if block else (numbers[2:],):
            x, y = (np.log((number + 0.5) / 2.0**32) / alpha for number in pair)
            log_sum = np.logaddexp(x, y)
            if log_sum <= 0:
                return np.float32(np.exp(x - log_sum))
    raise AssertionError("no share is accepted")


def mixed(image, partner, share):
    """Bytes; the share counts in units of 1/256."""
    weight = int(np.floor(share * np.float32(256) + 0.5))
    return ((image.astype(np.uint32) * weight + partner.astype(np.uint32) * (256 - weight) + 128) >> 8).astype(np.uint8)
