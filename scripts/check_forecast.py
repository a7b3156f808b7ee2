#!/usr/bin/python3
"""Compares the step time that --validate_only predicts with that of the run itself.

    scripts/check_forecast.py                                     # both shipped models on 1, 2 and 4 ranks
    scripts/check_forecast.py --ranks 2 --launch "mpirun --host a,b -n {ranks}"

One line for each case: medians over the rounds, in which prediction and run take turns, and of their ratio in
a round. "planned" is what one process predicts with --plan_ranks, from its own speed; it is shown for worlds on
this host and not judged. Exit 1 when a prediction is further than --within from the run.
"""
import argparse
import math
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parents[1]
LAUNCH = "mpirun --oversubscribe --bind-to none -n {ranks}"
# Settings by name; {ranks} is replaced.
CASES = {
    "500_300": ("-p", "configs/fcmnist_500_300.yaml"),
    "10x50": ("-p", "configs/params.yaml"),
    "500_300 reproducible": ("-p", "configs/fcmnist_500_300.yaml", "runconfig.reproducible=True",
                             "runconfig.microbatch=32"),
    "500_300 pipelined": ("-p", "configs/fcmnist_500_300.yaml", "runconfig.execution=layer_pipelined"),
    "10x50 pipelined": ("-p", "configs/params.yaml", "runconfig.execution=layer_pipelined"),
}
DEFAULT_CASES = ("500_300", "10x50")
PREDICTED = re.compile(r"step time +\S+ \S+ predicted, (\d+) samples/s")
MEASURED = re.compile(r"done: \d+ steps in \S+ of training, (\d+) samples/s")
SAMPLES = re.compile(r"step +(\d+) samples, ")


class Failed(Exception):
    pass


def output_of(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{shlex.join(command)}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def number(pattern, text):
    found = pattern.search(text)
    if found is None:
        raise Failed(f"no line like {pattern.pattern!r} in\n{text}")
    return float(found[1])


class Case:
    """One model on one number of ranks."""
    def __init__(self, name, ranks, options):
        settings = [str(SOURCE / word) if word.endswith(".yaml") else word for word in CASES[name]]
        data = [f"train_input.data_dir={options.data_dir}"] if options.data_dir else ["train_input.use_fake_data=True"]
        self.common = [str(options.program), *settings, *data, "-m", "train", "-o"]
        self.launch = shlex.split(options.launch.format(ranks=ranks))
        self.ranks = ranks
        self.seconds = options.seconds

    def predict(self, directory, launch, *arguments):
        """Samples per second and samples per step."""
        text = output_of([*launch, *self.common, str(directory / "none"), "--validate_only", *arguments])
        return number(PREDICTED, text), number(SAMPLES, text)

    def run(self, directory, rate, samples):
        """Samples per second of a run of some seconds."""
        steps = max(20, math.ceil(self.seconds * rate / samples))
        text = output_of([*self.launch, *self.common, str(directory / "run"), "--max_steps", str(steps)])
        return number(MEASURED, text)

    def round(self, planned):
        """Milliseconds of a step: predicted, planned, measured."""
        with tempfile.TemporaryDirectory(prefix="check_forecast_") as directory:
            directory = pathlib.Path(directory)
            rate, samples = self.predict(directory, self.launch)
            plan = self.predict(directory, [], "--plan_ranks", str(self.ranks))[0] if planned else math.nan
            return [1e3 * samples / r for r in (rate, plan, self.run(directory, rate, samples))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mnist = os.environ.get("FCMNIST_MNIST_DIR", "")
    parser.add_argument("--program", default=SOURCE / "build/release/fcmnist_mpi", type=pathlib.Path)
    parser.add_argument("--launch", default=LAUNCH, help=f"command that starts ranks; default: {LAUNCH}")
    parser.add_argument("--ranks", default="1,2,4", help="numbers of ranks, with commas")
    parser.add_argument("--cases", default=",".join(DEFAULT_CASES), help=f"of {', '.join(CASES)}; or all")
    parser.add_argument("--data_dir", default=mnist, help="MNIST's files; default: $FCMNIST_MNIST_DIR, else made-up data")
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--seconds", default=3.0, type=float, help="of each run")
    parser.add_argument("--within", default=0.2, type=float)
    options = parser.parse_args()
    names = list(CASES) if options.cases == "all" else options.cases.split(",")
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"no such case: {', '.join(unknown)}")

    planned = options.launch == LAUNCH
    print("| case | ranks | predicted, ms | measured, ms | predicted / measured | planned, ms |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    far = 0
    for name in names:
        for ranks in map(int, options.ranks.split(",")):
            if "pipelined" in name and ranks == 1:
                continue
            case = Case(name, ranks, options)
            rounds = [case.round(planned) for _ in range(options.rounds)]
            predicted, plan, measured = (statistics.median(column) for column in zip(*rounds))
            ratio = statistics.median(p / m for p, _, m in rounds)
            far += not 1 - options.within <= ratio <= 1 + options.within
            print(f"| {name} | {ranks} | {predicted:.3f} | {measured:.3f} | {ratio:.2f} | {plan:.3f} |", flush=True)
    print(f"further than {options.within:.0%} from the run: {far}")
    return 1 if far else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"check_forecast.py: {failure}")
