"""Runs that are stopped by signals or by the clock, and go on: nothing is lost, and the result is the same."""
import fcntl
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402

STOPPED = 75  # exit code
INTERVAL_S = 0.3  # of checkpoints
TIMES = ("samples_per_s", "elapsed_s", "compute_s", "exchange_s", "data_s", "files_s", "bubble_fraction", "stage0_busy_s",
         "stage1_busy_s")  # differ from run to run

# Dropout, clipping, accumulation, evaluation, a short last batch: everything that has a state or a position.
BASE = {"model__hidden_sizes": "[64,32]", "model__dropout": 0.1, "train_input__use_fake_data": True,
        "eval_input__use_fake_data": True, "train_input__batch_size": 100, "optimizer__learning_rate": 0.01,
        "optimizer__momentum": 0.9, "optimizer__max_gradient_norm": 1.0, "optimizer__grad_accum_steps": 2,
        "runconfig__eval_frequency": 217, "runconfig__log_steps": 20, "runconfig__checkpoint_steps": 190,
        "runconfig__max_steps": 1000}


class Running:
    """A run under mpirun that is under way; its lines are read as they come."""

    def __init__(self, ranks, *arguments):
        self.process = subprocess.Popen(list(map(str, runs.mpi_command(ranks, *arguments))), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.output = ""

    def wait_for(self, part, times=1):
        for line in self.process.stdout:
            self.output += line
            times -= part in line
            if times == 0:
                return
        raise AssertionError(f"no line with {part!r}:\n{self}")

    def end(self, timeout_s=60):
        try:
            rest, self.errors = self.process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        self.output += rest
        return self.process.returncode

    def ranks(self):
        """Process ids of the ranks."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        name = os.path.basename(runs.PROGRAM)[:15]
        return [int(pid) for pid in children if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name]

    def __str__(self):
        return self.output + getattr(self, "errors", "")


class StopTestCase(runs.TestCase):
    def arguments(self, name, **values):
        return ["-o", self.directory / name, *settings(**{**BASE, **values})]

    def newest(self, name):
        steps = runs.checkpoint_steps(self.directory / name)
        return steps[-1] if steps else 0

    def check_stopped(self, name, run, code, by):
        """Ended early, said so, and kept everything up to its last step."""
        self.assertEqual(code, STOPPED, str(run))
        step, total = map(int, re.search(r"stopped after step (\d+) of (\d+): " + by, run.output).groups())
        self.assertLess(step, total)
        self.assertEqual(self.newest(name), step)
        self.assertIn(f"after step {step} of {total}", (self.directory / name / "STOPPED").read_text())
        self.assertEqual(list(runs.metrics(self.directory / name)["step"]), list(range(1, step + 1)))
        return step

    def check_same(self, name, reference):
        a, b = self.directory / name, self.directory / reference
        self.assertEqual(self.newest(name), self.newest(reference))
        self.assertTrue(runs.same_arrays(runs.weights(a), runs.weights(b)))
        self.assertTrue(runs.same_arrays(runs.momentum_buffer(a), runs.momentum_buffer(b)))
        for group in ("train", "eval"):
            ours, theirs = ({column: values for column, values in runs.metrics(directory, group).items()
                             if column not in TIMES} for directory in (a, b))
            self.assertTrue(runs.same_arrays(ours, theirs), group)
        self.assertFalse((a / "STOPPED").exists())


class Signals(StopTestCase):
    """USR1 and USR2 reach the ranks through mpirun; the others are sent to a rank, as srun would do."""

    def stop_and_finish(self, ranks, send, by, **values):
        self.run_to_end(*self.arguments("reference", **values), ranks=ranks)
        most_stops = 6  # of a slow machine, whose runs do a few steps each
        stops, generator = 0, random.Random(ranks)
        for _ in range(20):
            run = Running(ranks, *self.arguments("stopped", **values))
            run.wait_for("training on")
            if stops < most_stops:
                time.sleep(generator.uniform(0.0, 0.25))
                send(run)
            code = run.end()
            if code != 0:
                self.check_stopped("stopped", run, code, by)
                stops += 1
            elif stops > 0:
                break
            else:
                shutil.rmtree(self.directory / "stopped")  # it was faster than this process
        self.assertEqual(code, 0, str(run))
        self.assertGreater(stops, 0)
        self.check_same("stopped", "reference")

    def test_usr1_again_and_again(self):
        self.stop_and_finish(2, lambda run: run.process.send_signal(signal.SIGUSR1), "SIGUSR1 arrived")

    def stop_four_ranks_and_finish(self, **values):
        self.run_to_end(*self.arguments("reference", **values), ranks=4)
        run = Running(4, *self.arguments("stopped", **values))
        run.wait_for("Step=100 ")
        run.process.send_signal(signal.SIGUSR2)
        self.assertEqual(run.end(), STOPPED, str(run))
        self.run_to_end(*self.arguments("stopped", **values), ranks=4)
        self.check_same("stopped", "reference")

    def test_usr2_on_four_ranks_in_the_middle_of_a_metrics_row(self):
        """With a row for each log line, the row is a mean over steps of two processes."""
        self.stop_four_ranks_and_finish(runconfig__save_losses=False, runconfig__log_steps=50)

    def test_usr2_on_stages(self):
        self.stop_four_ranks_and_finish(runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2)

    def test_term_to_any_rank(self):
        for rank in range(3):
            with self.subTest(rank=rank):
                name = f"term_{rank}"
                run = Running(3, *self.arguments(name, runconfig__max_steps=100000))
                run.wait_for("Step=20 ")
                os.kill(run.ranks()[rank], signal.SIGTERM)
                self.check_stopped(name, run, run.end(), "(?:SIGTERM arrived|another rank received a signal)")

    def test_int_to_all_ranks_and_repeats(self):
        run = Running(2, *self.arguments("int", runconfig__max_steps=100000))
        run.wait_for("Step=20 ")
        for _ in range(3):
            for pid in run.ranks():
                os.kill(pid, signal.SIGINT)
        self.check_stopped("int", run, run.end(), "SIGINT arrived")

    def test_term_and_int_to_mpirun(self):
        """mpirun gives the ranks a second, and has an exit code of its own: STOPPED says that all is well."""
        for name in ("SIGTERM", "SIGINT"):
            with self.subTest(signal=name):
                run = Running(2, *self.arguments(name, runconfig__max_steps=1000000))
                run.wait_for("Step=100 ")
                run.process.send_signal(signal.Signals[name])
                self.assertNotEqual(run.end(), 0)
                stopped = (self.directory / name / "STOPPED").read_text()
                self.assertIn(f"after step {self.newest(name)} of", stopped)

    def test_a_single_process_without_mpirun(self):
        run = Running.__new__(Running)
        run.output = ""
        run.process = subprocess.Popen(
            [runs.PROGRAM, *map(str, self.arguments("alone", runconfig__max_steps=1000000))], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        run.wait_for("Step=20 ")
        run.process.send_signal(signal.SIGINT)
        self.check_stopped("alone", run, run.end(), "SIGINT arrived")

    def test_before_the_first_step_there_is_nothing_to_save(self):
        """Waiting for another process that fetches data, TERM ends the program at once; USR1 does not."""
        data = self.directory / "data"
        data.mkdir()
        with open(data / ".fcmnist_fetch.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            process = subprocess.Popen(
                [runs.PROGRAM, "-o", self.directory / "run", *settings(train_input__data_dir=data)], text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for line in process.stdout:
                if "waiting for another process" in line:
                    break
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
            self.assertIsNone(process.poll())
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10), -signal.SIGTERM)
            process.stdout.close()

    def test_evaluation_has_nothing_to_save(self):
        self.run_to_end(*self.arguments("short", runconfig__max_steps=4))
        for mode in ("eval", "prepare_data"):
            process = subprocess.Popen(
                [runs.PROGRAM, *map(str, self.arguments("short", runconfig__mode=mode, eval_input__use_fake_data=True))],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            process.send_signal(signal.SIGTERM)
            self.assertIn(process.wait(30), (-signal.SIGTERM, 0), mode)


class TwoAtOnce(StopTestCase):
    def test_the_second_run_in_a_model_dir_is_refused_and_harms_nothing(self):
        run = Running(2, *self.arguments("run", runconfig__max_steps=1000000))
        run.wait_for("Step=20 ")
        for ranks in (1, 3):
            second = runs.run(*self.arguments("run", runconfig__max_steps=1000000), ranks=ranks)
            self.assertEqual(second.code, 7, str(second))
            self.assertEqual(second.errors.count(runs.ERROR_MARK), 1, second.errors)
            self.assertRegex(second.errors, "is in use by process [0-9]+ on host .*, since")
            self.assertIn("HINT", second.errors)
        run.process.send_signal(signal.SIGUSR1)
        self.check_stopped("run", run, run.end(), "SIGUSR1 arrived")

    def test_the_lock_of_a_killed_run_is_free(self):
        run = Running(2, *self.arguments("run", runconfig__max_steps=1000000))
        run.wait_for("Step=20 ")
        for pid in run.ranks():
            os.kill(pid, signal.SIGKILL)
        self.assertNotEqual(run.end(), 0)
        self.run_to_end(*self.arguments("run", runconfig__max_steps=100), ranks=2)


class Clock(StopTestCase):
    def test_max_time(self):
        self.run_to_end(*self.arguments("reference"), ranks=2)
        finished = runs.run(*self.arguments("run", runconfig__max_steps=1000000, runconfig__max_time="00:00:04"), ranks=2)
        step = self.check_stopped("run", finished, finished.code, "runconfig.max_time is over")
        self.assertGreater(step, 20)
        self.assertLess(runs.metrics(self.directory / "run")["elapsed_s"][-1], 4)

    def test_auto_outside_of_slurm_is_no_limit(self):
        finished = self.run_to_end(*self.arguments("run", runconfig__max_steps=10, runconfig__max_time="auto"))
        self.assertEqual(len(finished.lines("not in a Slurm job, so there is no limit")), 1, str(finished))

    def test_checkpoint_interval(self):
        run = Running(2, *self.arguments("run", runconfig__max_steps=100000000, runconfig__checkpoint_steps=0,
                                         runconfig__checkpoint_interval_s=INTERVAL_S))
        run.wait_for("saved ", times=4)
        run.process.send_signal(signal.SIGUSR1)
        self.check_stopped("run", run, run.end(), "SIGUSR1 arrived")
        *steps, _ = map(int, re.findall(r"saved .*_(\d+)\.h5", run.output))  # the last one is of the stop
        elapsed_s = runs.metrics(self.directory / "run")["elapsed_s"][np.subtract(steps, 1)]
        self.assertGreaterEqual(len(steps), 4)
        self.assertGreater(np.diff(elapsed_s).min(), 0.9 * INTERVAL_S)


class BadSteps(StopTestCase):
    """Non-finite losses, from a learning rate that makes the weights explode within a few steps."""
    EXPLODING = {"optimizer__learning_rate": 1e30, "optimizer__max_gradient_norm": 0, "optimizer__momentum": 0,
                 "runconfig__eval_frequency": 0, "runconfig__log_steps": 1}

    def test_weights_that_give_no_finite_loss_are_not_saved(self):
        """Saving after every step, the newest checkpoint is one from which training can go on."""
        for ranks in (1, 3):
            name = f"run_{ranks}"
            values = {**self.EXPLODING, "runconfig__checkpoint_steps": 1, "runconfig__save_initial_checkpoint": True}
            finished = runs.run(*self.arguments(name, **values), ranks=ranks)
            self.assertEqual(finished.code, 6, str(finished))
            self.assertEqual(finished.errors.count(runs.ERROR_MARK), 1, finished.errors)
            self.assertIn("HINT: lower optimizer.learning_rate", finished.errors)
            failed = int(re.search(r"step (\d+): the (?:loss|gradient norm) is", finished.errors).group(1))
            self.assertLess(self.newest(name), failed - 1)
            self.assertEqual(len(runs.metrics(self.directory / name)["step"]), failed - 1)

    def test_bad_weights_are_not_saved_at_the_end_of_a_run_that_skips(self):
        values = {**self.EXPLODING, "runconfig__nan_policy": "skip", "runconfig__max_steps": 30,
                  "runconfig__checkpoint_steps": 1, "runconfig__save_initial_checkpoint": True}
        finished = runs.run(*self.arguments("run", **values), "-m", "train", ranks=2)
        self.assertEqual(finished.code, 6, str(finished))
        self.assertIn("the last one: the loss is", finished.errors)
        skipped = runs.metrics(self.directory / "run")["skipped"]
        self.assertEqual(len(skipped), 30)
        self.assertLess(self.newest("run"), list(skipped).index(1))

    def test_skipped_steps_are_counted(self):
        finished = runs.run(*self.arguments("run", **self.EXPLODING, runconfig__nan_policy="skip"), ranks=2)
        self.assertEqual(finished.code, 6, str(finished))  # after a hundred in a row
        self.assertIn("which were skipped", finished.errors)
        rows = runs.metrics(self.directory / "run")
        self.assertEqual(rows["skipped"].sum(), 99)
        self.assertEqual(list(rows["skipped"][-99:]), [1] * 99)
        self.assertEqual(list(rows["step"]), list(range(1, len(rows["step"]) + 1)))


if __name__ == "__main__":
    runs.main()
