"""fcmnist compare --bits: says whether two runs computed the same bits, or names the first step and tensor that differ.

Compared are all rows of metrics and all checkpoints that both have: losses, accuracies, learning rates, gradient
norms (also of each array), skipped steps, evaluations with their confusion matrices and, without a tolerance, the class
given to each sample; weights, optimizer arrays, position. Times are not. NaN
equals NaN of the same bits; 0 and -0 differ. Rows that are in the journal only are compared as well.

Runs in different worlds have the same bits from their begin to their end with runconfig.reproducible, so without a tolerance.
Without it they round differently, and training makes the difference grow: a tolerance of 1e-4 holds for about 100 steps only (the
default network, 2 epochs on 1 and on 2 ranks: to step 122), and no small one holds for a whole run.
"""
import pathlib
import re

from . import files
from .array_difference import difference
from .errors import AnalysisError
from .files import h5py, np

TIMES = re.compile(r"samples_per_s|\w+_s|bubble_fraction")  # columns that differ from run to run
BIT_ENTRIES = ("git_revision", "build_type", "build_architecture", "compiler", "blas", "blas_core", "blas_threads", "gemm",
               "world_size", "replicas", "nodes")  # of the manifest: what bits may depend on besides the configuration
LOG_INTERVAL = re.compile(r"state@log_interval_\w+")  # sums since the last log line
TABLES = {"train": "training steps", "validation": "validations", "eval": "evaluations",
          "eval_trained": "evaluations of the weights as trained", "arrays": "norms of arrays"}


def checkpoint_content(path):
    """Everything of a checkpoint that must be equal in equal runs: {"model/fc_layers.0.weight": array,
    "optimizer/momentum_buffer/...": array, "state@step": 0-d array, "evaluation@loss": ...}."""
    found = {}
    with h5py.File(path, "r") as file:
        for group in ("model", "optimizer", "state", "evaluation"):
            if group not in file:
                continue
            file[group].visititems(lambda name, item, at=group: found.update(
                {f"{at}/{name}": item[...]} if isinstance(item, h5py.Dataset) else {}))
            found.update({f"{group}@{name}": np.asarray(value) for name, value in file[group].attrs.items()})
    return found


def metrics_content(path):
    """The same of a metrics file and its journal: {"train": {column: array}, "eval": {column: array}}."""
    found = files.tables(path)
    return {table: {name: values for name, values in found.get(table, NO_ROWS).items() if not TIMES.fullmatch(name)}
            for table in TABLES}


NO_ROWS = {"step": np.zeros(0, np.int64)}


