"""Disks that fill up, turn read-only or lose the model_dir while a run writes there. Whatever happens:
checkpoints that were good stay good, plain h5py opens the metrics, no temporary file is left, a run that
cannot go on says once why and what to do, and with space given back the same command finishes.

The small disks are tmpfs in a mount namespace of this process, which takes them along when it ends."""
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, settings  # noqa: E402
from fcmnist_analysis import files as run_files  # noqa: E402

STORAGE = 4
LEVELS = 50
WORKERS = 4  # mpirun sleeps for a second when a run ends with an error
TWO_RANKS_EVERY = 8  # so many levels; on one rank without mpirun, which is faster
OLD_STEPS, LAST_STEP = [4, 8], 20
CLASSES, SIDE = 4, 8
TRAIN = runs.patterns(60, SIDE, CLASSES, seed=1)
TEST = runs.patterns(30, SIDE, CLASSES, seed=2)
FULL = "No space left on device"
NOT_SAVED = "warning: no checkpoint of step"


def may_mount():
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.geteuid() == 0 and subprocess.run(probe, capture_output=True).returncode == 0


def enter_mount_namespace():
    """Starts this program again in a mount namespace of its own, if that is allowed."""
    if "FCMNIST_OWN_MOUNTS" not in os.environ and may_mount():
        os.environ["FCMNIST_OWN_MOUNTS"] = "1"
        os.execvp("unshare", ["unshare", "--mount", sys.executable, *sys.argv])


def free_bytes(directory):
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def fill_up(directory, leave_bytes):
    """A file that leaves so much space; returns its path."""
    filler = directory / "filler"
    with open(filler, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free_bytes(directory) - leave_bytes))
    return filler


def direct(*arguments):
    """The program on one rank, without mpirun."""
    return [runs.PROGRAM, *arguments]


def file_problems(model_dir, steps):
    """What is wrong in a model_dir that must hold intact checkpoints of these steps: a list of texts."""
    names = [path.name for path in model_dir.iterdir()]
    wrong = [f"left over: {name}" for name in names if ".tmp." in name or "damaged" in name]
    missing = set(steps) - set(runs.checkpoint_steps(model_dir))
    wrong += [f"checkpoint {step} is gone" for step in sorted(missing)]
    for path in model_dir.glob("*.h5"):
        try:
            run_files.verify(path)
            with h5py.File(path):
                pass
        except (run_files.DamagedFile, OSError) as error:
            wrong.append(f"{path.name}: {error}")
    return wrong


def message_problems(finished, cause):
    """What is wrong with how a run says that it cannot store."""
    counts = {part: finished.errors.count(part) for part in (runs.ERROR_MARK, cause, "HINT")}
    wrong = [f"{count} times in the error: {part}" for part, count in counts.items() if count != 1]
    return wrong if finished.code == STORAGE else [*wrong, f"exit code {finished.code}, expected {STORAGE}"]


class DiskFull(runs.TestCase):
    """self.template: a run with two good checkpoints."""

    def setUp(self):
        super().setUp()
        self.data = runs.write_set(self.directory / "data", TRAIN, TEST, gzipped=False)
        self.arguments = [*runs.data_settings(self.data), *settings(
            model__hidden_sizes="[800]", model__num_classes=CLASSES, train_input__batch_size=20,
            optimizer__learning_rate=0.01, optimizer__momentum=0.9, runconfig__keep_checkpoints=100,
            runconfig__log_steps=1, runconfig__eval_frequency=5)]
        self.template = self.directory / "template"
        self.succeed(direct("-o", self.template, *self.arguments, "runconfig.checkpoint_steps=4",
                            "--max_steps", OLD_STEPS[-1]))

    def succeed(self, command, **options):
        finished = runs.execute(command, **options)
        self.assertEqual((finished.code, finished.errors), (0, ""), str(finished))
        return finished

    @contextlib.contextmanager
    def disk(self, name, options="size=16m"):
        """A small file system with a copy of the template in run/; gone afterwards."""
        if "FCMNIST_OWN_MOUNTS" not in os.environ:
            self.skipTest("mounting a small file system needs root and the right to mount")
        place = self.directory / name
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)
        try:
            shutil.copytree(self.template, place / "run")
            yield place
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    def go_on(self, place, checkpoint_steps=2):
        return ["-o", place / "run", *self.arguments, f"runconfig.checkpoint_steps={checkpoint_steps}",
                "--max_steps", LAST_STEP]

    def leave_too_little(self, place):
        """Leaves enough space to start, and a page too little for a checkpoint; returns the filler."""
        (place / "run/predictions.h5").unlink()  # a run that goes on would, and gain its space
        newest = place / "run" / f"checkpoint_{OLD_STEPS[-1]}.h5"
        return fill_up(place, newest.stat().st_size - os.sysconf("SC_PAGE_SIZE"))

    def assert_good(self, model_dir, steps):
        self.assertEqual(file_problems(model_dir, steps), [])


