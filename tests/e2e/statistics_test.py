"""What the reports say of a classifier from its answers: intervals, tests, calibration."""
import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402, F401 (exit with 77 when a module is missing)
from support.runs import np  # noqa: E402
from fcmnist_analysis import statistics  # noqa: E402


class Statistics(unittest.TestCase):
    """Against numbers of the literature, or counted by hand."""

    def test_wilson(self):
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for hits, total, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
                                       (1, 29, 0.0061, 0.1718)):
            np.testing.assert_allclose(statistics.wilson(hits, total), (low, high), atol=5e-5)

    def test_mcnemar(self):
        first = np.array([True] * 10 + [False] * 4 + [True] * 20)
        second = np.array([False] * 10 + [True] * 4 + [True] * 20)
        # 2 * (C(14,0) + ... + C(14,4)) / 2^14
        self.assertEqual(statistics.mcnemar(first, second)[:2], (10, 4))
        self.assertAlmostEqual(statistics.mcnemar(first, second)[2], 2 * (1 + 14 + 91 + 364 + 1001) / 2**14)
        self.assertEqual(statistics.mcnemar(first, first)[2], 1.0)

    def test_two_proportions(self):
        # 30 of 100 and 45 of 100: pooled 0.375, deviation sqrt(2 * 0.375 * 0.625 / 100) = 0.06847, z = 2.191
        self.assertAlmostEqual(statistics.two_proportions(30, 45, 100), 0.02846, places=5)
        self.assertEqual(statistics.two_proportions(7, 7, 100), 1.0)
        self.assertEqual(statistics.two_proportions(0, 0, 100), 1.0)

    def test_student(self):
        # Critical values of every textbook.
        for t, freedom, p in ((12.7062, 1, 0.05), (4.30265, 2, 0.05), (2.22814, 10, 0.05), (3.16927, 10, 0.01), (1.98397, 100, 0.05)):
            self.assertAlmostEqual(statistics.student_tails(t, freedom), p, places=6)

    def test_welch(self):
        # Means 2 and 5, variances 1 and 4, three each: t = 3 / sqrt(5/3), freedom (5/3)^2 / ((1/9 + 16/9) / 2) = 2.941
        self.assertAlmostEqual(statistics.welch([1, 2, 3], [3, 5, 7]), statistics.student_tails(3 / math.sqrt(5 / 3), 50 / 17))
        self.assertEqual(statistics.welch([1, 1], [1, 1]), 1.0)
        self.assertEqual(statistics.welch([1, 1], [2, 2]), 0.0)

    def test_calibration(self):
        probabilities = np.array([[0.9, 0.1]] * 10 + [[0.6, 0.4]] * 10)
        labels = np.array([0] * 9 + [1] + [0] * 3 + [1] * 7)
        found = statistics.calibration(probabilities, labels)
        np.testing.assert_allclose(found.confidence, [0.6, 0.9])
        np.testing.assert_allclose(found.accuracy, [0.3, 0.9])
        self.assertAlmostEqual(found.expected_error, 0.5 * 0.3)

    def test_class_scores(self):
        scores = statistics.class_scores(np.array([[8, 2], [1, 9]]), ["a", "b"])
        self.assertAlmostEqual(scores[0].precision[0], 8 / 9)
        self.assertAlmostEqual(scores[0].recall[0], 0.8)
        self.assertAlmostEqual(scores[0].f1[0], 16 / 19)
        for score in scores:
            for value, low, high in (score.precision, score.recall, score.f1):
                self.assertTrue(0 <= low < value < high <= 1)


if __name__ == "__main__":
    runs.main()
