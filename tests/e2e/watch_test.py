"""fcmnist watch, on a job that is running, through a terminal; and on jobs that were stopped, killed, or are done."""
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.run_under_way import RunUnderWay, descendants, eventually  # noqa: E402
from support.runs import h5py, np, settings  # noqa: E402
from fcmnist_analysis import watch  # noqa: E402

WATCH = [sys.executable, runs.SOURCE / "scripts/fcmnist", "watch"]
LONG = settings(model__hidden_sizes="[20]", train_input__batch_size=64, runconfig__max_steps=10_000_000,
                runconfig__log_steps=100, runconfig__checkpoint_interval_s=1,
                runconfig__eval_frequency=0)  # or else a line about accuracy joins the others in the middle


class Watch(runs.TestCase):
    def once(self, *paths):
        done = runs.execute([*WATCH, "--once", *paths])
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        return done.output

    def in_terminal(self, path, height, is_enough):
        """What a terminal of 80 columns gets until that is enough, and the watch is ended from the keyboard."""
        controller, terminal = pty.openpty()
        watching = subprocess.Popen(list(map(str, [*WATCH, path, "--every", "0.2"])), stdin=terminal, stdout=terminal,
                                    stderr=terminal, env={**os.environ, "COLUMNS": "80", "LINES": str(height)})
        os.close(terminal)
        shown = bytearray()

        def enough_is_shown():
            shown.extend(os.read(controller, 65536))
            return is_enough(shown)

        self.assertTrue(eventually(enough_is_shown), shown.decode(errors="replace"))
        watching.send_signal(signal.SIGINT)
        self.assertEqual(watching.wait(timeout=30), 0)
        return shown.decode(errors="replace")

    def test_a_running_job_in_a_terminal(self):
        run = RunUnderWay(self, runs.mpi_command(2)[:-1] + [runs.PROGRAM], *LONG)
        run.wait_for_line("Train Device", times=2)
        before = runs.snapshot(run.directory / "run").keys()
        text = self.in_terminal(run.directory / "run", 24,
                                lambda shown: len(set(re.findall(rb"step ([\d,]+) of 10,000,000", shown))) >= 3)
        for part in ("running on ", "left ", "loss ", "samples/s", "rank "):
            self.assertIn(part, text)
        screens = text.replace("\x1b[K", "").replace("\x1b[J", "").split("\x1b[H")[1:-1]
        self.assertEqual(len({len(screen.splitlines()) for screen in screens[-2:]}), 1, screens)
        self.assertTrue(all(len(line) <= 80 or str(run.directory) in line for line in screens[-1].splitlines()), screens[-1])
        # It leaves nothing behind; checkpoints are the run's own.
        after = {name for name in runs.snapshot(run.directory / "run") if not name.startswith(("checkpoint_", ".", "metrics"))}
        self.assertLessEqual(after, set(before))

    def test_a_killed_job_and_one_that_was_stopped(self):
        killed = RunUnderWay(self, runs.mpi_command(1)[:-1] + [runs.PROGRAM], *LONG)
        killed.wait_for_line("saved ")
        for pid in descendants(killed.mpirun.pid)[::-1]:
            os.kill(pid, signal.SIGKILL)
        killed.mpirun.wait()
        self.assertTrue(eventually(lambda: "killed on " in self.once(killed.directory / "run")))
        self.assertIn("the same command goes on", self.once(killed.directory / "run"))
        # Its number is given to another process, which is not the run.
        lock = killed.directory / "run/LOCK"
        lock.write_text(re.sub(r"(?m)^pid \d+$", f"pid {os.getpid()}", lock.read_text()))
        self.assertIn("killed on ", self.once(killed.directory / "run"))

        stopped = RunUnderWay(self, [runs.PROGRAM], *LONG)
        stopped.wait_for_line("Train Device")
        stopped.mpirun.send_signal(signal.SIGTERM)
        stopped.mpirun.wait()
        self.assertIn("stopped: ", self.once(stopped.directory / "run"))

    def test_it_knows_how_long_training_is(self):
        """Made-up data: 12,000 samples."""
        for more in (["train_input.batch_size=6000"], ["train_input.batch_size=7000", "train_input.drop_last_batch=True"],
                     ["train_input.batch_size_per_replica=3000"], ["train_input.batch_size=3000", "optimizer.grad_accum_steps=3"],
                     ["train_input.batch_size=6000", "runconfig.steps_per_epoch=4"],
                     ["train_input.batch_size=6000", "train_input.validation_size=5000"],
                     ["train_input.batch_size=600", "train_input.validation_size=3000", "runconfig.early_stopping=1",
                      "runconfig.eval_frequency=3", "optimizer.learning_rate=0"],
                     ["train_input.batch_size=6000", "runconfig.steps_per_epoch=4000", "--max_steps", "15"]):
            with self.subTest(more):
                model_dir = self.directory / "_".join(more).replace(".", "_")
                self.run_to_end("-o", model_dir, *more, *settings(
                    train_input__use_fake_data=True, runconfig__mode="train", model__hidden_sizes="[4]",
                    runconfig__num_epochs=2), ranks=2)
                steps = runs.checkpoint_steps(model_dir)[-1]
                self.assertIn(f"step {steps} of {steps}, left 0:00:00", self.once(model_dir))
                self.assertIn("\nfinished\n", self.once(model_dir))

    def test_warnings_and_errors_of_the_log_of_a_slurm_job(self):
        """slurm/train.sh notes its job in the model_dir, and its output goes to where sbatch was called."""
        run, log = self.directory / "runs/a", self.directory / "fcmnist_mpi-77.out"
        done = runs.run("-o", run, *settings(train_input__use_fake_data=True, model__hidden_sizes="[4]", runconfig__max_steps=20,
                                             optimizer__learning_rate=1e30))
        self.assertEqual(done.code, 6, str(done))
        self.assertIn("\nended early: its log says why\n", self.once(run))
        log.write_text("2026-01-31 12:00:00 warning: the first\n" + "2026-01-31 12:00:01 warning: a node\n" * 2 + done.output
                       + done.errors + "slurm job 77: exit code 6: not queued again\n")
        (run / "checkpoint_5.h5.damaged-1").write_text("")
        (run / "slurm_restarts").write_text("77 none 1\n")
        shown = self.once(run)
        found = "nan" if "the loss is nan" in done.errors else "inf"
        self.assertEqual(shown.split("samples/s.\n")[1].splitlines(), [
            "damaged, and set aside: checkpoint_5.h5.damaged-1", "Slurm job 77: 1 start(s) in a row brought no checkpoint",
            "warnings and errors in fcmnist_mpi-77.out: 4, the last 3", "  01-31 12:00:01 warning: a node",
            "  01-31 12:00:01 warning: a node", f"  error: step 2: the loss is {found}: training has diverged, nothing of this step is",
            "    saved"])
        (run / "slurm_restarts").unlink()
        self.assertNotIn("warnings", self.once(run))
        self.assertIn("warnings and errors in fcmnist_mpi-77.out: 4", self.once(run, "--log", log))
        other = shutil.copytree(run, run.parent / "b")
        for arguments, part in (([run, "--log", run / "absent"], "absent: No such file"), ([run, other, "--log", log], "several runs")):
            refused = runs.execute([*WATCH, "--once", *arguments])
            self.assertEqual(refused.code, 2, str(refused))
            self.assertIn(part, refused.errors)

    def test_skipped_steps(self):
        run = self.directory / "run"
        self.run_to_end("-o", run, *settings(
            train_input__use_fake_data=True, model__hidden_sizes="[4]", runconfig__mode="train", runconfig__max_steps=40,
            model__mixed_precision=True, model__half_type="float16", optimizer__loss_scaling_factor="dynamic",
            optimizer__initial_loss_scale=2.0**40, optimizer__max_loss_scale=2.0**40))
        scales, skipped = (runs.metrics(run)[name] for name in ("loss_scale", "skipped"))
        self.assertGreater(skipped.sum(), 0)
        self.assertIn(f"skipped, since not finite: {skipped.sum()} of 40 steps, the last is {np.flatnonzero(skipped)[-1] + 1}; "
                      f"loss scale now {scales[-1]:g}", " ".join(self.once(run).split()))

    def test_all_steps_are_done_but_nothing_is_saved(self):
        run = self.directory / "run"
        done = runs.run("-o", run, *settings(train_input__use_fake_data=True, model__hidden_sizes="[4]", runconfig__max_steps=9,
                                             runconfig__mode="train", runconfig__nan_policy="skip", optimizer__learning_rate=1e30))
        self.assertEqual(done.code, 6, str(done))
        shown = self.once(run)
        self.assertIn("all steps are done, but not saved: its log says why", shown)
        self.assertIn("skipped, since not finite: ", shown)

    def test_several_runs_in_a_table(self):
        for name in ("a", "b"):
            self.run_to_end("-o", self.directory / "all" / name, *settings(
                train_input__use_fake_data=True, eval_input__use_fake_data=True, model__hidden_sizes="[10]",
                runconfig__max_steps=20, runconfig__log_steps=10))
        (self.directory / "all/b/metrics.h5").write_bytes(b"damaged")
        lines = self.once(self.directory / "all").splitlines()
        self.assertEqual(len(lines), 3)
        self.assertRegex(lines[1], "all/b .* damaged$")
        self.assertRegex(lines[2], "all/a .* finished$")
        self.assertTrue(all(len(line) <= 80 for line in lines))

    def test_more_runs_than_lines_in_a_terminal(self):
        run = self.directory / "all/run_000"
        self.run_to_end("-o", run, *settings(train_input__use_fake_data=True, model__hidden_sizes="[4]", runconfig__mode="train",
                                             runconfig__max_steps=20))
        for k in range(1, 30):
            shutil.copytree(run, self.directory / f"all/run_{k:03}")
        start = watch.start_of_process(os.getpid())
        (self.directory / "all/run_029/LOCK").write_text(
            f"fcmnist_mpi lock\nhost {socket.gethostname()}\npid {os.getpid()}\npid_start {start}\n")
        text = self.in_terminal(self.directory / "all", 12, lambda shown: shown.count(b"\x1b[J") >= 2)
        screen = text.replace("\x1b[K", "").split("\x1b[J")[0].split("\x1b[H")[1].splitlines()
        self.assertEqual(len(screen), 11)
        self.assertRegex(screen[1], "run_029 .* running$")
        self.assertRegex(screen[2], "run_000 .* finished$")
        self.assertEqual(screen[-1], "and 21 more: 21 finished")
        self.assertEqual(len(self.once(self.directory / "all").splitlines()), 31)


