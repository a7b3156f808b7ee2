"""fcmnist trace: where the time of the steps of a trace went (runconfig.trace_steps), and timelines of it for other people's
viewers.

Waits are the spans in which a rank can do nothing but wait: `receive`, `wait`, `combine`, `publish`, and `files` of ranks other
than 0. What a rank waits for within another activity is not recorded apart, and counts as that activity.

The critical path leads from the end of the last step backward, on one rank at a time, to the first span of a rank. On the rank where
a wait ends it goes on at the rank that was the last to end what is waited for, if that was after the wait had begun:

    receive   a product of the microbatch: `forward` on the stage before, or `delta` on the stage behind
    wait      the gradients (`data` to `post`) of the ranks of its host and stage; `receive` of its own messages on the stages beside it
    combine   the gradients of all other ranks, and `wait` of those
    publish   `update` of the ranks of its host and stage
    files     `files` of rank 0

Spans do not name whom they waited for, so this rule is what says it. What remains of a wait after that (network, waking up) is time
of the path, of the rank that waited; so are times between spans. So the path has every moment from its begin to its end once."""
import json
import os

import numpy as np

from . import files
from .errors import AnalysisError

TICKS_PER_S = 1_000_000_000  # of OTF2
WAITS = ("receive", "wait", "combine", "publish")
RECEIVES = ("receive forward", "receive delta")  # by the product that follows
GRADIENT = ("data", *RECEIVES, "forward", "loss", "send", "delta", "weight_gradient", "post")
BETWEEN = "between spans"
MOST_RANKS = 16  # that have a line each
MOST_OF_PATH = 10  # lines


def name_of(span):
    """Activity and layer: forward fc_layers.0"""
    return f"{span['activity']} {span['layer']}".rstrip()


def steps_of(trace):
    """How many steps, and the seconds of one: from the first begin to the last end, over their number."""
    spans = trace["spans"]
    steps = len(np.unique(spans["step"]))
    return steps, (spans["end_s"].max() - spans["begin_s"].min()) / steps


def percent(part, whole):
    return 100 * part / whole if whole else 0.0


def table(trace):
    """Milliseconds of a step, by activity: their mean over the ranks, its share of the step, the least and the greatest, and who
    had it. The means add up to the step."""
    spans, ranks = trace["spans"], len(trace["hosts"])
    steps, step_s = steps_of(trace)
    yield f"{steps} steps of {ranks} rank(s), milliseconds per step"
    yield f"{'activity':16} {'mean':>9} {'share':>7} {'least':>9} {'greatest':>9}  on rank"
    rest_s = np.full(ranks, step_s)

    def line(name, seconds):
        ms = 1e3 * seconds
        return (f"{name:16} {ms.mean():9.4f} {percent(seconds.mean(), step_s):5.1f} % {ms.min():9.4f} {ms.max():9.4f}  "
                f"{ms.argmax()}")

    for activity in dict.fromkeys(spans["activity"].tolist()):
        of_activity = spans[spans["activity"] == activity]
        seconds = np.bincount(of_activity["rank"], of_activity["end_s"] - of_activity["begin_s"], ranks) / steps
        rest_s -= seconds
        yield line(activity, seconds)
    yield line(BETWEEN, rest_s)
    yield f"{'step':16} {1e3 * step_s:9.4f} 100.0 %"


def is_wait(spans):
    return np.isin(spans["activity"], WAITS) | ((spans["activity"] == "files") & (spans["rank"] != 0))


def waits(trace):
    """Milliseconds that each rank waits, per step, and whom the others wait for."""
    ranks = len(trace["hosts"])
    if ranks == 1:
        return
    steps, step_s = steps_of(trace)
    waiting = trace["spans"][is_wait(trace["spans"])]
    seconds = np.bincount(waiting["rank"], waiting["end_s"] - waiting["begin_s"], ranks) / steps
    shares = [percent(of_rank, step_s) for of_rank in seconds]
    yield "waits (receive, wait, combine, publish; files of ranks other than 0), milliseconds per step"
    if ranks <= MOST_RANKS:
        for rank in range(ranks):
            yield f"rank {rank:<11} {1e3 * seconds[rank]:9.4f} {shares[rank]:5.1f} %"
    else:
        yield f"{'mean':16} {1e3 * seconds.mean():9.4f} {percent(seconds.mean(), step_s):5.1f} %"
        for name, rank in (("least", seconds.argmin()), ("most", seconds.argmax())):
            yield f"{name:16} {1e3 * seconds[rank]:9.4f} {shares[rank]:5.1f} %  on rank {rank}{on_host(trace, rank)}"
    least = int(seconds.argmin())
    if np.delete(seconds, least).mean() - seconds[least] > 0.01 * step_s:
        yield f"the others wait for rank {least}{on_host(trace, least)}, which waits least"
    else:
        yield "no rank waits clearly less than the others"


def on_host(trace, rank):
    return f" ({trace['hosts'][rank]})" if len(set(trace["hosts"])) > 1 else ""


