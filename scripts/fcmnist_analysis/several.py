"""What a report says of several runs, gathered once as the facts of one run are."""
import dataclasses
import functools

from . import charts, comparison, scaling, table
from .datatable import Column
from .results import results_table


def short_names(runs):
    """{name: run}: the ends of their paths that tell them apart."""
    paths = [run.path.resolve() for run in runs]
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, runs))


def results_and_settings(named):
    """The most accurate run first; on the right the settings in which they differ."""
    found = results_table({name: run.results for name, run in named.items()}).without("error")
    keys = table.differing([run.config for run in named.values()])
    found.columns += map(Column, keys)
    for row, run in zip(found.rows, named.values()):
        row += [run.config.get(key, "").strip('"{}') for key in keys]
    found.rows.sort(key=lambda row: -row[1].value if row[1] else 1)
    if keys:
        found.note += " On the right are the settings in which the runs differ."
    return found


@dataclasses.dataclass
class SeveralFacts:
    named: dict  # {name: Run}

    @functools.cached_property
    def results(self):
        return results_and_settings(self.named)

    @functools.cached_property
    def overlays(self):
        return charts.overlays(self.named)

    @functools.cached_property
    def mcnemar(self):
        return comparison.against_best(self.named)

    @functools.cached_property
    def scaling(self):
        return scaling.scaling(self.named)

    def tables(self):
        return [one for one in (self.results, self.mcnemar, self.scaling) if one]

    def charts(self):
        return self.overlays
