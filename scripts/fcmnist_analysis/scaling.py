"""fcmnist scaling: how throughput grows with the world: speed-up and efficiency of runs on different numbers of ranks.

Runs of one global batch are a strong series: the same work, shared by more ranks. Runs of one batch per rank are a weak series:
work that grows with the ranks. Efficiency is the speed-up against the smallest world of the series, over how many times more
ranks there are. Throughput is the median over the steps after the first log line; of several runs of one world, the median."""
import statistics

from . import bits, files, table
from .datatable import Column, Table
from .errors import AnalysisError, check_output
from .run import Run

# What runs of one series may differ in: the batch is what makes the series.
MAY_DIFFER = table.UNINTERESTING | {table.SEED, "train_input.batch_size", "train_input.batch_size_per_replica",
                                    "eval_input.batch_size", "runconfig.num_replicas", "runconfig.max_steps", "runconfig.num_epochs"}
TRACE = "runconfig.trace_steps"
MOST_EFFICIENCY = 110  # percent that caches and noise explain
ENTRIES = [name for name in bits.BIT_ENTRIES if name not in ("world_size", "replicas", "nodes")]  # of the manifest

COLUMNS = [Column("series"), Column("ranks"), Column("nodes"), Column("global_batch", form=","), Column("runs"),
           Column("throughput", "samples/s", ",.0f"), Column("speed_up", form=".2f"), Column("efficiency", "%", ".0f")]


def world(run):
    return int(run.manifest.get("world_size", 0)), int(run.manifest.get("nodes", 1))


def batch(run):
    return files.global_batch(run.config, run.manifest)


def is_traced(run):
    """Whether it recorded spans, which slows it."""
    return int(run.config.get(TRACE) or 0) > 0


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
    for (ranks, nodes), members in worlds.items():
        same = [run for run in members if not is_traced(run)] or members
        rate = statistics.median(run.results.samples_per_s for run in same)
        least_ranks, least_rate = (rows[0][1], rows[0][5]) if rows else (ranks, rate)
        speed_up = rate / least_rate
        rows.append([name, ranks, nodes, batch(same[0]), len(same), rate, speed_up, 100 * speed_up * least_ranks / ranks])
    return rows


def warnings_of(name, runs, rows):
    """What besides the world may have changed the throughput."""
    traced, found = [run for run in runs if is_traced(run)], []
    untraced = {world(run) for run in runs if not is_traced(run)}
    left_out = [str(run.path) for run in traced if world(run) in untraced]
    slowed = [str(run.path) for run in traced if world(run) not in untraced]
    if left_out:
        found.append(f"note: {name}: left out, since {TRACE} slows a run: {', '.join(left_out)}.")
    if slowed:
        found.append(f"warning: {name}: {TRACE} has slowed {', '.join(slowed)}; there is no other run of that world.")
    if (most := max(row[-1] for row in rows)) > MOST_EFFICIENCY:
        found.append(f"warning: {name}: an efficiency of {most:.0f} % is more than ranks give. Something else has slowed the smallest "
                     "world, or the data of a rank fit into its cache only in the larger one: measure the smallest again.")
    runs = [run for run in runs if str(run.path) not in left_out]
    settings = [key for key in table.differing([run.config for run in runs])
                if key not in MAY_DIFFER and not key.startswith("runconfig.trace_")]
    entries = table.differing([{entry: run.manifest.get(entry) for entry in ENTRIES} for run in runs])
    if not settings and not entries:
        return found
    return found + [f"warning: {name}: the runs also differ in {', '.join(settings + entries)}, which may change the throughput."]


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
    rows = {name: rows_of(name, runs) for name, runs in found.items()}
    notes += [line for name, runs in found.items() for line in warnings_of(name, runs, rows[name])]
    return Table("scaling", "Scaling", list(COLUMNS), [row for series in rows.values() for row in series], "\n".join(notes))


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("--png", metavar="FILE", help="draw speed-up and efficiency as well")
    parser.add_argument("--csv", metavar="FILE", help="write the table as CSV as well")


def run(arguments):
    if arguments.csv:
        check_output(arguments.csv)
    if arguments.png:
        from . import plot  # only now: matplotlib takes a second
        plot.check_picture(arguments.png)
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
        from . import figures
        figures.write_scaling(arguments.png, found)
    return 0
