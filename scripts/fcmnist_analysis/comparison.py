"""Two runs on the same images: which is right more often, and could that be chance?"""
import dataclasses

import numpy as np

from . import statistics
from .datatable import Column, Table

SURE = 0.05  # p from which on a difference may be chance


@dataclasses.dataclass
class Pair:
    only_first: int  # images that only this one has right
    only_second: int
    p: float


def scored_set(run):
    """What the last evaluation has scored, in words."""
    digests = run.manifest.get("test_set_sha256")
    digest = f", SHA-256 {digests[0][:8]}" if digests else ""
    return f"{run.manifest.get('test_set', 'unknown set')}, {run.manifest.get('test_set_split', '?')} split, " \
           f"{run.results.samples:,} samples{digest}"


def same_images(first, second):
    """Whether the last evaluations of two runs have scored the same images, as far as their files say."""
    digests = [run.manifest.get("test_set_sha256") for run in (first, second)]
    if first.results.samples != second.results.samples or None not in digests and digests[0] != digests[1]:
        return False
    if first.predictions is None or second.predictions is None:
        return True
    return np.array_equal(first.predictions["label"], second.predictions["label"])


def on_images(first, second):
    """McNemar's test of two runs; None if one has no predictions.h5, or of other images."""
    if first.predictions is None or second.predictions is None or not same_images(first, second):
        return None
    right = [(run.predictions["label"] == run.predictions["predicted"]).to_numpy() for run in (first, second)]
    return Pair(*statistics.mcnemar(*right))


def against_best(named):
    """A table of McNemar's test of each run against the most accurate one, of those that were scored on the images that most
    were scored on; None if there are no two.
        named   {name: Run}
    """
    known = {name: run for name, run in named.items() if run.predictions is not None and run.results.samples}
    alike = max(([other for other in known if same_images(run, known[other])] for run in known.values()), key=len, default=[])
    if len(alike) < 2:
        return None
    best = max(alike, key=lambda name: known[name].results.accuracy)
    pairs = {name: on_images(known[best], known[name]) for name in alike if name != best}
    rows = [[name, pair.only_first, pair.only_second, pair.p, "worse" if pair.p < SURE else "may be chance"]
            for name, pair in pairs.items()]
    columns = [Column("run"), Column("only_best_right"), Column("only_this_right"), Column("p", form=".2g"), Column("verdict")]
    return Table("mcnemar", "Is the difference noise?", columns, rows,
                 f"Each run against the most accurate one, {best}. McNemar's exact test on the images that only one of two networks "
                 "classifies rightly. A small p says that two networks with equal error rates would seldom differ so much. It does not "
                 "say how much another seed would change.")
