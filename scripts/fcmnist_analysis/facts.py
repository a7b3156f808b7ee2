"""What a report says of one run, gathered once: page, pictures, Markdown and CSV all show it from here."""
import dataclasses
import functools

import numpy as np

from . import charts, files, network, pictures, statistics
from .datatable import Column, Interval, Table
from .results import results_table

MOST_RANKS, MOST_CLASSES = 64, 50  # that are shown
TIMES = {"compute_s": "compute", "wait_s": "wait", "sum_s": "sum", "update_s": "update", "other_s": "messages",
         "data_s": "data", "files_s": "files"}


@dataclasses.dataclass
class RankTimes:
    """Where the time of a step went: milliseconds, means of the run."""
    table: Table  # a row for each rank: rank, the parts, total
    shown: list  # the rows that pictures have room for: those of the ranks that compute longest
    balance: float  # mean of compute over its largest
    slowest: int

    @property
    def parts(self):
        return [column.name for column in self.table.columns[1:-1]]


def rank_times(run):
    if not len(run.ranks):
        return None
    mean = 1e3 * run.ranks.drop(columns="exposed_s").groupby("rank").mean().dropna()
    mean["other_s"] = (mean["exchange_s"] - mean["wait_s"] - mean["sum_s"] - mean["update_s"]).clip(lower=0)
    mean = mean[list(TIMES)]
    columns = [Column("rank"), *(Column(name, "ms", ".4f") for name in TIMES.values()), Column("total", "ms", ".4f")]
    rows = [[int(rank), *map(float, times), float(times.sum())] for rank, times in zip(mean.index, mean.to_numpy())]
    compute = mean["compute_s"].to_numpy()
    longest = sorted(np.argsort(-compute, kind="stable")[:MOST_RANKS])
    balance, slowest = float(compute.mean() / compute.max()) if compute.max() > 0 else 1.0, int(mean.index[compute.argmax()])
    table = Table("time_per_rank", "Where the time goes", columns, rows,
                  f"Milliseconds of a step, mean of the run. Load balance (mean of compute over its largest): "
                  f"{100 * balance:.1f} %; rank {slowest} computes longest.")
    return RankTimes(table, [rows[k] for k in longest], balance, slowest)


def parameters(run):
    return sum(array.size for array in run.weights.values())


def what_ran(run):
    manifest, config = run.manifest, run.config

    def said(key, otherwise="?"):
        return config.get(key, otherwise).strip('"{}')

    widths = "no checkpoint yet"
    if run.weights is not None:
        layers = network.layers(run.weights)
        widths = " - ".join(map(str, [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]))
        widths += f", {parameters(run):,} parameters"
    dropout = said("model.dropout", "0")
    if float(said("model.input_dropout", "0")):
        dropout += f" (of pixels {said('model.input_dropout')})"
    held_out = f", {manifest['validation_samples']:,} of them held out for validation" if "validation_samples" in manifest else ""
    hosts = [str(host) for host in manifest.get("hosts", [])]
    described = [
        ("Trained on", f"{manifest.get('training_set', '?')}, {manifest.get('training_set_samples', 0):,} samples{held_out}"),
        ("Scored on", f"{manifest.get('test_set', 'nothing')}, {manifest.get('test_set_samples', 0):,} samples"),
        ("Network", f"{widths}, dropout {dropout}, {manifest.get('precision', '?')}"),
        ("Optimizer", f"{said('optimizer.optimizer_type')}, momentum {said('optimizer.momentum', '0')}, "
                      f"weight decay {said('optimizer.weight_decay_rate', '0')}"),
        ("Learning rate", said("optimizer.learning_rate")),
        ("Batch", f"{files.global_batch(config, manifest) or '?'} samples, all ranks together"),
        ("World", f"{manifest.get('world_size', '?')} rank(s) on {manifest.get('nodes', '?')} node(s): "
                  f"{', '.join(hosts[:4])}{' ...' if len(hosts) > 4 else ''}"),
        ("Processor code", f"{manifest.get('blas', '?')}, {manifest.get('blas_core', '?')}"),
        ("Program", f"{manifest.get('program', 'fcmnist_mpi')} {manifest.get('version', '')} "
                    f"({str(manifest.get('git_revision', ''))[:12]}), {manifest.get('mpi', '')}"),
        ("Seed", said("runconfig.seed")),
        ("Started", manifest.get("started_utc", "?")),
    ]
    return Table("what_ran", "What ran", [Column("what"), Column("value")], [[name, str(value)] for name, value in described])


