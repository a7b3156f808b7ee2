"""fcmnist table: runs side by side: what came of them, and what their configurations differ in."""
import csv
import os
import statistics
import sys

from . import datatable, files, results
from .errors import AnalysisError

RESULTS = ("accuracy", "error_percent", "loss", "best_accuracy", "best_step", "steps", "samples_per_s", "elapsed_s", "ranks")
# What says where a run lies and how it is written down, not what it computes.
UNINTERESTING = {"runconfig.model_dir", "runconfig.mode", "runconfig.logging", "train_input.data_dir", "eval_input.data_dir",
                 "train_input.mirrors", "eval_input.mirrors", "train_input.download", "eval_input.download"}
SEED = "runconfig.seed"


def expanded(paths):
    """The model_dirs that are named, and those in named directories that are none themselves."""
    found = []
    for path in paths:
        if os.path.isfile(os.path.join(path, "metrics.h5")):
            found.append(path)
            continue
        try:
            inside = sorted(entry.path for entry in os.scandir(path) if os.path.isfile(os.path.join(entry.path, "metrics.h5")))
        except OSError as error:
            raise AnalysisError(f"{path}: {error.strerror}", "name the -o/--model_dir of a run, or a directory of them") from error
        if not inside:
            raise AnalysisError(f"{path}: neither a model_dir nor a directory of them",
                                "name the -o/--model_dir of a run, or a directory of them")
        found += inside
    return list(dict.fromkeys(found))  # a run may be named, and its directory too


def row_of(path):
    """What came of a run: {"run": name, "accuracy": ..., ...}, and its configuration."""
    files.verify(files.metrics_file(path))
    manifest = files.manifest(path)
    config = files.settings_of(manifest.get("config_yaml", ""))
    of_run = results.results(files.tables(path), config, manifest)
    found = {name: getattr(of_run, name) for name in RESULTS if getattr(of_run, name, None) is not None}
    if of_run.elapsed_s is not None:
        found |= {"elapsed_s": round(of_run.elapsed_s, 2), "samples_per_s": round(of_run.samples_per_s)}
    if of_run.accuracy is not None:
        found["error_percent"] = round(100 * (1 - of_run.accuracy), 4)
    return {"run": path} | found, config


def differing(configurations):
    """The keys in which configurations differ, in their order."""
    keys = dict.fromkeys(key for configuration in configurations for key in configuration)
    return [key for key in keys if key not in UNINTERESTING
            and len({configuration.get(key) for configuration in configurations}) > 1]


def over_seeds(rows, keys):
    """Rows of runs that differ in their seed only become one: means, and standard deviations of the accuracy."""
    others = [key for key in keys if key != SEED]
    groups = {}
    for row in rows:
        groups.setdefault((*(row.get(key) for key in others), row["ranks"]), []).append(row)
    merged = []
    for group in groups.values():
        row = {key: group[0].get(key) for key in others} | {"ranks": group[0]["ranks"], "runs": len(group)}
        row["run"] = group[0]["run"] if len(group) == 1 else f"{group[0]['run']} and {len(group) - 1} more"
        for name in RESULTS[:-1]:
            values = [one[name] for one in group if name in one]
            if values:
                row[name] = statistics.fmean(values)
        accuracies = [one["accuracy"] for one in group if "accuracy" in one]
        row["accuracy_deviation"] = statistics.stdev(accuracies) if len(accuracies) > 1 else None
        merged.append(row)
    return merged, others


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def print_table(rows, columns, out=None):
    texts = [[text_of(row.get(column)) for column in columns] for row in rows]
    print("\n".join(datatable.aligned([columns, *texts], [column == "run" for column in columns])), file=out)


def make(paths, by_seed=False, sort="accuracy"):
    """Rows and columns of the table."""
    found = [row_of(path) for path in paths]
    keys = differing([configuration for _, configuration in found])
    rows = [row | {key: configuration.get(key) for key in keys} for row, configuration in found]
    extra = []
    if by_seed:
        rows, keys = over_seeds(rows, keys)
        extra = ["runs", "accuracy_deviation"]
    columns = ["run", *extra, *(name for name in RESULTS if any(name in row for row in rows)), *keys]
    if sort not in columns and sort != "accuracy":
        raise AnalysisError(f"--sort {sort}: no such column", f"one of {', '.join(columns)}")
    ascending = sort not in ("accuracy", "best_accuracy", "samples_per_s")

    def order(row):
        value = row.get(sort)
        is_number = isinstance(value, (int, float))
        return (value is None, 0.0 if not is_number else value if ascending else -value, text_of(value))

    return sorted(rows, key=order), columns


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("--seeds", action="store_true",
                        help="make one line of runs that differ in their seed only: means, deviation of the accuracy")
    parser.add_argument("--sort", metavar="COLUMN", default="accuracy", help="default: accuracy, the best first")
    parser.add_argument("--csv", metavar="FILE", help="write the table as CSV as well")


def run(arguments):
    rows, columns = make(expanded(arguments.runs), arguments.seeds, arguments.sort)
    print_table(rows, columns, sys.stdout)
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    return 0