def kinds_of(spans):
    """The activities of a rank; those that receive are named by the product that follows."""
    kinds = spans["activity"].astype("U16")
    receives, products = (np.flatnonzero(np.isin(kinds, names)) for names in (["receive"], ["forward", "delta", "weight_gradient"]))
    after = np.append(products, -1)[np.searchsorted(products, receives)]
    kinds[receives] = np.where((after >= 0) & (kinds[after] == "forward"), *RECEIVES)
    return kinds


class CriticalPath:
    """As the text above defines it: `seconds` by (rank, activity), from `begin_s` to `end_s`."""

    def __init__(self, trace):
        self.trace, self.hosts = trace, np.array(trace["hosts"])
        self.replica, self.stage = np.array(trace["replica"]), np.array(trace["stage"])
        spans = trace["spans"]
        bounds = np.searchsorted(spans["rank"], np.arange(len(self.hosts) + 1))
        self.of_rank = [spans[a:b] for a, b in zip(bounds, bounds[1:])]
        self.begins = [np.ascontiguousarray(mine["begin_s"]) for mine in self.of_rank]  # in which to search is quick
        self.kinds = [kinds_of(mine) for mine in self.of_rank]
        self.found = {}  # (rank, which spans): those that can be waited for
        self.seconds = {}
        self.end_s = self.begin_s = spans["end_s"].max()
        self.walk(int(spans["rank"][spans["end_s"].argmax()]))

    def walk(self, rank):
        while True:
            mine = self.of_rank[rank]
            k = int(np.searchsorted(self.begins[rank], self.begin_s)) - 1  # the last that begins before
            if k < 0:
                return
            span = mine[k]
            self.go_back_to(min(self.begin_s, span["end_s"]), rank, BETWEEN)
            other, arrival_s = self.last_to_arrive(rank, k)
            self.go_back_to(arrival_s, rank, str(span["activity"]))
            rank = other

    def go_back_to(self, time_s, rank, activity):
        if time_s < self.begin_s:
            key = (rank, activity)
            self.seconds[key] = self.seconds.get(key, 0.0) + self.begin_s - time_s
            self.begin_s = time_s

    def last_to_arrive(self, rank, k):
        """The rank at which the path goes on before this span, and when."""
        span, errors = self.of_rank[rank][k], self.trace["clock_error_s"]
        last = rank, span["begin_s"]
        for other, kinds, microbatch in self.waited_for(rank, k):
            done, begins = self.spans_of(other, kinds)
            j = int(np.searchsorted(begins, self.begin_s)) - 1
            while microbatch is not None and j >= 0 and done["step"][j] == span["step"] and done["microbatch"][j] != microbatch:
                j -= 1
            if j < 0 or done["step"][j] != span["step"]:
                continue
            end_s = done["end_s"][j]
            # Who goes on working when the wait is over was not waited for.
            if last[1] < end_s <= self.begin_s + errors[rank] + errors[other]:
                last = other, min(end_s, self.begin_s)
        return last

    def waited_for(self, rank, k):
        """Which ranks, which kinds of their spans, and of which microbatch (None: any)."""
        span, kind = self.of_rank[rank][k], self.kinds[rank][k]
        if not kind.startswith(("receive", *WAITS, "files")):
            return []
        before, behind = (np.flatnonzero((self.replica == self.replica[rank]) & (self.stage == self.stage[rank] + step)).tolist()
                          for step in (-1, 1))
        beside = np.flatnonzero((self.hosts == self.hosts[rank]) & (self.stage == self.stage[rank])).tolist()
        found = []
        if kind == "receive forward":
            found = [(other, ("forward",), span["microbatch"]) for other in before]
        elif kind == "receive delta":
            found = [(other, ("delta",), span["microbatch"]) for other in behind]
        elif kind == "wait":
            found = [(other, GRADIENT, None) for other in beside]
            found += [(other, ("receive delta",), None) for other in before] + [(other, ("receive forward",), None) for other in behind]
        elif kind == "combine":
            found = [(other, (*GRADIENT, "wait"), None) for other in range(len(self.hosts))]
        elif kind == "publish":
            found = [(other, ("update",), None) for other in beside]
        elif kind == "files":
            found = [(0, ("files",), None)]
        return [one for one in found if one[0] != rank]

    def spans_of(self, rank, kinds):
        if (rank, kinds) not in self.found:
            these = np.isin(self.kinds[rank], kinds)
            self.found[rank, kinds] = self.of_rank[rank][these], self.begins[rank][these]
        return self.found[rank, kinds]

    def lines(self):
        whole_s, steps = self.end_s - self.begin_s, steps_of(self.trace)[0]
        yield f"critical path, {1e3 * whole_s / steps:.4f} milliseconds per step"
        largest = sorted(self.seconds.items(), key=lambda item: -item[1])
        for (rank, activity), seconds in largest[:MOST_OF_PATH]:
            yield f"{activity:16} {1e3 * seconds / steps:9.4f} {percent(seconds, whole_s):5.1f} %  on rank {rank}"
        if rest := [seconds for _, seconds in largest[MOST_OF_PATH:]]:
            yield f"{f'{len(rest)} others':16} {1e3 * sum(rest) / steps:9.4f} {percent(sum(rest), whole_s):5.1f} %"
        yield "It goes from the end of the last step backward; at a wait it goes on at the rank that was last to end what the wait is for."
        yield "Spans do not record whom a rank waited for: activity, step, host and stage tell. Waits within other activities are theirs."


