#!/usr/bin/python3
"""Prints the table of jobs/precision.sh.

    precision_table.py DIRECTORY    of model_dirs <precision>_<seed>, float32 among the precisions

For each precision: the mean test accuracy in percent over the seeds, and the mean of the differences to the
float32 run of the same seed with twice its standard error, in percentage points. The last line of each run's
evaluations counts. Needs python3-h5py and python3-pandas.
"""
import argparse
import pathlib
import statistics
import sys

sys.dont_write_bytecode = True
from fcmnist_analysis import files as run_files

BASE = "float32"


def accuracies(directory):
    """{precision: {seed: percent}}"""
    found = {}
    for path in sorted(directory.glob("*_*/metrics.h5")):
        precision, _, seed = path.parent.name.rpartition("_")
        evaluations = run_files.metrics(path)["eval"]["accuracy"]
        if len(evaluations) == 0:
            raise ValueError(f"{path}: no evaluation")
        found.setdefault(precision, {})[seed] = 100 * float(evaluations.iloc[-1])
    if BASE not in found or len(found) < 2:
        raise ValueError(f"{directory}: no model_dirs {BASE}_<seed> and those of another precision")
    return found


def row(precision, by_seed, base):
    seeds = sorted(by_seed.keys() & base.keys())
    differences = [by_seed[seed] - base[seed] for seed in seeds]
    difference = f"{statistics.mean(differences):+.3f}" if differences else "-"
    twice_error = f"{2 * statistics.stdev(differences) / len(seeds) ** 0.5:.3f}" if len(seeds) > 1 else "-"
    return precision, len(seeds), f"{statistics.mean(by_seed.values()):.2f}", difference, twice_error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    try:
        found = accuracies(parser.parse_args().directory)
    except (OSError, ValueError) as error:
        sys.exit(f"precision_table.py: error: {error}")
    print(f"| precision | seeds | test accuracy, % | minus {BASE}, points | 2 standard errors |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for precision, by_seed in sorted(found.items(), key=lambda item: item[0] != BASE):
        print("| " + " | ".join(map(str, row(precision, by_seed, found[BASE]))) + " |")


if __name__ == "__main__":
    main()