class Formats(unittest.TestCase):
    """Of what is shown."""

    def progress(self, name="runs/a", short="running", step=10, loss=0.5, left_s=1.0):
        return watch.Progress(name, step, 20_000_000, "", short, np.array([loss]), np.array([0.9]), 1e3, left_s, "", [])

    def test_lines_fit_with_whole_words(self):
        words = ("finished", "stopped", "ended", "unsaved", "failed", "killed", "running")
        for step, loss, left_s in ((10, 0.5, 1.0), (19_999_999, 1e30, 1e9), (999, float("inf"), float("nan")), (5, 123456.0, 400_000)):
            for name in ("a", "runs/" + "long" * 10):
                progresses = [self.progress(f"{name}{word}", word, step, loss, left_s) for word in words]
                for width in (80, 132):
                    lines = watch.several_lines(progresses, ["of_others"], width, None)
                    self.assertTrue(all(len(line) <= width for line in lines), lines)
                    self.assertTrue(lines[1].endswith(" running"), lines)
                    self.assertEqual(sorted(line.split()[-1] for line in lines), sorted((*words, "state", "damaged")))
                    self.assertEqual({line.rindex(" ") for line in lines}, {lines[0].rindex(" ")})
                    self.assertEqual([line.split()[-1] for line in lines[-3:]], ["finished", "stopped", "ended"])

    def test_it_is_cut_to_the_height(self):
        progresses = [self.progress(f"run_{k}", "finished" if k < 200 else "running") for k in range(203)]
        for height in (2, 5, 23, 203):
            lines = watch.several_lines(progresses, [], 80, height)
            self.assertEqual(len(lines), height)
            self.assertTrue(lines[-1].startswith(f"and {205 - height} more: "), lines[-1])
            self.assertTrue(all(line.endswith("running") for line in lines[1:-1][:3]))
        self.assertEqual(watch.several_lines(progresses, [], 80, 2)[-1], "and 203 more: 3 running, 200 finished")
        self.assertEqual(len(watch.several_lines(progresses, [], 80, 204)), 204)


