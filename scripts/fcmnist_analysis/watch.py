"""fcmnist watch: batch jobs, live from their files. It only reads, so it does no harm to the runs, and needs nothing of them but a
directory that both see."""
import dataclasses
import os
import shutil
import socket
import sys
import textwrap
import time

import numpy as np

from . import files, troubles, validations
from .errors import AnalysisError
from .table import expanded

BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII_BLOCKS = " .:-=+*#%"


@dataclasses.dataclass
class Progress:
    """Where a run stands."""
    path: str
    step: int
    total: int  # 0: not known
    state: str
    short: str  # the same in a word of at most 8 letters
    loss: np.ndarray  # of the training steps so far
    accuracy: np.ndarray  # of the evaluations so far
    samples_per_s: float
    left_s: float
    slowest: str
    troubles: list  # lines about what went wrong


def total_steps(config, manifest):
    """How many steps training has: the earlier one of max_steps and num_epochs; 0 if neither is known."""
    limits = [int(config.get("runconfig.max_steps") or 0)]
    batch = files.global_batch(config, manifest)
    samples = int(manifest.get("training_set_samples", 0)) - int(manifest.get("validation_samples", 0))
    epochs = int(config.get("runconfig.num_epochs") or 0)
    if batch and samples > 0 and epochs:
        whole = config.get("train_input.drop_last_batch") == "True"
        of_epoch = samples // batch if whole else -(-samples // batch)
        limits.append(epochs * min(int(config.get("runconfig.steps_per_epoch") or of_epoch) or of_epoch, of_epoch))
    return min((limit for limit in limits if limit > 0), default=0)