class Compared:
    """What there is of a model_dir, or of one file of it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.tables = {table: NO_ROWS for table in TABLES}
        self.manifest, self.settings = {}, {}
        if self.path.is_dir():
            matches = (re.fullmatch(r"checkpoint_(\d+)\.h5", entry.name) for entry in self.path.iterdir())
            self.checkpoints = {int(match[1]): self.path / match[0] for match in matches if match}
            metrics = self.path / "metrics.h5"
            if metrics.exists():
                files.verify(metrics)
                self.read_metrics(metrics)
        elif (kind := files.verify(self.path)) == "predictions":
            raise AnalysisError(f"{path}: a file of predictions", "compare the metrics: they have the predicted classes too")
        elif kind == "trace":
            raise AnalysisError(f"{path}: a trace, of which times are all there is", "compare the metrics of the runs")
        elif kind == "checkpoint":
            self.checkpoints = {files.state(self.path)["step"]: self.path}
        else:
            self.checkpoints = {}
            self.read_metrics(self.path)
        for step in sorted(self.checkpoints)[-1:]:
            self.manifest = self.manifest or files.manifest(self.checkpoints[step])
        self.settings = files.settings_of(self.manifest.get("config_yaml", ""))
        if not self.checkpoints and not any(len(table["step"]) for table in self.tables.values()):
            what = "not a model_dir: no checkpoint, no row of metrics" if self.path.is_dir() else "metrics without a row"
            raise AnalysisError(f"{path}: {what}", "name the -o/--model_dir of a run, or a file of it")

    def read_metrics(self, path):
        self.tables = metrics_content(path)
        self.manifest = files.manifest(path)


class Comparison:
    """Two runs, compared: `rows` and `arrays` are their differences, ordered by step."""

    def __init__(self, a, b, tolerance=0.0):
        self.a, self.b, self.tolerance = a, b, tolerance
        both = a.settings.keys() & b.settings.keys() - {"runconfig.model_dir"}
        self.other_settings = sorted(key for key in both if a.settings[key] != b.settings[key])
        self.other_entries = [f"{name} {a.manifest[name]} against {b.manifest[name]}" for name in BIT_ENTRIES
                              if name in a.manifest and name in b.manifest and a.manifest[name] != b.manifest[name]]
        self.compared, self.only, self.rows, self.arrays = [], [], [], []
        for table in TABLES:
            self.compare_table(table)
        self.compare_checkpoints()
        if not self.compared:
            raise AnalysisError(f"{a.path} and {b.path} have no step in common: {'; '.join(self.only)}",
                                "compare runs that overlap, and checkpoints of the same step")

    def logs_otherwise(self):
        """Whether what one log line sums up is not the same in both runs."""
        return {"runconfig.log_steps", "runconfig.save_losses"} & set(self.other_settings)

    def rows_mean_the_same(self):
        """Rows of training steps are of one step each, or with save_losses: False of the steps since the one before."""
        every_step = all(run.settings.get("runconfig.save_losses", "True") == "True" for run in (self.a, self.b))
        return every_step or not self.logs_otherwise()

    def note_only(self, what, left, right):
        for run, mine, other in ((self.a, left, right), (self.b, right, left)):
            if alone := sorted(set(mine) - set(other)):
                self.only.append(f"only in {run.path}: {what} {steps_text(alone)}")

    def compare_table(self, table):
        left, right = self.a.tables[table], self.b.tables[table]
        if table == "train" and not self.rows_mean_the_same():
            self.only.append("training steps are not compared: a row sums up other steps (save_losses, log_steps)")
            return
        if table == "arrays" and self.logs_otherwise():
            return  # it has the steps of the log
        self.note_only(TABLES[table], left["step"].tolist(), right["step"].tolist())
        steps, in_left, in_right = np.intersect1d(left["step"], right["step"], return_indices=True)
        if not len(steps):
            return
        self.compared.append(f"{len(steps)} {TABLES[table]} ({steps_text(steps.tolist())})")
        columns = (name for name in left if name in right and name != "step")
        for name in sorted(columns, key=lambda name: name != "loss"):  # which the others follow from
            of_a, of_b = left[name][in_left], right[name][in_right]
            if name == "predicted":  # of the samples that both have scored
                if self.tolerance:
                    continue  # a class is no amount; accuracy and confusion matrix say how many differ
                both = min(of_a.shape[1], of_b.shape[1])
                of_a, of_b = of_a[:, :both], of_b[:, :both]
            of_steps = steps
            if name == "loss_scale":  # 0: not known to a release that had none
                known = (of_a != 0) & (of_b != 0)
                of_a, of_b, of_steps = of_a[known], of_b[known], steps[known]
            if of_a.shape != of_b.shape:
                raise AnalysisError(f"{table}/{name} has {of_a.shape[1:]} numbers a row in {self.a.path}, "
                                    f"{of_b.shape[1:]} in {self.b.path}", "compare runs of one model section")
            self.rows.append(difference(f"{table}/{name}", of_a, of_b, self.tolerance, of_steps))
        self.rows = sorted(filter(None, self.rows), key=lambda found: found.step)

    def compare_checkpoints(self):
        self.note_only("checkpoints", self.a.checkpoints, self.b.checkpoints)
        steps = sorted(self.a.checkpoints.keys() & self.b.checkpoints.keys())
        if steps:
            self.compared.append(f"checkpoints {steps_text(steps)}")
        for step in steps:
            paths = [run.checkpoints[step] for run in (self.a, self.b)]
            for path in paths:
                files.verify(path)
            left, right = map(checkpoint_content, paths)
            check_same_network(left, right, paths)
            for name in (name for name in left if name in right):
                if self.tolerance and name == "state@gradient_exponent":
                    continue  # follows the norm's power of 2, and is 0 where sums are of floats
                if LOG_INTERVAL.fullmatch(name) and self.logs_otherwise():
                    continue
                found = difference(name, left[name], right[name], self.tolerance, step=step)
                self.arrays += [found] if found else []

    def first(self):
        """The earliest difference: at one step the row comes before the weights, these before their evaluation."""
        order = {"train": 0, "model": 1, "validation": 3, "eval_trained": 4, "eval": 5}
        return min(self.rows + self.arrays, default=None,
                   key=lambda found: (found.step, order.get(found.name.split("/")[0], 2)))

    def lines(self):
        yield f"compared: {', '.join(self.compared)}"
        yield from self.only
        if self.other_settings:
            yield f"settings that differ: {', '.join(self.other_settings)}"
        if self.other_entries:
            yield f"made with: {', '.join(self.other_entries)}"
        first = self.first()
        if first is None:
            yield ("equal within the tolerance" if self.tolerance else "equal, bit for bit") + ", but for times"
            return
        in_arrays = any(first is found for found in self.arrays)
        yield f"different from step {first.step} on: " + (f"checkpoint_{first.step} " if in_arrays else "") + \
            f"{first.name}{first.first}"
        for found in self.rows:
            yield (f"  {found.name}: from step {found.step} on, {found.count:,} of {found.total:,}; "
                   f"largest difference: {found.largest}")
        for step in sorted({found.step for found in self.arrays})[:1]:
            yield f"  checkpoint_{step}, the first that differs:"
            for found in (found for found in self.arrays if found.step == step):
                yield f"    {found.name}: {found.count:,} of {found.total:,}; largest difference: {found.largest}"
        if later := sorted({found.step for found in self.arrays})[1:]:
            yield f"  later checkpoints that differ: {steps_text(later)}"


def check_same_network(left, right, paths):
    """Same tensors of same shapes, of weights and optimizer."""
    def shapes(content):
        return {name: array.shape for name, array in content.items() if "/" in name}

    if shapes(left) == shapes(right):
        return
    names = sorted(name for name in left.keys() | right.keys()
                   if "/" in name and shapes(left).get(name) != shapes(right).get(name))
    raise AnalysisError(f"{paths[0]} and {paths[1]} are of different networks: "
                        f"{names[0]} is {shapes(left).get(names[0], 'absent')} in the first, "
                        f"{shapes(right).get(names[0], 'absent')} in the second",
                        "compare runs of one model section and one optimizer")


def steps_text(steps):
    """"1 to 400", "300, 330, 400", "10, 20, ... 400"."""
    if len(steps) > 2 and steps == list(range(steps[0], steps[-1] + 1)):
        return f"{steps[0]} to {steps[-1]}"
    shown = steps if len(steps) <= 6 else [*steps[:3], "...", steps[-1]]
    return ", ".join(map(str, shown))
