"""fcmnist table: runs side by side: what came of them, and what their configurations differ in."""
import contextlib
import csv
import math
import os
import pathlib
import re
import shutil
import statistics
import sys

from . import datatable, files, results
from .errors import AnalysisError, check_output

RESULTS = ("validation_accuracy", "accuracy", "error_percent", "loss", "best_accuracy", "best_step", "steps", "samples_per_s", "elapsed_s", "ranks")
# What says where a run lies and how it is written down, not what it computes.
UNINTERESTING = {"runconfig.model_dir", "runconfig.mode", "runconfig.logging", "train_input.data_dir", "eval_input.data_dir",
                 "train_input.mirrors", "eval_input.mirrors", "train_input.download", "eval_input.download"}
SEED = "runconfig.seed"
DEVIATIONS = {name: f"{name}_deviation" for name in ("validation_accuracy", "accuracy", "loss", "samples_per_s")}  # of runs that differ in their seed
FRACTIONS = ("validation_accuracy", "accuracy", "best_accuracy", DEVIATIONS["validation_accuracy"], DEVIATIONS["accuracy"])  # percent where people read them
HEADINGS = {name: f"{name} (%)" for name in FRACTIONS}
MOST_LETTERS = (40, 30, 20, 12)  # of a setting: the first with which lines fit into the terminal


def expanded(paths):
    """The model_dirs that are named, and those in named directories that are none themselves: each once, however it is spelled."""
    found = []
    for path in map(str, map(pathlib.Path, paths)):  # without "//" and "./"
        if os.path.isfile(os.path.join(path, "metrics.h5")):
            found.append(path)
            continue
        try:
            inside = files.runs_in(path)
        except OSError as error:
            raise AnalysisError(f"{path}: {error.strerror}", "name the -o/--model_dir of a run, or a directory of them") from error
        if not inside:
            raise AnalysisError(f"{path}: neither a model_dir nor a directory of them",
                                "name the -o/--model_dir of a run, or a directory of them")
        found += inside
    once = {}
    for path in found:
        once.setdefault(os.path.realpath(path), path)
    return list(once.values())


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
    if (state := state_of(path)) != "done":
        found["state"] = state
    return {"run": path} | found, config


def state_of(path):
    """How a trial of a sweep has ended, or that it has not; a run of its own counts as done."""
    with contextlib.suppress(OSError), open(os.path.join(path, "OUTCOME"), encoding="utf-8") as file:
        if found := re.match(r"state: (\w+)$", file.read(), re.MULTILINE):
            return found[1]
    return "unfinished" if (pathlib.Path(path).resolve().parent / "sweep.yaml").exists() else "done"


def differing(configurations):
    """The keys in which configurations differ, in their order."""
    keys = dict.fromkeys(key for configuration in configurations for key in configuration)
    return [key for key in keys if key not in UNINTERESTING
            and len({configuration.get(key) for configuration in configurations}) > 1]


def over_seeds(rows, keys):
    """Rows of runs that differ in their seed only become one: means, and standard deviations. Trials of a sweep that were
    dropped on their way are not mixed with those that were trained to their ends."""
    others = [key for key in keys if key != SEED]
    groups = {}
    for row in rows:
        groups.setdefault((*(row.get(key) for key in others), row["ranks"], row.get("state")), []).append(row)
    merged = []
    for group in groups.values():
        row = {key: group[0].get(key) for key in others} | {"ranks": group[0]["ranks"], "runs": len(group)}
        row["run"] = group[0]["run"] if len(group) == 1 else f"{group[0]['run']} and {len(group) - 1} more"
        if "state" in group[0]:
            row["state"] = group[0]["state"]
        for name in RESULTS[:-1]:
            values = [one[name] for one in group if name in one]
            if values:
                row[name] = statistics.fmean(values)
        for name, deviation in DEVIATIONS.items():
            values = [one[name] for one in group if name in one]
            row[deviation] = statistics.stdev(values) if len(values) > 1 else None
        merged.append(row)
    return merged, others


