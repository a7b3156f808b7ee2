"""What can be said of a classifier from its answers."""
import dataclasses
import math
import warnings

import numpy as np

Z95 = 1.959963984540054  # of a normal distribution, both tails together 5 %


def wilson(hits, total):
    """95 % confidence interval of a proportion: Wilson, J. Am. Stat. Assoc. 22 (1927), 209-212."""
    if total == 0:
        return float("nan"), float("nan")
    share, z2 = hits / total, Z95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return centre - half, centre + half


@dataclasses.dataclass
class ClassScore:
    """Of one class: each number with its 95 % confidence interval."""
    name: str
    samples: int
    precision: tuple
    recall: tuple
    f1: tuple


def class_scores(confusion, names, resamples=1000):
    """Precision, recall and F1 of each class. Intervals are Wilson's; those of F1 are percentiles over resampled images.
        confusion   (classes x classes) samples by true class (rows) and predicted class
    """
    def f1_of(matrices):
        hits = np.diagonal(matrices, axis1=-2, axis2=-1)
        both = matrices.sum(-1) + matrices.sum(-2)
        return np.where(both > 0, 2 * hits / np.maximum(both, 1), np.nan)

    total, hits = confusion.sum(), np.diag(confusion)
    random = np.random.default_rng(0)  # the same report from the same run
    again = random.multinomial(total, confusion.reshape(-1) / total, size=resamples).reshape(-1, *confusion.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a class that has no sample and is never given
        low, high = np.nanpercentile(f1_of(again), [2.5, 97.5], axis=0)
    f1 = f1_of(confusion)
    scores = []
    for k, name in enumerate(names):
        of_class, given = int(confusion[k].sum()), int(confusion[:, k].sum())
        scores.append(ClassScore(
            name, of_class, (hits[k] / given if given else float("nan"), *wilson(int(hits[k]), given)),
            (hits[k] / of_class if of_class else float("nan"), *wilson(int(hits[k]), of_class)),
            (float(f1[k]), float(low[k]), float(high[k]))))
    return scores


@dataclasses.dataclass
class Calibration:
    """Whether the network is as often right as it says."""
    confidence: list  # mean probability of the predicted class, of each bin that has samples
    accuracy: list  # share of its samples that are classified correctly
    samples: list
    expected_error: float  # ECE: mean |accuracy - confidence|, weighted by samples


def calibration(probabilities, labels, bins=15):
    """Guo, Pleiss, Sun, Weinberger, On Calibration of Modern Neural Networks (2017), equal bins of confidence.
        probabilities   (samples x classes)
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = Calibration([], [], [], 0.0)
    for k in range(bins):
        inside = place == k
        if not inside.any():
            continue
        found.confidence.append(float(confidence[inside].mean()))
        found.accuracy.append(float(correct[inside].mean()))
        found.samples.append(int(inside.sum()))
        found.expected_error += inside.mean() * abs(found.confidence[-1] - found.accuracy[-1])
    return found


def mcnemar(first_correct, second_correct):
    """Exact test whether two classifiers err equally often on the same samples: McNemar, Psychometrika 12 (1947), 153-157.
    Returns how many samples only the first and only the second has right, and the two-sided p value."""
    only_first = int(np.count_nonzero(first_correct & ~second_correct))
    only_second = int(np.count_nonzero(second_correct & ~first_correct))
    n, k = only_first + only_second, min(only_first, only_second)
    if n == 0:
        return only_first, only_second, 1.0
    terms = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - n * math.log(2)
                      for i in range(k + 1)])
    return only_first, only_second, min(1.0, 2 * float(np.exp(terms).sum()))
