"""Ranks that stop, at any moment: the others end with an error that names them, nobody waits for ever."""
import concurrent.futures
import contextlib
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.run_under_way import RunUnderWay, is_alive  # noqa: E402
from support.runs import settings  # noqa: E402

RANKS = 3
TIMEOUT_S = 4
SLACK_S = 15  # on a machine with other work; alone it is a fraction of a second
COMMUNICATION = 5


def start(test, **values):
    return RunUnderWay(test, runs.mpi_command(RANKS), *settings(**{
        "model__hidden_sizes": "[16]", "runconfig__stall_timeout": TIMEOUT_S, **values}))


class Stopped(runs.TestCase):
    def start(self, **values):
        return start(self, **{"runconfig__max_steps": 1_000_000, "runconfig__log_steps": 10, **values})

    def check_names(self, run, rank):
        errors = run.read("errors")
        # Where others wait for a core as long as that, the warning names them too.
        self.assertRegex(errors, rf"warning: waiting for ranks? (\d+, )*{rank}(, \d+)* for ", str(run))
        self.assertEqual(errors.count(f"rank {rank} has not arrived for {TIMEOUT_S} s"), 1, str(run))
        self.assertEqual(errors.count(runs.ERROR_MARK), 1, str(run))

    def runs_with_a_stopped_rank(self, line, times=1, **values):
        """Each rank in a run of its own, side by side, since most of it is waiting. They have ended."""
        def stopped(rank):
            run = self.start(**values).wait_for_line(line, times)
            with contextlib.suppress(KeyError, ProcessLookupError):  # it has ended before
                run.send(signal.SIGSTOP, rank)
            run.wait(TIMEOUT_S + SLACK_S)
            return run

        with concurrent.futures.ThreadPoolExecutor(RANKS) as pool:
            ended = [pool.submit(stopped, rank) for rank in range(RANKS)]
        return enumerate(run.result() for run in ended)

    def stop_each_rank(self, *moment, **values):
        for rank, run in self.runs_with_a_stopped_rank(*moment, **values):
            with self.subTest(rank=rank):
                self.assertEqual(run.mpirun.returncode, COMMUNICATION, str(run))
                self.check_names(run, rank)

    def test_during_start_up(self):
        self.stop_each_rank("info: settings:")

    def test_in_training(self):
        self.stop_each_rank("Step=100 ")

    def test_in_a_pipeline(self):
        self.stop_each_rank("Step=100 ", runconfig__execution="layer_pipelined", model__hidden_sizes="[16,16]")

    def test_in_evaluations(self):
        self.stop_each_rank("| Eval ", 3, runconfig__eval_frequency=1, train_input__batch_size=3)

    def test_with_gradient_clipping_and_saves(self):
        self.stop_each_rank("saved ", 2, runconfig__checkpoint_steps=1, optimizer__max_gradient_norm=1.0)

    def test_at_the_end_nobody_waits_for_ever(self):
        for rank, run in self.runs_with_a_stopped_rank("| Eval ", runconfig__max_steps=20):
            with self.subTest(rank=rank):
                if run.mpirun.returncode != 0:  # else it was faster
                    self.assertEqual(run.mpirun.returncode, COMMUNICATION, str(run))
                    self.check_names(run, rank)


class Others(runs.TestCase):
    def start(self, steps):
        return start(self, runconfig__max_steps=steps)

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

    def test_metrics_name_the_rank_that_is_slow(self):
        """It is stopped for a moment between any two log lines: it seems to compute, and the other waits for it."""
        run = RunUnderWay(self, runs.mpi_command(2), *settings(
            model__hidden_sizes="[300,300]", train_input__batch_size=512, runconfig__max_steps=1_000_000,
            runconfig__log_steps=5)).wait_for_line("Step=5 ")
        for _ in range(12):
            run.send(signal.SIGSTOP, 1)
            time.sleep(0.25)
            run.send(signal.SIGCONT, 1)
            lines = run.read("output").count("| Train")  # the log may be ahead
            run.wait_for_line("| Train", lines + 1)
        run.mpirun.send_signal(signal.SIGTERM)
        run.wait()
        self.assertIn("stopped after", run.read("output"))
        ranks = runs.metrics(run.directory / "run", "ranks")
        self.assertGreaterEqual(len(ranks["step"]), 12)
        computed, waited = ranks["compute_s"].mean(0), ranks["wait_s"].mean(0)
        self.assertGreater(computed[1], computed[0], str(ranks))
        self.assertGreater(waited[0], waited[1], str(ranks))

    def test_a_rank_that_is_killed_ends_the_job(self):
        run = self.start(1_000_000).wait_for_line("Step=100 ")
        run.send(signal.SIGKILL, 1)
        self.assertEqual(run.wait(TIMEOUT_S + SLACK_S), 128 + signal.SIGKILL, str(run))


if __name__ == "__main__":
    runs.main()
