"""What came of a run: the numbers that people look for first, and compare."""
import dataclasses

import numpy as np

from . import validations
from .datatable import Column, Interval, Table
from .statistics import wilson


@dataclasses.dataclass
class Results:
    """None where the run has no such number (yet)."""
    steps: int  # of training
    ranks: int
    samples: int = 0  # scored by the last evaluation
    accuracy: float = None  # of the last evaluation, as is the loss
    loss: float = None  # nats
    best_accuracy: float = None
    best_step: int = None
    best_epoch: int = None
    validation_accuracy: float = None  # the best one
    elapsed_s: float = None
    samples_per_s: float = None

    @property
    def right(self):
        """Accuracy in percent with its interval (Wilson)."""
        if self.accuracy is None:
            return None
        low, high = wilson(round(self.accuracy * self.samples), self.samples)
        return Interval(100 * self.accuracy, 100 * low, 100 * high)

    @property
    def wrong(self):
        """The same of the error."""
        right = self.right
        return None if right is None else Interval(100 - right.value, 100 - right.high, 100 - right.low)


def throughput(train, log_steps):
    """Samples/s: the median over the rows after the first log line, in which the ranks and their caches warm up; over all
    rows, if there are no others."""
    rates = train["samples_per_s"]
    later = rates[train["step"] > log_steps]
    return float(np.median(later if len(later) else rates))


def results(tables, config, manifest):
    """
        tables    of files.tables
        config    of files.settings_of
    """
    train, evaluated = tables["train"], tables["eval"]
    found = Results(int(train["step"][-1]) if len(train["step"]) else 0, int(manifest.get("world_size", 0)))
    if len(train["step"]):
        found.elapsed_s = float(train["elapsed_s"][-1])
        found.samples_per_s = throughput(train, int(config.get("runconfig.log_steps") or 0))
    if "validation" in tables and len(tables["validation"]["step"]):
        found.validation_accuracy = float(tables["validation"]["accuracy"][validations.best(tables["validation"])[0]])
    if len(evaluated["step"]):
        best = int(np.nanargmax(evaluated["accuracy"]))
        found.samples = int(evaluated["confusion"][-1].sum())
        found.accuracy, found.loss = float(evaluated["accuracy"][-1]), float(evaluated["loss"][-1])
        found.best_accuracy, found.best_step = float(evaluated["accuracy"][best]), int(evaluated["step"][best])
        found.best_epoch = int(evaluated["epoch"][best]) + 1
    return found


COLUMNS = [Column("run"), Column("accuracy", "%", ".2f", True), Column("error", "%", ".2f", True), Column("loss", "nats", ".5f"),
           Column("best_accuracy", "%", ".2f"), Column("best_step"), Column("steps"), Column("training_time", "s", ",.1f"),
           Column("throughput", "samples/s", ",.0f"), Column("ranks")]


def results_table(named):
    """
        named   {name: Results}
    """
    rows = [[name, one.right, one.wrong, one.loss, None if one.best_accuracy is None else 100 * one.best_accuracy, one.best_step,
             one.steps, one.elapsed_s, one.samples_per_s, one.ranks] for name, one in named.items()]
    return Table("results", "Results", list(COLUMNS), rows,
                 "Accuracy (with its 95 % confidence interval) and loss are those of the last evaluation. Throughput is the "
                 "median over the steps after the first log line.")
