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


def two_proportions(first_hits, second_hits, total):
    """Two-sided p value that two samples of this size have one proportion: the z test with a common variance. Where both are
    of the same images it is cautious, since it does not know which of them each has right."""
    common = (first_hits + second_hits) / (2 * total)
    deviation = math.sqrt(2 * common * (1 - common) / total)
    return 1.0 if deviation == 0 else math.erfc(abs(first_hits - second_hits) / total / deviation / math.sqrt(2))


def welch(first, second):
    """Two-sided p value that two groups of numbers have one mean, each group with a deviation of its own: Welch, Biometrika 34
    (1947), 28-35. At least two numbers each."""
    of_mean = [np.var(group, ddof=1) / len(group) for group in (first, second)]
    distance, variance = abs(np.mean(first) - np.mean(second)), sum(of_mean)
    if variance == 0:
        return 1.0 if distance == 0 else 0.0
    freedom = variance**2 / sum(part**2 / (len(group) - 1) for part, group in zip(of_mean, (first, second)))
    return student_tails(distance / math.sqrt(variance), freedom)


def student_tails(t, freedom):
    """P(|T| > t) of Student's distribution. With T = sqrt(freedom) tan(a) its density is a power of cos(a), which Simpson's rule
    integrates well."""
    angles = np.linspace(math.atan(t / math.sqrt(freedom)), math.pi / 2, 2001)
    weights = np.full(len(angles), 2.0)
    weights[1::2], weights[[0, -1]] = 4.0, 1.0
    integral = (weights * np.cos(angles) ** (freedom - 1)).sum() * (angles[1] - angles[0]) / 3
    norm = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    return min(1.0, 2 * norm * float(integral))