class Locks(runs.TestCase):
    """Whether who wrote LOCK lives."""

    def is_dead(self, beat_age_s=None, **fields):
        holder = {"host": socket.gethostname(), "boot": pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
                  "pid": str(os.getpid()), "pid_start": watch.start_of_process(os.getpid())} | fields
        lock = self.directory / "LOCK"
        if beat_age_s is not None:
            holder["beat"] = "0000000042"
        lock.write_text("fcmnist_mpi lock\n" + "".join(f"{key} {value}\n" for key, value in holder.items()))
        os.utime(lock, (time.time() - (beat_age_s or 0),) * 2)
        return watch.is_dead(watch.lock_holder(self.directory), self.directory)

    def test_a_process_of_this_machine(self):
        self.assertFalse(self.is_dead())
        self.assertFalse(self.is_dead(beat_age_s=1000))  # it may be slow
        self.assertTrue(self.is_dead(pid_start="1"))  # another process has its number now
        self.assertTrue(self.is_dead(pid="4194305"))  # more than Linux gives
        ended = subprocess.Popen(["true"])
        self.assertTrue(eventually(lambda: watch.start_of_process(ended.pid) is None))  # though nobody has waited for it
        ended.wait()

    def test_this_machine_has_started_again(self):
        self.assertTrue(self.is_dead(boot="0d8a4a5e-6c5b-4e0e-9a39-6b8d4d4c2f10"))
        # Or another machine has the same name, and it shares its file system.
        self.assertFalse(self.is_dead(boot="0d8a4a5e-6c5b-4e0e-9a39-6b8d4d4c2f10", beat_age_s=5))
        self.assertTrue(self.is_dead(boot="0d8a4a5e-6c5b-4e0e-9a39-6b8d4d4c2f10", beat_age_s=90))

    def test_another_machine(self):
        self.assertFalse(self.is_dead(host="node01"))  # not known
        self.assertFalse(self.is_dead(host="node01", beat_age_s=5))
        self.assertTrue(self.is_dead(host="node01", beat_age_s=90))


class ManyRanks(runs.TestCase):
    def test_balance_of_more_than_4096_ranks(self):
        run = self.directory / "run"
        self.run_to_end("-o", run, *settings(train_input__use_fake_data=True, model__hidden_sizes="[4]", runconfig__mode="train",
                                             runconfig__max_steps=20, runconfig__log_steps=10))
        with h5py.File(run / "metrics.h5", "r+") as file:  # as if they had been so many
            del file["ranks"]
            summary = file.create_group("ranks_summary")
            summary["step"] = np.array([10, 20])
            for name in watch.files.RANK_COLUMNS:
                summary[name] = np.array([[1, 1, 1], [0.8, 1, 1.25]], np.float32)
        done = runs.execute([*WATCH, "--once", run])
        self.assertIn("compute: fastest rank -20 %, slowest +25 % of the mean\n", done.output, str(done))


if __name__ == "__main__":
    runs.main()
