"""fcmnist scaling: how throughput grows with the world: speed-up and efficiency of runs on different numbers of ranks.

Runs of one global batch are a strong series: the same work, shared by more ranks. Runs of one batch per rank are a weak series:
work that grows with the ranks. Efficiency is the speed-up against the smallest world of the series, over how many times more
ranks there are. Throughput is the median over the steps after the first log line; of several runs of one world, the median."""
import statistics

from . import bits, files, table
from .datatable import Column, Table
from .errors import AnalysisError
from .run import Run

# What runs of one series may differ in: the batch is what makes the series.
MAY_DIFFER = table.UNINTERESTING | {table.SEED, "train_input.batch_size", "train_input.batch_size_per_replica",
                                    "eval_input.batch_size", "runconfig.num_replicas", "runconfig.max_steps", "runconfig.num_epochs"}
ENTRIES = [name for name in bits.BIT_ENTRIES if name not in ("world_size", "replicas", "nodes")]  # of the manifest

COLUMNS = [Column("series"), Column("ranks"), Column("nodes"), Column("global_batch", form=","), Column("runs"),
           Column("throughput", "samples/s", ",.0f"), Column("speed_up", form=".2f"), Column("efficiency", "%", ".0f")]


def world(run):
    return int(run.manifest.get("world_size", 0)), int(run.manifest.get("nodes", 1))


def batch(run):
    return files.global_batch(run.config, run.manifest)


def series_of(runs):
    """{name: runs}: those of one network, and one global batch or one batch per rank, if they are of several worlds."""
    networks = [key for key in table.differing([run.config for run in runs]) if key.startswith("model.")]
    found = {}
    for kind, key_of, what in (("strong", batch, "samples a step"), ("weak", lambda run: batch(run) / world(run)[0], "samples a rank")):
        for run in sorted(runs, key=key_of):
            network = "".join(f", {key.removeprefix('model.')} {run.config[key]}" for key in networks if key in run.config)
            found.setdefault(f"{kind}, {key_of(run):g} {what}{network}", []).append(run)
    return {name: members for name, members in found.items() if len(set(map(world, members))) > 1}


def rows_of(name, runs):
    """Of one series, the smallest world first."""
    worlds = {}
    for run in sorted(runs, key=world):
        worlds.setdefault(world(run), []).append(run)
    rows = []
    for (ranks, nodes), same in worlds.items():
        rate = statistics.median(run.results.samples_per_s for run in same)
        least_ranks, least_rate = (rows[0][1], rows[0][5]) if rows else (ranks, rate)
        speed_up = rate / least_rate
        rows.append([name, ranks, nodes, batch(same[0]), len(same), rate, speed_up, 100 * speed_up * least_ranks / ranks])
    return rows


def warnings_of(name, runs):
    """What besides the world may have changed the throughput."""
    settings = [key for key in table.differing([run.config for run in runs]) if key not in MAY_DIFFER]
    entries = table.differing([{entry: run.manifest.get(entry) for entry in ENTRIES} for run in runs])
    if not settings and not entries:
        return []
    return [f"warning: {name}: the runs also differ in {', '.join(settings + entries)}, which may change the throughput."]


def scaling(named):
    """A table of all series; None if there is none.
        named   {name: Run}
    """
    timed = [run for run in named.values() if run.results.samples_per_s and batch(run) and world(run)[0]]
    found = series_of(timed)
    if not found:
        return None
    notes = ["Throughput: median over the steps after the first log line. Speed-up and efficiency are against the smallest world "
             "of the series."]
    notes += [line for name, runs in found.items() for line in warnings_of(name, runs)]
    return Table("scaling", "Scaling", list(COLUMNS), [row for name, runs in found.items() for row in rows_of(name, runs)], "\n".join(notes))


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("--png", metavar="FILE", help="draw speed-up and efficiency as well")
    parser.add_argument("--csv", metavar="FILE", help="write the table as CSV as well")


def run(arguments):
    paths = table.expanded(arguments.runs)
    found = scaling({path: Run(path) for path in paths})
    if found is None:
        raise AnalysisError(f"{', '.join(arguments.runs)}: {len(paths)} run(s), but no two of different worlds with the same network, "
                            "and the same global batch or the same batch per rank",
                            "train on other numbers of ranks: the same command with -n and another -o")
    print("\n".join([*found.lines(), *found.note.splitlines()]))
    if arguments.csv:
        found.write_csv(arguments.csv)
    if arguments.png:
        from . import figures  # only now: matplotlib takes a second
        figures.write_scaling(arguments.png, found)
    return 0