def text_of(value):
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def parts_of(value):
    """The keys of a setting that is a mapping of one line, {scheduler: Linear, steps: 9}; None of any other setting."""
    inner = re.fullmatch(r"\{([^{}\[\]]*)\}", value or "")
    pairs = [part.partition(": ") for part in inner[1].split(", ")] if inner else []
    return {key: setting for key, _, setting in pairs} if pairs and all(colon for _, colon, _ in pairs) else None


def shortened(values, most):
    """Settings as they are shown in a line: of mappings only what differs; and only the begin of what is long still."""
    mappings = [parts_of(value) for value in values]
    known = [parts for parts in mappings if parts]
    same = set.intersection(*(set(parts.items()) for parts in known)) if len(known) > 1 else set()
    if len(known) < len([value for value in values if value]):
        same = set()  # a mapping beside a number differs as a whole
    texts = []
    for value, parts in zip(values, mappings):
        left = [f"{key}: {setting}" for key, setting in (parts or {}).items() if (key, setting) not in same]
        text = "{" + ", ".join(left) + "}" if parts and same and left else text_of(value)
        texts.append(text if len(text) <= most else text[:most - 3] + "...")
    return texts


def texts_of(column, rows, most):
    values = [row.get(column) for row in rows]
    if column in FRACTIONS:
        values = [None if value is None else 100 * value for value in values]
    return shortened(values, most) if "." in column else list(map(text_of, values))


def print_table(rows, columns, out=None):
    width = shutil.get_terminal_size().columns if out is not None and out.isatty() else sys.maxsize
    for most in MOST_LETTERS:
        cells = [[HEADINGS.get(column, column), *texts_of(column, rows, most)] for column in columns]
        lines = datatable.aligned(list(zip(*cells)), [column == "run" for column in columns])
        if max(map(len, lines)) <= width:
            break
    print("\n".join(lines), file=out)


def number_of(value):
    """Results are numbers, settings texts of them; None of what is no number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


def make(paths, by_seed=False, sort=None):
    """Rows and columns of the table. Without `sort` by validation accuracy if all runs have one, else by accuracy."""
    found = [row_of(path) for path in paths]
    keys = differing([configuration for _, configuration in found])
    rows = [row | {key: configuration.get(key) for key in keys} for row, configuration in found]
    extra = []
    if by_seed:
        rows, keys = over_seeds(rows, keys)
        extra = ["runs", *(name for name in DEVIATIONS.values() if any(row[name] is not None for row in rows))]
    sort = sort or ("validation_accuracy" if all("validation_accuracy" in row for row in rows) else "accuracy")
    columns = ["run", *extra, *(["state"] if any("state" in row for row in rows) else []), *(name for name in RESULTS if any(name in row for row in rows)), *keys]
    if sort not in columns and sort != "accuracy":
        raise AnalysisError(f"--sort {sort}: no such column", f"one of {', '.join(columns)}")
    ascending = sort not in ("validation_accuracy", "accuracy", "best_accuracy", "samples_per_s")

    def order(row):
        value = row.get(sort)
        number = number_of(value)
        return (value is None, number is None, 0.0 if number is None else number if ascending else -number, text_of(value))

    return sorted(rows, key=order), columns


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("--seeds", action="store_true",
                        help="make one line of runs that differ in their seed only: means, and deviations of accuracy, loss and throughput")
    parser.add_argument("--sort", metavar="COLUMN", help="default: validation accuracy if all runs have one, else accuracy; the best first")
    parser.add_argument("--csv", metavar="FILE", help="write the table as CSV as well: all digits, accuracies as fractions, settings whole")


def run(arguments):
    if arguments.csv:
        check_output(arguments.csv)
    rows, columns = make(expanded(arguments.runs), arguments.seeds, arguments.sort)
    print_table(rows, columns, sys.stdout)
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    return 0
