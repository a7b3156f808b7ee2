"""fcmnist trace: where the time of the steps of a trace went (runconfig.trace_steps), and timelines of it for other people's
viewers."""
import json
import os

import numpy as np

from . import files
from .errors import AnalysisError

TICKS_PER_S = 1_000_000_000  # of OTF2


def name_of(span):
    """Activity and layer: forward fc_layers.0"""
    return f"{span['activity']} {span['layer']}".rstrip()


def table(trace):
    """Milliseconds of a step, by activity: their mean over the ranks, the least and the greatest, and who had it."""
    spans, ranks = trace["spans"], len(trace["hosts"])
    steps = len(np.unique(spans["step"]))
    lines = [f"{steps} steps of {ranks} rank(s), milliseconds per step",
             f"{'activity':16} {'mean':>9} {'least':>9} {'greatest':>9}  on rank"]
    for activity in dict.fromkeys(spans["activity"].tolist()):
        of_activity = spans[spans["activity"] == activity]
        seconds = np.bincount(of_activity["rank"], of_activity["end_s"] - of_activity["begin_s"], ranks)
        ms = 1e3 * seconds / steps
        lines.append(f"{activity:16} {ms.mean():9.4f} {ms.min():9.4f} {ms.max():9.4f}  {ms.argmax()}")
    return "\n".join(lines)


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
    trace = files.trace(path)
    print(table(trace))
    if arguments.perfetto:
        write_perfetto(trace, arguments.perfetto)
    if arguments.otf2:
        if os.path.exists(arguments.otf2):
            raise AnalysisError(f"--otf2 {arguments.otf2}: exists already", "OTF2 needs a directory of its own; name another")
        write_otf2(trace, arguments.otf2)
    return 0