@dataclasses.dataclass
class Level:
    """What came of a run with so much space."""
    free: int
    finished: runs.Finished
    wrong: list


class Levels(DiskFull):
    def bytes_of_a_whole_run(self):
        """What the run writes, and at the end the temporary file and the journal of the metrics."""
        with self.disk("roomy") as place:
            before = free_bytes(place)
            self.succeed(direct(*self.go_on(place)))
            return before - free_bytes(place) + 2 * (place / "run/metrics.h5").stat().st_size

    def run_level(self, number, free):
        with self.disk(f"level_{number}") as place:
            filler = fill_up(place, free)
            arguments = self.go_on(place)
            command = runs.mpi_command(2, *arguments) if number % TWO_RANKS_EVERY == 0 else direct(*arguments)
            finished = runs.execute(command)
            wrong = [] if finished.code == 0 else message_problems(finished, FULL)
            wrong += file_problems(place / "run", OLD_STEPS if finished.code else [*OLD_STEPS, LAST_STEP])
            filler.unlink()
            again = runs.execute(command)
            if again.code != 0:
                wrong.append(f"the same command with space: {again}")
            wrong += file_problems(place / "run", [*OLD_STEPS, LAST_STEP])
            if runs.metrics(place / "run")["step"].tolist() != list(range(1, LAST_STEP + 1)):
                wrong.append("rows of the metrics are missing or there twice")
            return Level(free, finished, wrong)

    def test_any_amount_of_space(self):
        most = self.bytes_of_a_whole_run()
        amounts = [most * number // (LEVELS - 1) for number in range(LEVELS)]
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            levels = list(pool.map(self.run_level, range(LEVELS), amounts))
        for level in levels:
            with self.subTest(free=level.free):
                self.assertFalse(level.wrong, f"{level.wrong}\n{level.finished}")
        # Both ends are there, so the levels between are those at which something fails.
        self.assertEqual((levels[0].finished.code, levels[-1].finished.code), (STORAGE, 0))

    def test_no_inode_left(self):
        with self.disk("inodes", "size=16m,nr_inodes=40") as place:
            fillers = []
            with self.assertRaises(OSError):
                while True:
                    fillers.append(place / f"filler_{len(fillers)}")
                    fillers[-1].touch()
            finished = runs.execute(direct(*self.go_on(place)))
            self.assertEqual(message_problems(finished, FULL), [], str(finished))
            self.assert_good(place / "run", OLD_STEPS)
            for filler in fillers:
                filler.unlink(missing_ok=True)
            self.succeed(direct(*self.go_on(place)))


class Retries(DiskFull):
    """A periodic checkpoint that fails is tried again at the next one; the third failure in a row ends the
    run."""

    EVERY = 1000  # steps; files are written behind the loop, far faster than that

    def test_the_third_failure_in_a_row_ends_the_run(self):
        with self.disk("full") as place:
            self.leave_too_little(place)
            command = direct(*self.go_on(place, checkpoint_steps=self.EVERY), "--max_steps", 100 * self.EVERY,
                             "runconfig.save_losses=False", "runconfig.eval_frequency=0", "runconfig.log_steps=100")
            finished = runs.execute(command)
            self.assertEqual(message_problems(finished, FULL), [], str(finished))
            tried = [int(re.search(r"of step (\d+): ", line)[1]) for line in finished.lines(NOT_SAVED)]
            self.assertEqual(tried, [self.EVERY, 2 * self.EVERY], str(finished))
            third = 3 * self.EVERY
            self.assertIn(f"checkpoint_{third}.h5: {FULL}", finished.errors)
            last_step = int(re.search(r" Step=(\d+) ", finished.lines("Train Device")[-1])[1])
            self.assertTrue(third <= last_step < third + self.EVERY, str(finished))
            self.assert_good(place / "run", OLD_STEPS)

    def test_the_last_checkpoint_of_a_run_must_succeed(self):
        with self.disk("full") as place:
            self.leave_too_little(place)
            finished = runs.execute(direct(*self.go_on(place, checkpoint_steps=0)))
            self.assertEqual(message_problems(finished, FULL), [], str(finished))
            self.assertEqual(finished.lines(NOT_SAVED), [], str(finished))
            self.assert_good(place / "run", OLD_STEPS)


class WhileItRuns(DiskFull):
    """The disk changes under a run that saves every half second or so."""

    EVERY, LAST = 5000, 30000

    def command(self, place):
        varied = settings(runconfig__log_steps=1000, runconfig__eval_frequency=0,
                          runconfig__save_losses=False)
        names = tuple(setting.split("=")[0] for setting in varied)
        kept = [argument for argument in self.arguments if not argument.startswith(names)]
        return direct("-o", place / "run", *kept, *varied, f"runconfig.checkpoint_steps={self.EVERY}",
                      "--max_steps", self.LAST)

    def run_and_change(self, place, due, change):
        """Runs until `due` of the log is true, changes something, and waits for the end."""
        command = list(map(str, self.command(place)))
        log, errors = self.directory / "log", self.directory / "errors"
        begin_s = time.monotonic()
        with open(log, "wb") as output, open(errors, "wb") as error_output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=error_output)
        self.addCleanup(process.kill)
        while not due(log.read_text()):
            self.assertIsNone(process.poll(), log.read_text() + errors.read_text())
            self.assertLess(time.monotonic() - begin_s, 60, "nothing happened")
            time.sleep(0.01)
        change()
        code = process.wait(timeout=60)
        return runs.Finished(command, code, log.read_text(), errors.read_text(), time.monotonic() - begin_s)

    def saved_once(self, log):
        return f"checkpoint_{self.EVERY}.h5" in log

    def check_ended(self, finished, cause):
        self.assertEqual(message_problems(finished, cause), [], str(finished))
        warnings = finished.lines(NOT_SAVED)
        self.assertEqual((len(warnings), all(cause in line for line in warnings)), (2, True), str(finished))

    def test_space_is_made_in_time(self):
        with self.disk("full") as place:
            filler = self.leave_too_little(place)
            finished = self.run_and_change(place, lambda log: NOT_SAVED in log, filler.unlink)
            self.assertEqual((finished.code, finished.errors), (0, ""), str(finished))
            self.assertIn(len(finished.lines(NOT_SAVED)), (1, 2), str(finished))
            self.assertNotIn(self.EVERY, runs.checkpoint_steps(place / "run"))
            self.assert_good(place / "run", [*OLD_STEPS, self.LAST - self.EVERY, self.LAST])

    def test_the_model_dir_becomes_read_only(self):
        with self.disk("disk") as place:
            run = place / "run"

            def make_read_only():
                # A second mount on top: where a file is open for writing, the first one cannot be changed.
                subprocess.run(["mount", "--bind", run, run], check=True)
                subprocess.run(["mount", "-o", "remount,bind,ro", run], check=True)

            finished = self.run_and_change(place, self.saved_once, make_read_only)
            self.check_ended(finished, "Read-only file system")
            self.assert_good(run, [*OLD_STEPS, self.EVERY])
            subprocess.run(["umount", run], check=True)
            self.succeed(self.command(place))
            self.assert_good(run, [*OLD_STEPS, self.EVERY, self.LAST])

    def test_the_model_dir_vanishes(self):
        with self.disk("disk") as place:
            run, elsewhere = place / "run", place / "elsewhere"
            finished = self.run_and_change(place, self.saved_once, lambda: run.rename(elsewhere))
            self.check_ended(finished, "No such file or directory")
            self.assertFalse(run.exists())
            self.assert_good(elsewhere, [*OLD_STEPS, self.EVERY])
            elsewhere.rename(run)
            self.succeed(self.command(place))
            self.assert_good(run, [*OLD_STEPS, self.EVERY, self.LAST])


class FileSizeLimit(DiskFull):
    """ulimit -f, which needs no special file system."""

    # Open MPI's own files are larger than these limits, if it is not told otherwise.
    SMALL_MPI = {"PMIX_MCA_gds": "hash"}

    def test_files_may_not_grow_so_large(self):
        for limit_bytes in (10_000, 100_000):  # at the start; at the checkpoint
            with self.subTest(limit_bytes=limit_bytes):
                place = self.directory / f"limit_{limit_bytes}"
                shutil.copytree(self.template, place / "run")
                command = direct(*self.go_on(place))
                finished = runs.execute(["prlimit", f"--fsize={limit_bytes}", *command], env=self.SMALL_MPI)
                self.assertEqual(message_problems(finished, "File too large"), [], str(finished))
                self.assertIn("ulimit -f", finished.errors)
                self.assert_good(place / "run", OLD_STEPS)
                self.succeed(command)
                self.assert_good(place / "run", [*OLD_STEPS, LAST_STEP])


if __name__ == "__main__":
    enter_mount_namespace()
    runs.main()