def text_of(path, name):
    try:
        with open(os.path.join(path, name), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def lock_holder(path):
    """The lines of LOCK, by their first word; empty after an orderly end."""
    return dict(line.split(" ", 1) for line in text_of(path, "LOCK").splitlines()[1:] if " " in line)


def state_of(path, step, total):
    """A line, and a word of at most 8 letters."""
    if stopped := text_of(path, "STOPPED"):
        return "stopped: " + stopped.splitlines()[0].split(": ", 1)[-1], "stopped"
    if fields := lock_holder(path):
        job = f", Slurm job {fields['slurm_job']}" if "slurm_job" in fields else ""
        where = f"{fields.get('host', '?')}{job}"
        if is_dead(fields, path):
            return f"killed on {where}; the same command goes on", "killed"
        return f"running on {where}", "running"
    if not total:
        return "not running", "ended"
    if step < total:
        return "ended early: its log says why", "failed"
    # A run saves at its end; what has diverged is not saved.
    if files.files_in(path, r"checkpoint_\d+\.h5"):
        return "finished", "finished"
    return "all steps are done, but not saved: its log says why", "unsaved"


def is_dead(holder, path):
    """Whether who holds the lock is known to be gone: a process of this machine that there is not, or no heartbeat for a
    minute (FORMAT.md, LOCK)."""
    try:
        is_here = holder.get("host") == socket.gethostname()
        boot = text_of("/proc/sys/kernel/random", "boot_id")
        if is_here and holder.get("boot", boot) == boot:
            start = start_of_process(int(holder["pid"]))
            return start is None or start != holder.get("pid_start", start)
        if "beat" in holder:
            return time.time() - os.stat(os.path.join(path, "LOCK")).st_mtime > 60
        return is_here  # a local file system, and this machine has started again since
    except (KeyError, ValueError, OSError):
        return False


def start_of_process(pid):
    """When it started, as LOCK notes it: field 22 of /proc/<pid>/stat. None: it is gone, or has ended and its parent has not yet
    waited for it."""
    # The name, field 2, is in parentheses and may hold spaces and parentheses.
    fields = text_of(f"/proc/{pid}", "stat").rpartition(")")[2].split()
    return None if len(fields) < 20 or fields[0] in "ZX" else fields[19]


def progress_of(path, log=None):
    tables, manifest = files.tables(path), files.manifest(path)
    config = files.settings_of(manifest.get("config_yaml", ""))
    train, total = tables["train"], total_steps(config, manifest)
    step = int(train["step"][-1]) if len(train["step"]) else 0
    if validations.stopped_early(tables, config):
        total = step
    recent = slice(-200, None)
    steps, elapsed = train["step"][recent], train["elapsed_s"][recent]
    left_s = float("nan")
    if len(steps) > 1 and total:
        left_s = (total - step) * (elapsed[-1] - elapsed[0]) / (steps[-1] - steps[0])
    slowest = ""
    compute, summary = (tables.get(name, {}).get("compute_s") for name in ("ranks", "ranks_summary"))
    if compute is not None and len(compute) and compute.shape[1] > 1:
        last = np.nan_to_num(compute[-1])
        slowest = f"rank {last.argmax()} computes {100 * (last.max() / last[last > 0].mean() - 1):.0f} % longer than the mean"
    elif summary is not None and len(summary) and summary[-1][1] > 0:  # of more than 4,096 ranks
        least, mean, most = summary[-1]
        slowest = f"compute: fastest rank {100 * (least / mean - 1):+.0f} %, slowest {100 * (most / mean - 1):+.0f} % of the mean"
    return Progress(path, step, total, *state_of(path, step, total), train["loss"], tables["eval"]["accuracy"],
                    float(np.median(train["samples_per_s"][recent])) if step else 0.0, left_s, slowest,
                    troubles.lines_of(path, train, log or troubles.log_of(path, lock_holder(path).get("slurm_job"))))


def sparkline(values, width, blocks):
    """So many signs for the numbers, each a mean; low to high."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return ""
    means = np.array([part.mean() for part in np.array_split(values, min(width, len(values)))])
    span = means.max() - means.min()
    places = np.full(len(means), 4) if span == 0 else 1 + np.round((means - means.min()) / span * (len(blocks) - 2)).astype(int)
    return "".join(blocks[place] for place in places)


def duration(seconds):
    if not np.isfinite(seconds):
        return "?"
    minutes, rest = divmod(int(round(seconds)), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def bar(share, width):
    return "#" * int(share * width) + "." * (width - int(share * width))


def lines_of(progress, width, blocks):
    """One run, in a few lines."""
    share = min(1.0, progress.step / progress.total) if progress.total else 0.0
    of = f" of {progress.total:,}" if progress.total else ""
    yield progress.path
    yield progress.state[:width]
    yield f"[{bar(share, max(10, width - 46))}] step {progress.step:,}{of}, left {duration(progress.left_s)}"[:width]
    if len(progress.loss):
        logarithms = np.log(np.maximum(progress.loss, 1e-12))
        yield f"loss     {sparkline(logarithms, max(1, width - 30), blocks)} {progress.loss[-50:].mean():.5f}"
    if len(progress.accuracy):
        yield (f"accuracy {sparkline(progress.accuracy, max(1, width - 30), blocks)} {progress.accuracy[-1]:.4f}, "
               f"best {np.nanmax(progress.accuracy):.4f}")
    yield f"{progress.samples_per_s:,.0f} samples/s. {progress.slowest}".rstrip()[:width]
    for line in progress.troubles:
        yield from textwrap.wrap(line, width, subsequent_indent=" " * 4)


FIRST = {"running": 0, "killed": 1, "failed": 1, "unsaved": 1, "damaged": 1}  # what is looked at first; the others are done


def short_duration(seconds):
    """In at most 8 characters."""
    return duration(seconds) if not seconds >= 360_000 else f"{min(seconds / 86400, 999):.0f} days"


def several_lines(progresses, damaged, width, height):
    """A line for each of several runs, those that go on first, then those that went wrong; not more than `height`, None: all."""
    steps = max([len(f"{progress.step:,}") for progress in progresses] + [7])
    rest = 1 + 12 + 1 + steps + 4 * (1 + 8)  # columns beside the name: the last are loss, accuracy, left, state
    names = [*(progress.path for progress in progresses), *damaged]
    name_width = max(8, min(24, width - rest, max(map(len, names), default=0)))

    def line(name, bar_of, step, loss, accuracy, left, state):
        return f"{name[-name_width:]:{name_width}} {bar_of:12} {step:>{steps}} {loss:>8} {accuracy:>8} {left:>8} {state}"[:width]

    def line_of(progress):
        share = min(1.0, progress.step / progress.total) if progress.total else 0.0
        loss = progress.loss[-50:].mean() if len(progress.loss) else None
        return line(progress.path, f"[{bar(share, 10)}]", f"{progress.step:,}",
                    "-" if loss is None else f"{loss:.1e}" if 1000 <= abs(loss) < np.inf else f"{loss:.4f}",
                    f"{progress.accuracy[-1]:.4f}" if len(progress.accuracy) else "-", short_duration(progress.left_s), progress.short)

    rows = [(progress.short, line_of(progress)) for progress in progresses]
    rows += [("damaged", line(path, "", "", "", "", "", "damaged")) for path in damaged]
    rows.sort(key=lambda row: FIRST.get(row[0], 2))
    lines = [line("run", "", "step", "loss", "accuracy", "left", "state"), *(text for _, text in rows)]
    if height is None or len(lines) <= height:
        return lines
    kept = max(1, height - 1)
    hidden = [state for state, _ in rows[kept - 1:]]
    counts = ", ".join(f"{hidden.count(state)} {state}" for state in dict.fromkeys(hidden))
    return [*lines[:kept], f"and {len(hidden)} more: {counts}"[:width]]


def picture(paths, width, blocks, log=None, height=None):
    """What the terminal shows, as lines; not more than `height`. A run that cannot be read is one line too."""
    found, damaged = [], []
    for path in paths:
        try:
            found.append(progress_of(path, log))
        except (files.DamagedFile, OSError, KeyError):
            damaged.append(path)
    if len(paths) > 1:
        return several_lines(found, damaged, width, height)
    lines = [f"{path}: metrics.h5 is damaged or of another kind"[-width:] for path in damaged]
    lines += [line for progress in found for line in lines_of(progress, width, blocks)]
    if height is None:
        return lines
    lines = [line[-width:] for line in lines]  # a long path would take two
    if len(lines) <= height:
        return lines
    kept = max(1, height - 1)
    return [*lines[:kept], f"and {len(lines) - kept} more lines"]


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("--once", action="store_true", help="print it once, and end")
    parser.add_argument("--log", metavar="FILE", help="where the output of the run goes, for its last warnings and errors; not "
                        "needed for jobs of slurm/*.sh")
    parser.add_argument("--every", metavar="SECONDS", type=float, default=2.0, help="how often it looks (default: 2)")


def run(arguments):
    if not 0.1 <= arguments.every <= 86400:
        raise AnalysisError(f"--every {arguments.every}", "a number of seconds from 0.1 on")
    if arguments.log and len(expanded(arguments.runs)) > 1:
        raise AnalysisError("--log: found several runs, expected one", "name one run, or leave --log out")
    blocks = BLOCKS if (sys.stdout.encoding or "").lower().startswith("utf") else ASCII_BLOCKS
    live = sys.stdout.isatty() and not arguments.once
    try:
        while True:
            size = shutil.get_terminal_size((80, 24))
            # One line less than there are: the cursor stands behind the last.
            lines = picture(expanded(arguments.runs), size.columns, blocks, arguments.log, size.lines - 1 if live else None)
            # Home, each line to its end, then the rest of the screen: it does not flicker.
            print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J" if live else "\n".join(lines), flush=True,
                  end="" if live else "\n")
            if not live:
                return 0
            time.sleep(arguments.every)
    except KeyboardInterrupt:
        return 0
