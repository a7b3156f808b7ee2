"""Which of two runs, or of two groups of runs, is better: a line that says it, and a table that shows it."""
import statistics as means

from . import bits, comparison, results, statistics, table
from .datatable import Column, Table
from .errors import AnalysisError
from .run import Run

ENTRIES = [name for name in bits.BIT_ENTRIES if name != "world_size"]  # of the manifest


def sentence(rights, p, test, images, evidence):
    """
        rights     percent that A and B have right
        p          of the test that evidence came of
        images     what could not show a difference, in words
    """
    if p >= comparison.SURE:
        return f"no difference that {images} can show ({test}p = {p:.2g}): A has {rights[0]:.2f} % right, B {rights[1]:.2f} %{evidence}"
    better, worse = (1, 0) if rights[1] > rights[0] else (0, 1)
    return f"{'AB'[better]} is better: {rights[better]:.2f} % against {rights[worse]:.2f} % right{evidence} ({test}p = {p:.2g})"


def add_differences(shown, configs, manifests):
    """Puts columns behind a table: settings, and what else may explain a difference, where they are not the same."""
    for dictionaries, keys in ((configs, table.differing(configs)),
                               (manifests, table.differing([{name: one.get(name) for name in ENTRIES} for one in manifests]))):
        shown.columns = [*shown.columns, *map(Column, keys)]
        for row, dictionary in zip(shown.rows, dictionaries):
            row += [str(dictionary.get(key, "-")).strip('"{}') for key in keys]


def check_same_images(first, second):
    for run in (first, second):
        if not run.results.samples:
            raise AnalysisError(f"{run.path}: nothing was scored yet", "train with --mode train_and_eval, which is the default")
    if not comparison.same_images(first, second):
        raise AnalysisError(f"the runs were scored on different images: {comparison.scored_set(first)} ({first.path}) against "
                            f"{comparison.scored_set(second)} ({second.path})",
                            "only answers to the same images can be compared: train both with the same eval_input")


def of_runs(a, b):
    """Lines about two model_dirs."""
    runs = [Run(a), Run(b)]
    check_same_images(*runs)
    found = [run.results for run in runs]
    rights, count = [one.right.value for one in found], found[0].samples
    if pair := comparison.on_images(*runs):
        evidence = f"; {pair.only_second:,} images only B has right, {pair.only_first:,} only A"
        line = sentence(rights, pair.p, "McNemar ", f"{count:,} images", evidence)
    else:
        p = statistics.two_proportions(*(round(one.accuracy * count) for one in found), count)
        line = sentence(rights, p, "z test of two proportions ", f"{count:,} images", "")
    shown = results.results_table({"A": found[0], "B": found[1]})
    shown.columns[0:1] = [Column(""), Column("run")]
    shown.rows = [[row[0], str(run.path), *row[1:]] for row, run in zip(shown.rows, runs)]
    add_differences(shown, [run.config for run in runs], [run.manifest for run in runs])
    scored = f"Scored: {comparison.scored_set(runs[0])}. {shown.note}"
    remark = "p says how sure the difference between these two networks is. What another seed would change it does not say: " \
             "name two directories of runs that differ in their seed only."
    if not pair:
        remark = "Without predictions.h5 of both (a run that is not finished, or of an old release) only the totals are compared, " \
                 "which is less sure.\n" + remark
    return [line, "", *shown.side_by_side(), "", scored, remark]


def of_seeds(of_a, of_b):
    """Lines about two groups of model_dirs. The runs of a group may differ in their seed only."""
    groups = []
    for paths in (of_a, of_b):
        if len(paths) < 2:
            raise AnalysisError(f"{paths[0]}: one run against several", "compare two runs, or two directories with at least two runs each")
        groups.append([Run(path) for path in paths])
        keys = set(table.differing([run.config for run in groups[-1]])) - {table.SEED}
        if keys:
            raise AnalysisError(f"{paths[0]} and {len(paths) - 1} more differ in {', '.join(sorted(keys))}",
                                "compare directories of runs that differ in their seed only; fcmnist report shows others")
        for run in groups[-1]:
            check_same_images(groups[0][0], run)
    rights = [[run.results.right.value for run in group] for group in groups]
    line = sentence([means.fmean(group) for group in rights], statistics.welch(*rights), "Welch's t test ",
                    f"{len(of_a)} and {len(of_b)} runs", "")
    columns = [Column(""), Column("runs"), Column("first_run"), Column("mean_accuracy", "%", ".3f"), Column("deviation", "%", ".3f"),
               Column("mean_loss", "nats", ".5f"), Column("training_time", "s", ",.1f"), Column("throughput", "samples/s", ",.0f")]
    rows = [[name, str(len(group)), str(group[0].path), means.fmean(of_group), means.stdev(of_group),
             *(means.fmean(getattr(run.results, column) for run in group) for column in ("loss", "elapsed_s", "samples_per_s"))]
            for name, group, of_group in zip("AB", groups, rights)]
    shown = Table("seeds", "Groups", columns, rows)
    add_differences(shown, [group[0].config | {table.SEED: ""} for group in groups], [group[0].manifest for group in groups])
    return [line, "", *shown.side_by_side(), "", "Means over the runs of each group, with the standard deviation of its accuracies."]
