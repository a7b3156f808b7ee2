"""What went wrong in a run, as far as its files say it: warnings and errors of its log, if that can be found; skipped steps;
files that were set aside; starts of a Slurm job that led nowhere. The program itself writes warnings to its log only."""
import os
import re

import numpy as np

from .errors import AnalysisError

LOG_LINE = re.compile(r"(?:\d{4}-(\d\d-\d\d \d\d:\d\d:\d\d) |fcmnist_mpi: |slurm job \w+: )(warning|error): (.*)")
LOG_NAMES = ("fcmnist_mpi-{}.out", "fcmnist_array-{}.out", "slurm-{}.out")  # of slurm/*.sh, and Slurm's own
LOG_BYTES = 1 << 20  # of its end that are read
MOST = 3  # lines


def slurm_restarts(path):
    """The job that slurm/train.sh has noted, and how many of its starts in a row brought no checkpoint."""
    try:
        with open(os.path.join(path, "slurm_restarts"), encoding="utf-8", errors="replace") as file:
            job, _, wasted = file.read().split()
        return job, int(wasted)
    except (OSError, ValueError):
        return None, 0


def log_of(path, lock_job=None):
    """The output of the newest Slurm job of a run: in the model_dir, in a directory that it is in, or in this one. None if
    there is none; a run that mpirun has started writes where its shell says."""
    jobs = [job for job in (slurm_restarts(path)[0], lock_job) if job]
    place, places = os.path.abspath(path), [os.getcwd()]
    for _ in range(4):
        places.append(place)
        place = os.path.dirname(place)
    found = [file for job in jobs for place in places for name in LOG_NAMES
             if os.path.isfile(file := os.path.join(place, name.format(job)))]
    return max(found, key=os.path.getmtime, default=None)


def log_lines(log):
    """The last warnings and errors of a log: (when, what)."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError as error:
        raise AnalysisError(f"--log {log}: {error.strerror}", "name the file that standard output of the run went to") from error
    matches = [match for match in map(LOG_LINE.match, lines) if match]
    said = [f"{match[1] or ''} {match[2]}: {match[3]}".strip() for match in matches]
    return ["".join(sign if sign.isprintable() else "?" for sign in line) for line in said]  # not to move the cursor


def from_files(path, train):
    """What the files of the run say themselves."""
    skipped = np.flatnonzero(train["skipped"])
    if len(skipped):
        scale = train["loss_scale"][-1]
        now = f"; loss scale now {scale:g}" if scale not in (0, 1) else ""
        yield f"skipped, since not finite: {len(skipped):,} of {len(train['step']):,} steps, the last is {train['step'][skipped[-1]]:,}{now}"
    aside = sorted(name for name in os.listdir(path) if re.search(r"\.damaged-\d+$", name))
    if aside:
        yield f"damaged, and set aside: {', '.join(aside)}"
    job, wasted = slurm_restarts(path)
    if wasted:
        yield f"Slurm job {job}: {wasted} start(s) in a row brought no checkpoint"


def lines_of(path, train, log):
    """All of it, the newest last; `log` is the file, or None."""
    found = list(from_files(path, train))
    if log:
        said = log_lines(log)
        last = f", the last {MOST}" if len(said) > MOST else ""
        found += [f"warnings and errors in {os.path.basename(log)}: {len(said) or 'none'}{last}",
                  *(f"  {line}" for line in said[-MOST:])]
    return found
