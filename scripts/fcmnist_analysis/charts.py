"""The curves of a report: numbers over steps, as the page, the pictures and the tables of CSV show them."""
import dataclasses

import numpy as np

from . import files
from .datatable import Column, Table

MOST_POINTS = 600  # of a curve: more cannot be told apart on a screen
MOST_POINTS_OVERLAID = 150  # of curves of several runs, whose noise would hide each other
MOST_ARRAYS = 12


@dataclasses.dataclass
class Series:
    name: str
    x: list
    y: list  # None where there is no number
    color: int  # the how-manieth of those that the page, or the picture, has
    points: bool = False  # whether each number is a point of its own, such as an evaluation


@dataclasses.dataclass
class Chart:
    name: str  # of its files
    title: str
    unit: str
    series: list
    log: bool = False
    zero: bool = False  # whether the axis begins at 0
    low: float = None  # where the axis begins, so that the first steps do not squeeze the others

    def table(self):
        rows = [[one.name, x, y] for one in self.series for x, y in zip(one.x, one.y)]
        return Table(self.name, self.title, [Column("series"), Column("step"), Column(self.name, self.unit)], rows)


def thinned(frame, most=MOST_POINTS):
    """At most so many rows: means of equal spans, with the step of the last row of each."""
    if len(frame) <= most:
        return frame
    span = -(-len(frame) // most)
    place = np.arange(len(frame)) // span
    means = frame.groupby(place).mean()
    means.index = frame.index.to_series().groupby(place).last()
    return means


def series(name, values, color, points=False, factor=1):
    """Six digits are more than can be seen, and keep the page small."""
    y = [float(f"{factor * value:.6g}") if np.isfinite(value) else None for value in values.to_numpy(dtype=float)]
    return Series(name, [int(step) for step in values.index], y, color, points)


def set_name(run):
    """What evaluations have scored: "test", "on the train split", "test, averaged over 9 shifts", ..."""
    return files.scored("", str(run.path)).rstrip(",").strip()


def accuracy_floor(lines):
    """Below this are only the first steps."""
    known = [np.array([y for y in one.y if y is not None]) for one in lines]
    least = min((np.min(y) if one.points else np.percentile(y, 5) for one, y in zip(lines, known) if len(y)), default=0)
    return float(max(0, least - 0.3 * (100 - least)))


def curves(run):
    """The charts of one run."""
    train, evaluated, validated = thinned(run.train), run.eval, run.validation
    charts = []
    for name, unit, factor, log in (("loss", "nats", 1, True), ("accuracy", "%", 100, False)):
        lines = [series("training", train[name], 0, factor=factor)] if len(train) else []
        lines += [series(set_name(run), evaluated[name], 1, True, factor)] if len(evaluated) else []
        lines += [series("validation", validated[name], 2, True, factor)] if len(validated) else []
        lines += [series("weights as trained", run.eval_trained[name], 3, True, factor)] if len(run.eval_trained) else []
        charts.append(Chart(name, name.capitalize(), unit, lines, log, low=None if log else accuracy_floor(lines)))
    if len(train):
        charts.append(Chart("learning_rate", "Learning rate", "", [series("learning rate", train["learning_rate"], 2)], zero=True))
        charts.append(Chart("throughput", "Throughput", "samples/s", [series("all ranks", train["samples_per_s"], 3)], zero=True))
    return [chart for chart in charts if chart.series]


def norms(run):
    """Norms of gradient, weights and updates, a curve for each weight matrix."""
    charts = []
    for kind, title in (("gradient", "Gradient norm"), ("weight", "Weight norm"), ("update", "Norm of an update")):
        if kind not in run.norms:
            continue
        frame = run.norms[kind].dropna(how="all")
        names = [name for name in frame.columns if str(name).endswith("weight")] or list(frame.columns)
        frame = thinned(frame[names[:MOST_ARRAYS]])
        lines = [series(str(name).removesuffix(".weight"), frame[name], k) for k, name in enumerate(frame.columns)]
        charts.append(Chart(f"{kind}_norm", title, "2-norm", lines, log=True))
    return charts


def overlays(named):
    """The charts of several runs.
        named   {name: Run}
    """
    scored = {set_name(run) for run in named.values() if len(run.eval)}
    of = f" ({scored.pop()})" if len(scored) == 1 else ""
    charts = []
    for name, unit, factor, log in (("loss", "nats", 1, True), ("accuracy", "%", 100, False)):
        lines = [series(title, run.eval[name], k, True, factor) for k, (title, run) in enumerate(named.items()) if len(run.eval)]
        charts.append(Chart(name, f"{name.capitalize()}{of}", unit, lines, log))
    lines = [series(title, thinned(run.train, MOST_POINTS_OVERLAID)["loss"], k)
             for k, (title, run) in enumerate(named.items()) if len(run.train)]
    charts.append(Chart("training_loss", "Training loss, means of equal spans", "nats", lines, log=True))
    return [chart for chart in charts if chart.series]
