"""Ranks that stop, at any moment: the others end with an error that names them, nobody waits for ever."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import settings  # noqa: E402

RANKS = 3
TIMEOUT_S = 3
SLACK_S = 15  # on a machine with other work; alone it is a fraction of a second
COMMUNICATION = 5


def children(pid):
    return [int(child) for tasks in pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            for child in tasks.read_text().split()]


def rank_of(pid):
    found = re.search(rb"(?:^|\0)OMPI_COMM_WORLD_RANK=(\d+)\0", pathlib.Path(f"/proc/{pid}/environ").read_bytes())
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
    """A run that may be looked at and sent signals."""

    def __init__(self, test, *arguments):
        self.test = test
        self.directory = pathlib.Path(tempfile.mkdtemp(dir=test.directory))
        temporary = self.directory / "tmp"
        temporary.mkdir()
        command = runs.mpi_command(RANKS, "-o", self.directory / "run", *arguments, *settings(
            train_input__use_fake_data=True, eval_input__use_fake_data=True, runconfig__stall_timeout=TIMEOUT_S))
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
        self.test.assertTrue(eventually(lambda: self.read("output").count(part) >= times), f"no {part}: {self}")
        self.pids = {rank: pid for pid in children(self.mpirun.pid) if (rank := rank_of(pid)) is not None}
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


class Stopped(runs.TestCase):
    def start(self, **values):
        return RunUnderWay(self, *settings(**{"model__hidden_sizes": "[16]", "runconfig__max_steps": 1_000_000,
                                              "runconfig__log_steps": 10, **values}))

    def check_names(self, run, rank):
        errors = run.read("errors")
        self.assertEqual(errors.count(f"warning: waiting for rank {rank} for "), 1, str(run))
        self.assertEqual(errors.count(f"rank {rank} has not arrived for {TIMEOUT_S} s"), 1, str(run))
        self.assertEqual(errors.count(runs.ERROR_MARK), 1, str(run))

    def stop_each_rank(self, line, times=1, **values):
        for rank in range(RANKS):
            with self.subTest(rank=rank):
                run = self.start(**values).wait_for_line(line, times)
                run.send(signal.SIGSTOP, rank)
                self.assertEqual(run.wait(TIMEOUT_S + SLACK_S), COMMUNICATION, str(run))
                self.check_names(run, rank)

    def test_during_start_up(self):
        self.stop_each_rank("info: settings:")

    def test_in_training(self):
        self.stop_each_rank("Step=100 ")

    def test_in_a_pipeline(self):
        self.stop_each_rank("Step=100 ", runconfig__execution="layer_pipelined", model__hidden_sizes="[16,16]")

    def test_in_evaluations(self):
        self.stop_each_rank("| Eval ", times=3, runconfig__eval_frequency=1, train_input__batch_size=3)

    def test_with_gradient_clipping_and_saves(self):
        self.stop_each_rank("saved ", times=2, runconfig__checkpoint_steps=1, optimizer__max_gradient_norm=1.0)

    def test_at_the_end_nobody_waits_for_ever(self):
        for rank in range(RANKS):
            with self.subTest(rank=rank):
                run = self.start(runconfig__max_steps=20).wait_for_line("| Eval ")
                try:
                    run.send(signal.SIGSTOP, rank)
                except (KeyError, ProcessLookupError):
                    self.assertEqual(run.wait(), 0, str(run))  # it was faster
                    continue
                if run.wait(TIMEOUT_S + SLACK_S) != 0:
                    self.assertEqual(run.mpirun.returncode, COMMUNICATION, str(run))
                    self.check_names(run, rank)


class Others(runs.TestCase):
    def start(self, steps):
        return RunUnderWay(self, *settings(model__hidden_sizes="[16]", runconfig__max_steps=steps))

    def test_a_job_that_is_suspended_as_a_whole_goes_on(self):
        run = self.start(3000).wait_for_line("Step=100 ")
        everybody = range(RANKS)
        run.send(signal.SIGSTOP, *everybody)
        time.sleep(1.5 * TIMEOUT_S)
        self.assertTrue(all(map(is_alive, run.pids.values())))
        run.send(signal.SIGCONT, *everybody)
        self.assertEqual(run.wait(), 0, str(run))
        self.assertEqual(run.read("errors"), "")
        self.assertIn("done: 3000 steps", run.read("output"))

    def test_a_rank_that_is_killed_ends_the_job(self):
        run = self.start(1_000_000).wait_for_line("Step=100 ")
        run.send(signal.SIGKILL, 1)
        self.assertEqual(run.wait(TIMEOUT_S + SLACK_S), 128 + signal.SIGKILL, str(run))


if __name__ == "__main__":
    runs.main()