def classes_table(counts, names):
    def percent(triple):
        return Interval(*(100 * value for value in triple))

    columns = [Column("class"), Column("samples", form=","),
               *(Column(name, "%", ".1f", True) for name in ("precision", "recall", "F1"))]
    rows = [[score.name, score.samples, percent(score.precision), percent(score.recall), percent(score.f1)]
            for score in statistics.class_scores(counts, names)]
    return Table("classes", "Classes", columns, rows, "With 95 % confidence intervals.")


@dataclasses.dataclass
class Facts:
    run: object
    name: str

    @functools.cached_property
    def found(self):
        """The answers to the test set; None without predictions.h5."""
        return self.run.predictions

    @functools.cached_property
    def curves(self):
        return charts.curves(self.run)

    @functools.cached_property
    def norms(self):
        return charts.norms(self.run)

    @functools.cached_property
    def ranks(self):
        return rank_times(self.run)

    @functools.cached_property
    def mistakes(self):
        return pictures.mistakes(self.run)

    @functools.cached_property
    def mistake_count(self):
        return None if self.found is None else int((self.found["label"] != self.found["predicted"]).sum())

    @functools.cached_property
    def first_layer(self):
        return pictures.first_layer(self.run)

    @functools.cached_property
    def counts(self):
        """The confusion matrix; None if nothing was scored, or if it is too large to be read."""
        confusion = self.run.confusion
        if confusion is None or not confusion.to_numpy().sum() or len(confusion) > MOST_CLASSES:
            return None
        return confusion.to_numpy()

    @functools.cached_property
    def calibration(self):
        return None if self.found is None else statistics.calibration(self.run.probabilities, self.found["label"].to_numpy())

    # --- tables ---

    @functools.cached_property
    def what_ran(self):
        return what_ran(self.run)

    @functools.cached_property
    def results(self):
        table = results_table({self.name: self.run.results})
        if self.calibration:
            table.columns.append(Column("calibration_error", "%", ".2f"))
            table.rows[0].append(100 * self.calibration.expected_error)
        return table

    @functools.cached_property
    def classes(self):
        return None if self.counts is None else classes_table(self.counts, self.run.class_names)

    def tables(self):
        """All tables but those of the curves."""
        tables = [self.results, self.what_ran]
        if self.counts is not None:
            names = self.run.class_names
            tables += [self.classes, Table("confusion", "Confusion matrix", [Column("true_class"), *map(Column, names)],
                                           [[name, *map(int, row)] for name, row in zip(names, self.counts)],
                                           "Rows are true classes, columns what the network says.")]
        if self.calibration:
            found = self.calibration
            rows = [[100 * confidence, 100 * accuracy, samples]
                    for confidence, accuracy, samples in zip(found.confidence, found.accuracy, found.samples)]
            tables.append(Table("calibration", "Calibration", [Column("confidence", "%", ".1f"), Column("accuracy", "%", ".1f"),
                                                               Column("samples", form=",")], rows,
                                f"How sure the network is, and how often it is right, in 15 equal bins. Expected calibration error: "
                                f"{100 * found.expected_error:.2f} %."))
        if self.mistakes:
            rows = [[one.sample, one.label, one.predicted, 100 * one.probability] for one in self.mistakes]
            tables.append(Table("mistakes", "The surest mistakes", [Column("sample"), Column("label"), Column("predicted"),
                                                                    Column("probability", "%", ".1f")], rows,
                                f"{self.mistake_count:,} of {len(self.found):,} images are classified wrongly."))
        return tables + ([self.ranks.table] if self.ranks else [])

    def charts(self):
        return self.curves + self.norms
