"""Every command of fcmnist on a run of each kind: it says what there is, or what is missing and what to do; never a traceback,
never a warning of a library."""
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing, as the next one does)
from support.analysis import fcmnist  # noqa: E402
from support.run_under_way import eventually  # noqa: E402
from support.runs import h5py, settings  # noqa: E402
from support.version_1 import SEAL_BYTES, as_version_1  # noqa: E402

from fcmnist_analysis import plot, report  # noqa: F401,E402 (loaded before the output is caught)
from PIL import Image, ImageDraw  # noqa: E402

SMALL = settings(model__hidden_sizes="[8,6]", runconfig__log_steps=4, train_input__batch_size=40)
TRACED = settings(runconfig__trace_steps=3, runconfig__trace_first_step=4)
# What a file of the first release lacks.
LATER = {"groups": ("ranks", "arrays", "train/grad_norm_by_array", "train/array", "train/skipped", "train/bubble_fraction",
                    "train/loss_scale", "eval/predicted", "eval/sample"),
         "attributes": ("pixel_scale", "pixel_mean", "pixel_deviation", "activation", "dropout_placement", "image_height",
                        "image_width", "precision", "gemm", "replicas", "journal_records")}

SAVED = ("one_rank", "stages", "half", "resumed", "killed", "foreign", "version_1")  # those with a checkpoint
UNSAVED = ("diverged", "killed_early")
KINDS = SAVED + UNSAVED
TRAINED = ("one_rank", "stages", "half", "resumed", "foreign", "version_1")  # to the end


def train(directory, data, *more, ranks=None, code=0, steps=12):
    """A run that ends by itself."""
    command = [runs.PROGRAM] if ranks is None else runs.mpi_command(ranks)
    finished = runs.execute([*command, "-o", directory, *runs.data_settings(data), *SMALL, "--max_steps", steps,
                             *more])
    assert finished.code == code, str(finished)


