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

from . import files, troubles
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
    samples, epochs = int(manifest.get("training_set_samples", 0)), int(config.get("runconfig.num_epochs") or 0)
    if batch and samples and epochs:
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
    if stopped := text_of(path, "STOPPED"):
        return "stopped: " + stopped.splitlines()[0].split(": ", 1)[-1]
    if fields := lock_holder(path):
        job = f", Slurm job {fields['slurm_job']}" if "slurm_job" in fields else ""
        where = f"{fields.get('host', '?')}{job}"
        return f"killed on {where}; the same command goes on" if is_dead(fields, path) else f"running on {where}"
    if not total:
        return "not running"
    if step < total:
        return "ended early: its log says why"
    # A run saves at its end; what has diverged is not saved.
    return "finished" if files.files_in(path, r"checkpoint_\d+\.h5") else "all steps are done, but not saved: its log says why"


def is_dead(holder, path):
    """Whether who holds the lock is known to be gone: a process of this machine that there is not, or no heartbeat for a
    minute (FORMAT.md, LOCK)."""
    try:
        if holder.get("host") == socket.gethostname():
            return not os.path.exists(f"/proc/{int(holder['pid'])}")
        return "beat" in holder and time.time() - os.stat(os.path.join(path, "LOCK")).st_mtime > 60
    except (KeyError, ValueError, OSError):
        return False


def progress_of(path, log=None):
    tables, manifest = files.tables(path), files.manifest(path)
    config = files.settings_of(manifest.get("config_yaml", ""))
    train, total = tables["train"], total_steps(config, manifest)
    step = int(train["step"][-1]) if len(train["step"]) else 0
    recent = slice(-200, None)
    steps, elapsed = train["step"][recent], train["elapsed_s"][recent]
    left_s = float("nan")
    if len(steps) > 1 and total:
        left_s = (total - step) * (elapsed[-1] - elapsed[0]) / (steps[-1] - steps[0])
    slowest = ""
    compute = tables.get("ranks", {}).get("compute_s")
    if compute is not None and len(compute) and compute.shape[1] > 1:
        last = np.nan_to_num(compute[-1])
        slowest = f"rank {last.argmax()} computes {100 * (last.max() / last[last > 0].mean() - 1):.0f} % longer than the mean"
    return Progress(path, step, total, state_of(path, step, total), train["loss"], tables["eval"]["accuracy"],
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


def line_of(progress, width, name_width):
    """One run of several, in a line."""
    share = min(1.0, progress.step / progress.total) if progress.total else 0.0
    accuracy = f"{progress.accuracy[-1]:.4f}" if len(progress.accuracy) else "-"
    loss = f"{progress.loss[-50:].mean():.4f}" if len(progress.loss) else "-"
    return (f"{progress.path[-name_width:]:{name_width}} [{bar(share, 10)}] {progress.step:>7,} {loss:>8} {accuracy:>7} "
            f"{duration(progress.left_s):>8} {progress.state}")[:width]


def picture(paths, width, blocks, log=None):
    """What the terminal shows, as lines. A run that cannot be read is one line too."""
    found, lines = [], []
    for path in paths:
        try:
            found.append(progress_of(path, log))
        except (files.DamagedFile, OSError, KeyError):
            lines.append(f"{path}: metrics.h5 is damaged or of another kind"[-width:])
    if len(paths) == 1:
        return lines + [line for progress in found for line in lines_of(progress, width, blocks)]
    name_width = min(24, max((len(progress.path) for progress in found), default=0))
    head = f"{'run':{name_width}} {'':12} {'step':>7} {'loss':>8} {'accuracy':>7} {'left':>8} state"
    return [head[:width], *(line_of(progress, width, name_width) for progress in found), *lines]


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
            lines = picture(expanded(arguments.runs), shutil.get_terminal_size((80, 24)).columns, blocks,
                            arguments.log)
            # Home, each line to its end, then the rest of the screen: it does not flicker.
            print("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J" if live else "\n".join(lines), flush=True,
                  end="" if live else "\n")
            if not live:
                return 0
            time.sleep(arguments.every)
    except KeyboardInterrupt:
        return 0
