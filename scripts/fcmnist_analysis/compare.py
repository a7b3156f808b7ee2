"""fcmnist compare: says which of two runs is better, and whether that is noise: one line, and what it is founded on.

Two runs: accuracy of the last evaluation, by McNemar's test on the images that only one of them has right. Two directories of runs
that differ in their seed only: the means, by Welch's t test. A difference counts if p is below 0.05."""
import os

from . import bits, table
from .errors import AnalysisError


def add_arguments(parser):
    parser.add_argument("a", metavar="A", help="a run, or a directory of runs that differ in their seed only; with --bits a run, "
                                               "checkpoint, metrics.h5 or evaluation.h5")
    parser.add_argument("b", metavar="B", help="the other one")
    parser.add_argument("--bits", action="store_true",
                        help="say whether both computed the same bits, else the first step and tensor that differ: losses, norms, "
                             "evaluations, weights and optimizer of all steps that both have. Exit code 1: different")
    parser.add_argument("--tolerance", metavar="X", type=float,
                        help="with --bits: numbers may differ by X times the largest of their tensor or column (default: 0, bit for "
                             "bit). 1e-4 is for the first 100 steps or so of runs in different worlds: rounding grows. Whole runs are "
                             "compared without a tolerance, if they have runconfig.reproducible")


def compare_bits(a, b, tolerance):
    if not 0.0 <= tolerance < float("inf"):
        raise AnalysisError(f"--tolerance {tolerance}", "a number from 0 on, such as 1e-4")
    comparison = bits.Comparison(bits.Compared(a), bits.Compared(b), tolerance)
    print("\n".join(comparison.lines()))
    return 1 if comparison.first() else 0


def run(arguments):
    if arguments.bits:
        return compare_bits(arguments.a, arguments.b, arguments.tolerance or 0.0)
    if arguments.tolerance is not None:
        raise AnalysisError(f"--tolerance {arguments.tolerance} without --bits", "only bits are compared with a tolerance: add --bits")
    for path in (arguments.a, arguments.b):
        if os.path.isfile(path):
            raise AnalysisError(f"{path}: a file", "name model_dirs; --bits compares files")
    of_a, of_b = (table.expanded([path]) for path in (arguments.a, arguments.b))
    from . import verdict  # only now: --bits does not need pandas
    two_runs = len(of_a) == len(of_b) == 1
    print("\n".join(verdict.of_runs(of_a[0], of_b[0]) if two_runs else verdict.of_seeds(of_a, of_b)))
    return 0