def kill(directory, part, *more):
    """A run that is killed when its log has two such lines."""
    log = directory.with_suffix(".log")
    with open(log, "w", encoding="utf-8") as output:
        command = [runs.PROGRAM, "-o", directory, *SMALL, *settings(
            train_input__use_fake_data=True, eval_input__use_fake_data=True, runconfig__max_steps=100_000_000), *more]
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    seen = eventually(lambda: log.read_text().count(part) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    assert seen and process.wait() == -signal.SIGKILL, log.read_text()


def age(source, directory):
    """The run as the first release would have left it."""
    shutil.copytree(source, directory)
    for name in ("predictions.h5", "trace.h5"):
        (directory / name).unlink()
    for path in directory.glob("*.h5"):
        content = path.read_bytes()
        image = io.BytesIO(content[:-SEAL_BYTES])
        with h5py.File(image, "r+") as file:
            for name in filter(file.__contains__, LATER["groups"]):
                del file[name]
            for name in filter(file.attrs.__contains__, LATER["attributes"]):
                del file.attrs[name]
        path.write_bytes(as_version_1(image.getvalue() + content[-SEAL_BYTES:]))


class EveryKind(unittest.TestCase):
    """All tests of a class look at the same runs."""

    @classmethod
    def setUpClass(cls):
        place = tempfile.TemporaryDirectory(prefix="fcmnist_e2e_")
        cls.addClassCleanup(place.cleanup)
        cls.place = pathlib.Path(place.name)
        cls.all, cls.out = cls.place / "runs", cls.place / "out"
        cls.all.mkdir()
        cls.out.mkdir()
        cls.data = runs.write_set(cls.place / "data", runs.patterns(200, 28, 10, 1), runs.patterns(60, 28, 10, 2))
        train(cls.all / "one_rank", cls.data, *TRACED)

    def succeed(self, *arguments, code=0):
        done = fcmnist(*arguments)
        self.assertEqual((done.code, done.errors), (code, ""), str(done))
        return done.output

    def refuse(self, *arguments, part, code=2):
        done = fcmnist(*arguments)
        self.assertEqual(done.code, code, str(done))
        self.assertIn(part, done.errors)
        self.assertIn("\n  HINT: ", done.errors)
        self.assertNotIn("Errno", done.errors)
        return done.errors


class Runs(EveryKind):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        train(cls.all / "stages", cls.data, *TRACED, *settings(
            runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2), ranks=2)
        train(cls.all / "half", cls.data, *settings(
            model__mixed_precision=True, model__half_type="float16", optimizer__loss_scaling_factor="dynamic",
            optimizer__initial_loss_scale=2.0**40, optimizer__max_loss_scale=2.0**40))
        train(cls.all / "resumed", cls.data, steps=8)
        train(cls.all / "resumed", cls.data)
        train(cls.all / "diverged", cls.data, *settings(optimizer__learning_rate=1e30), code=6)
        foreign = runs.write_set(cls.place / "foreign", runs.patterns(200, 11, 4, 1), runs.patterns(60, 11, 4, 2))
        train(cls.all / "foreign", foreign, *settings(model__num_classes=4))
        # Its validations are in the journal only.
        kill(cls.all / "killed", "info: saved ", *settings(runconfig__checkpoint_interval_s=0.1, runconfig__eval_frequency=20,
                                                           train_input__validation_size=100))
        kill(cls.all / "killed_early", "| Train ")
        age(cls.all / "one_rank", cls.all / "version_1")

    def test_report(self):
        parts = {"diverged": "no checkpoint yet", "killed_early": "no checkpoint yet", "foreign": "121 - 8 - 6 - 4",
                 "half": "float16", "version_1": "784 - 8 - 6 - 10", "stages": "2 rank(s)"}
        for kind in KINDS:
            with self.subTest(kind):
                page = self.out / f"{kind}.html"
                self.succeed("report", self.all / kind, "-o", page)
                self.assertIn(parts.get(kind, "784 - 8 - 6 - 10"), page.read_text())
        self.succeed("report", self.all, "-o", self.out / "all.html")
        text = (self.out / "all.html").read_text()
        for kind in KINDS:
            self.assertIn(kind, text)

    def test_table(self):
        lines = self.succeed("table", self.all, "--csv", self.out / "table.csv").splitlines()
        self.assertEqual({line.split()[0] for line in lines[1:]}, {str(self.all / kind) for kind in KINDS})
        self.assertEqual(len((self.out / "table.csv").read_text().splitlines()), 1 + len(KINDS))
        self.succeed("table", self.all, "--seeds")

    def test_watch(self):
        states = {"diverged": "ended early: its log says why", "killed": "killed on ", "killed_early": "killed on ",
                  "half": "skipped, since not finite: 12 of 12 steps"}
        for kind in KINDS:
            with self.subTest(kind):
                shown = self.succeed("watch", self.all / kind, "--once")
                self.assertIn(states.get(kind, "\nfinished\n"), shown)
                if kind in TRAINED:
                    self.assertIn("step 12 of 12, left 0:00:00", shown)
        self.assertEqual(len(self.succeed("watch", self.all, "--once").splitlines()), 1 + len(KINDS))

    def test_show(self):
        for kind in KINDS:
            with self.subTest(kind):
                shown = self.succeed("show", self.all / kind)
                self.assertIn("metrics.h5: metrics, intact", shown)
                self.assertEqual("checkpoint, intact" in shown, kind in SAVED)
                if kind in TRAINED:
                    self.assertIn("  train: 12 rows, last: step 12", shown)
        self.assertIn("rows of the journal", self.succeed("show", self.all / "killed_early"))
        self.assertIn("  validation: ", self.succeed("show", self.all / "killed"))
        with h5py.File(self.all / "killed/metrics.h5") as file:
            self.assertNotIn("validation", file)

    def test_images_without_labels(self):
        model_dir = shutil.copytree(self.all / "one_rank", self.place / "unlabelled")
        images = self.place / "images"
        images.write_bytes(runs.idx_bytes(runs.patterns(30, 28, 10, 3).images))
        finished = runs.execute([runs.PROGRAM, "-m", "predict", f"eval_input.images={images}", "-o", model_dir])
        self.assertEqual(finished.code, 0, str(finished))
        with h5py.File(model_dir / "predicted.h5") as file:
            predicted = file["predicted"][:].tolist()
        shown = self.succeed("show", model_dir / "predicted.h5").splitlines()
        self.assertTrue(shown[1].endswith(": 30 samples without labels"), shown)
        self.assertEqual([line.split() for line in shown[2:]], [["class", str(k), str(predicted.count(k))] for k in sorted(set(predicted))])
        self.assertIn("predicted.h5: predictions, intact", self.succeed("show", model_dir))
        self.succeed("report", model_dir, "-o", self.out / "unlabelled.html")

    def test_plot(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.succeed("plot", self.all / kind, "-o", self.out / f"{kind}.png")
                self.assertTrue((self.out / f"{kind}.png").read_bytes().startswith(b"\x89PNG"))

    def test_compare(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.assertIn("equal, bit for bit", self.succeed("compare", "--bits", self.all / kind, self.all / kind))
        for kind, code, part in (("stages", 0, "equal within the tolerance"), ("resumed", 0, "only in"), ("half", 1, "different from"),
                                 ("version_1", 0, "equal"), ("diverged", 1, "optimizer.learning_rate"),
                                 ("killed", 1, "different from step 1")):
            with self.subTest(f"one_rank, {kind}"):
                shown = self.succeed("compare", "--bits", self.all / "one_rank", self.all / kind, "--tolerance", "1e-3", code=code)
                self.assertIn(part, shown)
        self.refuse("compare", "--bits", self.all / "one_rank", self.all / "foreign", part="numbers a row")

    def test_which_is_better_and_how_it_scales(self):
        for kind in ("stages", "half", "resumed", "version_1"):
            with self.subTest(kind):
                self.assertIn("images", self.succeed("compare", self.all / "one_rank", self.all / kind).splitlines()[0])
        for kind in ("diverged", "killed_early", "foreign"):
            with self.subTest(kind):
                self.refuse("compare", self.all / "one_rank", self.all / kind, part=str(self.all / kind))
        self.assertIn("runconfig.pipeline_stages", self.succeed("scaling", self.all / "one_rank", self.all / "stages"))

    def test_predict(self):
        picture = self.out / "one.png"
        page = Image.new("L", (60, 80), 255)
        ImageDraw.Draw(page).line([(30, 10), (28, 70)], fill=0, width=5)
        page.save(picture)
        for kind in ("one_rank", "stages", "half", "resumed", "killed"):
            with self.subTest(kind):
                self.assertRegex(self.succeed("predict", self.all / kind, picture).splitlines()[0], rf"^{picture}: \d$")
        for kind, part in (("foreign", "its network takes 121 pixels"), ("diverged", "no checkpoint_<step>.h5"),
                           ("killed_early", "no checkpoint_<step>.h5"), ("version_1", "do not say how pixels are normalised")):
            with self.subTest(kind):
                self.refuse("predict", self.all / kind, picture, part=part)

    def test_export_and_import(self):
        for kind in ("one_rank", "stages", "half", "resumed", "killed", "foreign"):
            with self.subTest(kind):
                network, again = self.out / f"{kind}.npz", self.out / f"{kind}.h5"
                self.succeed("export", self.all / kind, "--to", "npz", "-o", network)
                self.assertIn("pixels 0-255, converted to ours", self.succeed("import", network, "-o", again))
                self.assertIn("step 0, ", self.succeed("show", again))
                self.succeed("compare", "--bits", again, again)
                self.refuse("plot", again, part="no metrics")
        for kind, part in (("diverged", "no checkpoint_<step>.h5"), ("killed_early", "no checkpoint_<step>.h5"),
                           ("version_1", "do not say how pixels are normalised")):
            with self.subTest(kind):
                self.refuse("export", self.all / kind, "--to", "npz", "-o", self.out / "none.npz", part=part)
                self.assertFalse((self.out / "none.npz").exists())
        self.refuse("import", self.all / "one_rank", part="a directory, expected a file")
        self.refuse("import", self.all / "one_rank/checkpoint_12.h5", part="need no import")

    def test_augment(self):
        for kind in ("one_rank", "stages", "half", "resumed", "foreign"):
            with self.subTest(kind):
                sheet = self.out / f"{kind}.png"
                self.assertIn("3 samples as they are, and in 2 epochs: shift 1.8, ",
                              self.succeed("augment", self.all / kind, "-o", sheet, "--samples", 3, "--epochs", 2, "--zoom", 1))
                with Image.open(sheet) as picture:
                    self.assertEqual([picture.width % 3, picture.height % 3, picture.mode], [0, 0, "L"])
        self.refuse("augment", self.all / "killed", "-o", self.out / "none.png", part="the training images that the run has read")
        self.refuse("augment", self.all / "one_rank", "-o", self.out / "none.png", "--samples", 0, part="numbers above 0")
        self.assertFalse((self.out / "none.png").exists())

    def test_trace(self):
        for kind in KINDS:
            with self.subTest(kind):
                if kind in ("one_rank", "stages"):
                    timeline = self.out / f"{kind}.json"
                    self.assertIn("3 steps of ", self.succeed("trace", self.all / kind, "--perfetto", timeline))
                    self.assertGreater(timeline.stat().st_size, 1000)
                else:
                    self.refuse("trace", self.all / kind, part="trace.h5: no such file")

    def test_two_hundred_at_once(self):
        many = self.place / "many"
        for k in range(200):
            (many / f"run_{k:03}").mkdir(parents=True)
            shutil.copy(self.all / "one_rank/metrics.h5", many / f"run_{k:03}")
        for arguments in (("table", many), ("watch", many, "--once")):
            begin_s = time.monotonic()
            self.assertEqual(len(self.succeed(*arguments).splitlines()), 201)
            print(f"{arguments[0]} of 200 runs: {time.monotonic() - begin_s:.2f} s")
        self.succeed("report", many, "-o", self.out / "many.html")
        shutil.rmtree(many)


class NoRuns(EveryKind):
    def commands(self, path):
        """Each command with this in the place of a run."""
        yield from (["report", path, "-o", self.out / "none.html"], ["table", path], ["watch", path, "--once"], ["plot", path],
                    ["compare", "--bits", path, path], ["compare", self.all / "one_rank", path], ["scaling", path], ["predict", path, self.out / "any.png"],
                    ["export", path, "--to", "npz"], ["import", path, "-o", self.out / "none.h5"], ["trace", path], ["augment", path, "-o", self.out / "none.png"],
                    ["show", path])

    def check(self, path):
        before = runs.snapshot(self.place)
        for command in self.commands(path):
            with self.subTest(command[0]):
                self.refuse(*command, part=str(path))
        self.assertEqual(runs.snapshot(self.place), before)

    def test_a_model_dir_without_a_step(self):
        """Data that are not there: the start is refused, after the model_dir was locked."""
        empty = self.place / "refused"
        train(empty, self.place / "absent", code=3)
        self.check(empty)

    def test_an_empty_directory(self):
        (self.place / "empty").mkdir()
        self.check(self.place / "empty")

    def test_a_directory_of_other_things(self):
        other = self.place / "other"
        other.mkdir()
        (other / "notes.txt").write_text("mine")
        self.check(other)

    def test_files_of_others_with_our_names(self):
        other = self.place / "of_others"
        other.mkdir()
        with h5py.File(other / "metrics.h5", "w") as file:
            file["loss"] = [1.0]
        for name in ("checkpoint_1.h5", "trace.h5", "predictions.h5"):
            (other / name).write_text("no HDF5")
        for command in self.commands(other):
            if command[0] not in ("watch", "show"):
                with self.subTest(command[0]):
                    self.refuse(*command, part=str(other))
        self.assertIn("damaged or of another kind", self.succeed("watch", other, "--once"))
        self.refuse("show", other, part="not a file of fcmnist_mpi", code=1)

    def test_what_is_not_there(self):
        self.check(self.place / "absent")

    def test_a_file_of_another_kind_in_place_of_a_run(self):
        """A checkpoint where a run is wanted, and files of a run under other names."""
        checkpoint = self.all / "one_rank/checkpoint_12.h5"
        for command in (["report", checkpoint], ["table", checkpoint], ["watch", checkpoint, "--once"], ["plot", checkpoint],
                        ["predict", checkpoint, self.out / "any.png"], ["export", checkpoint, "--to", "npz"], ["trace", checkpoint],
                        ["compare", "--bits", checkpoint, self.all / "one_rank/metrics.h5"]):
            with self.subTest(command[0]):
                self.refuse(*command, part="checkpoint_12.h5")
        mixed = self.place / "mixed"
        mixed.mkdir()
        shutil.copy(checkpoint, mixed / "metrics.h5")
        for command in self.commands(mixed):
            if command[0] not in ("watch", "show"):
                with self.subTest(command[0]):
                    self.refuse(*command, part=str(mixed))
        self.assertIn("damaged or of another kind", self.succeed("watch", mixed, "--once"))


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "80")
    runs.main()
