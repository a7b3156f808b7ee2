"""A run that may be looked at, disturbed and sent signals while it goes on."""
import contextlib
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

from support.runs import settings


def children(pid):
    found = []
    for tasks in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it has ended
            found += map(int, tasks.read_text().split())
    return found


def descendants(pid):
    """Those that are there now, the process itself included."""
    found = [pid]
    for each in found:
        found += children(each)
    return found


def rank_of(pid):
    """Of a rank of Open MPI, else None."""
    try:
        text = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None  # it has ended
    found = re.search(rb"(?:^|\0)OMPI_COMM_WORLD_RANK=(\d+)\0", text)
    return int(found[1]) if found else None


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition, timeout_s=60):
    """Whether it becomes true."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end_s:
            return False
        time.sleep(0.002)
    return True


class RunUnderWay:
    """fcmnist_mpi on made-up data, as `command` starts it; it ends with the test. Its model_dir is
    self.directory / "run"."""

    def __init__(self, test, command, *arguments):
        self.test = test
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=test.directory))
        temporary = self.directory / "tmp"
        temporary.mkdir()
        command = [*command, "-o", self.directory / "run", *arguments,
                   *settings(train_input__use_fake_data=True, eval_input__use_fake_data=True)]
        with open(self.directory / "output", "w") as output, open(self.directory / "errors", "w") as errors:
            self.mpirun = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output,
                                           stderr=errors, env={**os.environ, "TMPDIR": str(temporary)})
        self.pids = {}
        test.addCleanup(self.kill)

    def read(self, name):
        return (self.directory / name).read_text(errors="replace")

    def __str__(self):
        return f"exit code {self.mpirun.returncode}\n{self.read('output')}{self.read('errors')}"

    def wait_for_line(self, part, times=1):
        there = eventually(lambda: self.read("output").count(part) >= times or self.mpirun.poll() is not None)
        self.test.assertTrue(there and self.read("output").count(part) >= times, f"no {part}: {self}")
        self.pids = {rank: pid for pid in descendants(self.mpirun.pid) if (rank := rank_of(pid)) is not None}
        return self

    def send(self, number, *ranks):
        for rank in ranks:
            os.kill(self.pids[rank], number)

    def wait(self, timeout_s=60):
        """The exit code; no process is left."""
        try:
            self.mpirun.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.test.fail(f"still there after {timeout_s} s: {self}")
        self.test.assertTrue(eventually(lambda: not any(map(is_alive, self.pids.values())), 10), "a rank is left")
        return self.mpirun.returncode

    def kill(self):
        for pid in [*self.pids.values(), self.mpirun.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.mpirun.wait()