def read(path):
    """files.trace(), and replica and stage of each rank."""
    with files.h5py.File(path, "r") as file:
        return files.trace(path) | {name: file["ranks"][name][...] for name in ("replica", "stage")}


def refuse_to_replace(path):
    """A file of results is not replaced by a timeline."""
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        ours = file.read(12) == b"fcmnist_mpi "
        file.seek(max(0, os.path.getsize(path) - files.SEAL_BYTES))
        ours = ours or file.read().startswith(b"fcmnist_mpi ")
    if ours or files.h5py.is_hdf5(path):
        raise AnalysisError(f"--perfetto {path}: a file of {'fcmnist_mpi' if ours else 'HDF5'}, not to be replaced by a timeline",
                            "name another file, such as timeline.json")


def write_perfetto(trace, path):
    """Chrome's trace event format: hosts are processes, ranks are threads; times in microseconds."""
    hosts = list(dict.fromkeys(trace["hosts"]))
    process = [hosts.index(host) for host in trace["hosts"]]
    events = [{"ph": "M", "name": "process_name", "pid": p, "args": {"name": f"host {host}"}}
              for p, host in enumerate(hosts)]
    events += [{"ph": "M", "name": "thread_name", "pid": process[rank], "tid": rank, "args": {"name": f"rank {rank}"}}
               for rank in range(len(process))]
    for span in trace["spans"]:
        # Perfetto drops a span that overlaps the one before by a nanosecond.
        begin_ns, end_ns = round(1e9 * span["begin_s"]), round(1e9 * span["end_s"]) - 1
        events.append({"ph": "X", "name": name_of(span), "cat": str(span["activity"]),
                       "pid": process[span["rank"]], "tid": int(span["rank"]),
                       "ts": begin_ns / 1000, "dur": max(0, end_ns - begin_ns) / 1000,
                       "args": {"step": int(span["step"]), "microbatch": int(span["microbatch"])}})
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)


def write_otf2(trace, directory):
    """Hosts are machines, ranks are processes, activities are regions."""
    try:
        import otf2
        from otf2.enums import Type
    except ImportError as error:
        raise AnalysisError(f"--otf2: {error}", "on Debian: apt install python3-otf2, and run this with /usr/bin/python3") \
            from error
    spans = trace["spans"]
    with otf2.writer.open(directory, timer_resolution=TICKS_PER_S) as archive:
        define = archive.definitions
        world = define.system_tree_node("world")
        machines = {host: define.system_tree_node(host or "host", class_name="machine", parent=world)
                    for host in dict.fromkeys(trace["hosts"])}
        regions = {name: define.region(name) for name in dict.fromkeys(map(name_of, spans))}
        step = define.attribute("step", "training step", Type.INT64)
        microbatch = define.attribute("microbatch", "microbatch of the replica, -1 for none", Type.INT64)
        for rank, host in enumerate(trace["hosts"]):
            group = define.location_group(f"rank {rank}", system_tree_parent=machines[host])
            writer = archive.event_writer_from_location(define.location(f"rank {rank}", group=group))
            for span in spans[spans["rank"] == rank]:
                region = regions[name_of(span)]
                writer.enter(round(TICKS_PER_S * span["begin_s"]), region,
                             attributes={step: int(span["step"]), microbatch: int(span["microbatch"])})
                writer.leave(round(TICKS_PER_S * span["end_s"]), region)


def add_arguments(parser):
    parser.add_argument("trace", metavar="MODEL_DIR_OR_FILE", help="a model_dir with a trace.h5, or a trace.h5")
    parser.add_argument("--perfetto", metavar="FILE",
                        help="write a timeline for https://ui.perfetto.dev, chrome://tracing, Speedscope")
    parser.add_argument("--otf2", metavar="DIRECTORY",
                        help="write an OTF2 archive for Vampir, otf2-print and others, in a new directory")


def run(arguments):
    path = os.path.join(arguments.trace, "trace.h5") if os.path.isdir(arguments.trace) else arguments.trace
    if not os.path.exists(path):
        raise AnalysisError(f"{path}: no such file", "a run writes it with runconfig.trace_steps=20")
    if files.verify(path) != "trace":
        raise AnalysisError(f"{path}: not a trace", "name a model_dir, or its trace.h5")
    if arguments.perfetto:
        refuse_to_replace(arguments.perfetto)
    if arguments.otf2 and os.path.exists(arguments.otf2):
        raise AnalysisError(f"--otf2 {arguments.otf2}: exists already", "OTF2 needs a directory of its own; name another")
    trace = read(path)
    parts = [table(trace), waits(trace), CriticalPath(trace).lines()]
    print("\n\n".join("\n".join(lines) for part in parts if (lines := list(part))))
    if arguments.perfetto:
        write_perfetto(trace, arguments.perfetto)
    if arguments.otf2:
        write_otf2(trace, arguments.otf2)
    return 0
