"""fcmnist compare --bits: what it says of runs that are equal, differ in one bit, or cannot be compared; without --bits: which of
two runs is better."""
import math
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exit with 77 when a module is missing)
from support.analysis import change  # noqa: E402
from support.runs import h5py, np, settings  # noqa: E402

CLASSES, SIDE, IMAGES = 5, 12, 200


def put(index, value):
    def function(array):
        array[index] = value
    return function


def flip(index):
    """The lowest bit."""
    def function(array):
        array.view(np.uint32)[index] ^= 1
    return function


def nan(bits):
    return np.array([0x7ff8_0000_0000_0000 | bits], np.uint64).view(np.float64)[0]


class Comparing(analysis.TestCase):
    """Two model_dirs, self.a and self.b, of one run of 60 steps."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.train(cls.place / "run")

    def setUp(self):
        super().setUp()
        self.a, self.b = (shutil.copytree(self.place / "run", self.directory / name) for name in "ab")

    @staticmethod
    def train(model_dir, ranks=2, **values):
        analysis.train(model_dir, *settings(**{
            "train_input__use_fake_data": True, "eval_input__use_fake_data": True, "model__hidden_sizes": "[16,12]",
            "optimizer__learning_rate": 0.01, "optimizer__momentum": 0.9, "train_input__batch_size": 32,
            "runconfig__max_steps": 60, "runconfig__eval_frequency": 30, "runconfig__checkpoint_steps": 20,
            "runconfig__keep_checkpoints": 9, **values}), ranks=ranks)

    def compare(self, code, *parts, a=None, b=None, more=()):
        finished = analysis.fcmnist("compare", "--bits", a or self.a, b or self.b, *more)
        self.assertEqual(finished.code, code, str(finished))
        self.assertEqual(bool(finished.errors), code == 2, str(finished))
        for part in parts:
            self.assertIn(part, finished.errors if code == 2 else finished.output)
        return finished


class Equal(Comparing):
    def test_a_run_that_was_repeated(self):
        again = self.directory / "again"
        self.train(again)
        self.compare(0, "compared: 60 training steps (1 to 60), 2 evaluations (30, 60), 2 norms of arrays (50, 60), checkpoints 20, 40, 60\n"
                     "equal, bit for bit, but for times\n", b=again)

    def test_two_checkpoints(self):
        self.compare(0, "compared: checkpoints 40\nequal", a=self.a / "checkpoint_40.h5", b=self.b / "checkpoint_40.h5")

    def test_two_metrics_files(self):
        self.compare(0, "compared: 60 training steps (1 to 60), 2 evaluations (30, 60), 2 norms of arrays (50, 60)\nequal, bit for bit",
                     a=self.a / "metrics.h5", b=self.b / "metrics.h5")

    def test_what_only_one_has_is_said(self):
        self.train(self.b, runconfig__max_steps=80)
        (self.a / "checkpoint_20.h5").unlink()
        self.compare(0, f"only in {self.b}: training steps 61 to 80\n", f"only in {self.b}: evaluations 80\n",
                     f"only in {self.b}: checkpoints 20, 80\n", "settings that differ: runconfig.max_steps\n", "equal")

    def test_nan_of_the_same_bits(self):
        for model_dir in (self.a, self.b):
            change(model_dir / "metrics.h5", "train/grad_norm", put(4, nan(5)))
        self.compare(0, "equal")

    def test_rows_that_sum_up_other_steps_are_left_out(self):
        other = self.directory / "other"
        self.train(other, runconfig__save_losses=False, runconfig__log_steps=7)
        self.compare(0, "training steps are not compared", "checkpoints 20, 40, 60", b=other)


class Different(Comparing):
    def test_one_bit_of_a_weight(self):
        change(self.b / "checkpoint_40.h5", "model/fc_layers.1.weight", flip((3, 5)))
        left, right = (runs.weights(model_dir, 40)["fc_layers.1.weight"][3, 5] for model_dir in (self.a, self.b))
        both = f"{left!s} against {right!s}\n"
        self.compare(1, f"different from step 40 on: checkpoint_40 model/fc_layers.1.weight[3, 5]: {both}",
                     "checkpoint_40, the first that differs:\n    model/fc_layers.1.weight: 1 of 192; "
                     f"largest difference: {abs(np.float64(left) - right):.3g}, [3, 5]: {both}")

    def test_one_bit_of_an_optimizer_array(self):
        change(self.b / "checkpoint_20.h5", "optimizer/momentum_buffer/last_layer.bias", flip(9))
        found = self.compare(1, "from step 20 on: checkpoint_20 optimizer/momentum_buffer/last_layer.bias[9]: ")
        self.assertNotIn("later checkpoints", found.output)

    def test_the_first_of_several(self):
        for step in (40, 60):
            change(self.b / f"checkpoint_{step}.h5", "model/fc_layers.0.bias", flip(0))
        change(self.b / "metrics.h5", "eval/loss", put(0, 1.5))  # of step 30
        change(self.b / "metrics.h5", "train/loss", put(range(36, 60), 2.5))
        loss = runs.metrics(self.a, "eval")["loss"][0]
        self.compare(1, f"different from step 30 on: eval/loss: {loss} against 1.5\n",
                     "  train/loss: from step 37 on, 24 of 60; ", "  checkpoint_40, the first that differs:\n",
                     "  later checkpoints that differ: 60\n")

    def test_a_row_comes_before_the_weights_of_its_step(self):
        change(self.b / "checkpoint_40.h5", "model/fc_layers.0.bias", flip(0))
        change(self.b / "metrics.h5", "train/loss", put(39, 2.5))
        self.compare(1, "different from step 40 on: train/loss: ", "checkpoint_40, the first that differs")

    def test_a_confusion_matrix(self):
        change(self.b / "metrics.h5", "eval/confusion", put((1, 2, 3), 77))
        self.compare(1, "different from step 60 on: eval/confusion[2, 3]: ", " against 77\n")

    def test_zero_and_minus_zero(self):
        for model_dir, value in ((self.a, 0.0), (self.b, -0.0)):
            change(model_dir / "checkpoint_20.h5", "model/last_layer.bias", put(1, value))
        self.compare(1, "model/last_layer.bias[1]: 0.0 against -0.0\n")

    def test_nan_of_other_bits(self):
        for model_dir, bits in ((self.a, 5), (self.b, 6)):
            change(model_dir / "metrics.h5", "train/grad_norm", put(4, nan(bits)))
        self.compare(1, "different from step 5 on: train/grad_norm: nan (0x7ff8000000000005) against nan "
                     "(0x7ff8000000000006)\n")

    def test_another_seed(self):
        other = self.directory / "other"
        self.train(other, runconfig__seed=2)
        self.compare(1, "settings that differ: runconfig.seed\n", "different from step 1 on: train/loss: ", b=other)


class Tolerance(Comparing):
    def test_of_another_world(self):
        other = self.directory / "other"
        self.train(other, ranks=3)
        self.compare(1, "made with: world_size 2 against 3, replicas 2 against 3\n", b=other)
        self.compare(0, "equal within the tolerance", b=other, more=("--tolerance", "1e-3"))

    def test_does_not_hide_what_is_larger(self):
        array = runs.weights(self.a, 40)["fc_layers.0.weight"]
        for part, code in ((1.5e-3, 1), (0.5e-3, 0)):
            value = array[2, 7] + part * np.abs(array).max()
            change(self.b / "checkpoint_40.h5", "model/fc_layers.0.weight", put((2, 7), value))
            self.compare(code, more=("--tolerance", "1e-3"))

    def test_does_not_hide_what_is_not_a_number(self):
        change(self.b / "metrics.h5", "train/loss", put(4, nan(0)))
        self.compare(1, "train/loss: from step 5 on, 1 of 60; largest difference: inf, step 5: ",
                     more=("--tolerance", "1"))


class Refused(Comparing):
    def test_another_network(self):
        other = self.directory / "other"
        self.train(other, model__hidden_sizes="[16,13]")
        self.compare(2, "different networks: model/fc_layers.1.bias is (12,) in the first, (13,) in the second", "HINT",
                     b=other)

    def test_nothing_in_common(self):
        self.compare(2, "no step in common", "HINT", a=self.a / "checkpoint_20.h5", b=self.b / "checkpoint_40.h5")

    def test_what_is_no_run(self):
        empty = self.directory / "empty"
        empty.mkdir()
        self.compare(2, f"{empty}: not a model_dir", "HINT", b=empty)
        self.compare(2, "absent", b=self.directory / "absent")
        self.compare(2, "not a file of fcmnist_mpi", b=self.b / "params.yaml")

    def test_a_damaged_file(self):
        path = self.b / "checkpoint_40.h5"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        self.compare(2, "checkpoint_40.h5: damaged")

    def test_a_tolerance_that_is_none(self):
        for value in ("-1", "nan", "inf"):
            self.compare(2, "--tolerance", "HINT", more=(f"--tolerance={value}",))


class Verdict(analysis.TestCase):
    """Runs that differ in learning rate and seed: good/1, good/2, good/3, poor/1, ..."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        train, test = runs.patterns(500, SIDE, CLASSES, seed=1), runs.patterns(IMAGES, SIDE, CLASSES, seed=2)
        cls.data = runs.write_set(cls.place / "data", train, test)
        for name, rate in (("good", 0.002), ("poor", 0.0001)):
            (cls.place / name).mkdir()
            for seed in (1, 2, 3):
                cls.train(cls.place / name / str(seed), cls.data, optimizer__learning_rate=rate, runconfig__seed=seed)

    @staticmethod
    def train(model_dir, data, *more, **values):
        return analysis.train(model_dir, *more, *runs.data_settings(data), *settings(**{
            "model__hidden_sizes": "[16]", "model__num_classes": CLASSES, "train_input__batch_size": 64, "runconfig__max_steps": 60,
            "runconfig__log_steps": 20, "runconfig__eval_frequency": 30, "optimizer__use_nesterov": False, **runs.NO_AUGMENTATION,
            **values}))

    def right(self, model_dir):
        with h5py.File(model_dir / "predictions.h5") as file:
            return file["label"][:] == file["predicted"][:]

    def verdict(self, a, b):
        """Lines of the output."""
        return self.succeed("compare", a, b).splitlines()

    def test_a_clear_difference(self):
        good, poor = self.place / "good/1", self.place / "poor/1"
        of_good, of_poor = self.right(good), self.right(poor)
        only_good, only_poor = np.count_nonzero(of_good & ~of_poor), np.count_nonzero(of_poor & ~of_good)
        n, k = only_good + only_poor, min(only_good, only_poor)
        p = 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n
        self.assertLess(p, 0.001)
        shares = f"{100 * of_good.mean():.2f} % against {100 * of_poor.mean():.2f} % right"
        lines = self.verdict(poor, good)
        self.assertEqual(lines[0], f"B is better: {shares}; {only_good} images only B has right, {only_poor} only A (McNemar p = {p:.2g})")
        self.assertEqual(self.verdict(good, poor)[0],
                         f"A is better: {shares}; {only_poor} images only B has right, {only_good} only A (McNemar p = {p:.2g})")
        text = "\n".join(lines)
        self.assertRegex(text, r"\noptimizer\.learning_rate +0\.0001 +0\.002\n")
        loss = [runs.metrics(model_dir, "eval")["loss"][-1] for model_dir in (poor, good)]
        self.assertRegex(text, rf"\nloss \(nats\) +{loss[0]:.5f} +{loss[1]:.5f}\n")
        self.assertNotIn("runconfig.seed", text)

    def test_the_same_answers(self):
        good = self.place / "good/1"
        self.assertRegex(self.verdict(good, good)[0], r"^no difference that 200 images can show \(McNemar p = 1\): A has .* % right, B .* "
                         "0 images only B has right, 0 only A$")

    def test_noise(self):
        """A few images more or less are no proof."""
        good, other = self.place / "good/1", shutil.copytree(self.place / "good/1", self.directory / "other")
        images = np.flatnonzero(self.right(good))[:3]
        with h5py.File(good / "predictions.h5") as file:
            labels = file["label"][:]
        change(other / "predictions.h5", "predicted", put(images, (labels[images] + 1) % CLASSES))
        self.assertRegex(self.verdict(good, other)[0],
                         r"^no difference that 200 images can show \(McNemar p = 0.25\): .*; 0 images only B has right, 3 only A$")

    def test_a_run_that_is_not_finished_has_totals_only(self):
        running = shutil.copytree(self.place / "good/1", self.directory / "running")
        (running / "predictions.h5").unlink()
        lines = self.verdict(running, self.place / "poor/1")
        self.assertRegex(lines[0], r"^A is better: .* right \(z test of two proportions p = ")
        self.assertTrue(any("Without predictions.h5" in line for line in lines))

    def test_seeds(self):
        lines = self.verdict(self.place / "poor", self.place / "good")
        means = [np.mean([self.right(self.place / name / seed).mean() for seed in "123"]) for name in ("good", "poor")]
        found = re.fullmatch(r"B is better: (.*) % against (.*) % right \(Welch's t test p = (.*)\)", lines[0])
        self.assertEqual(found.groups()[:2], tuple(f"{100 * mean:.2f}" for mean in means))
        self.assertTrue(any(line.split()[:1] == ["optimizer.learning_rate"] for line in lines))
        self.assertEqual(self.verdict(self.place / "good", self.place / "good")[0].split(":")[0],
                         "no difference that 3 and 3 runs can show (Welch's t test p = 1)")

    def test_what_cannot_be_compared(self):
        good = self.place / "good/1"
        elsewhere = runs.write_set(self.directory / "elsewhere", runs.patterns(500, SIDE, CLASSES, seed=1),
                                   runs.patterns(IMAGES, SIDE, CLASSES, seed=3))
        other_images = self.train(self.directory / "other_images", elsewhere)
        not_scored = self.train(self.directory / "not_scored", self.data, "-m", "train")
        self.refuse("compare", good, other_images, parts=["scored on different images: unknown set, test split, 200 samples, SHA-256 "])
        self.refuse("compare", good, not_scored, parts=[f"{not_scored}: nothing was scored yet"])
        self.refuse("compare", good, self.place / "good", parts=["one run against several"])
        shutil.copytree(good, self.directory / "mixed/good")
        shutil.copytree(self.place / "poor/1", self.directory / "mixed/poor")
        self.refuse("compare", self.directory / "mixed", self.place / "good", parts=["and 1 more differ in optimizer.learning_rate"])
        self.refuse("compare", good, good / "metrics.h5", parts=["metrics.h5: a file", "--bits"])
        self.refuse("compare", good, good, "--tolerance", "0.1", parts=["without --bits"])
        self.refuse("compare", good, self.directory / "absent", parts=["No such file or directory"])


if __name__ == "__main__":
    runs.main()
