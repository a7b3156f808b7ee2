"""fcmnist compare: what it says of runs that are equal, differ in one bit, or cannot be compared."""
import hashlib
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

SCRIPT = runs.SOURCE / "scripts/fcmnist"
SEAL = "fcmnist_mpi {}\nformat_version 2\nimage_bytes {}\nimage_sha256 {}\n"


def change(path, dataset, function):
    """Changes an array of a file of ours, and seals it again: a file that another run could have written."""
    kind = "metrics" if path.name == "metrics.h5" else "checkpoint"
    with h5py.File(path, "r+") as file:
        array = file[dataset][...]
        function(array)
        file[dataset][...] = array
    image = path.read_bytes()  # HDF5 cuts off what stands behind its data
    seal = SEAL.format(kind, len(image), hashlib.sha256(image).hexdigest())
    path.write_bytes(image + seal.encode().ljust(512, b"\n"))


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


class Comparing(runs.TestCase):
    """Two model_dirs, self.a and self.b, of one run of 60 steps."""

    def setUp(self):
        super().setUp()
        self.a, self.b = self.directory / "a", self.directory / "b"
        self.train(self.a)
        shutil.copytree(self.a, self.b)

    def train(self, model_dir, ranks=2, **values):
        self.run_to_end("-o", model_dir, *settings(**{
            "train_input__use_fake_data": True, "eval_input__use_fake_data": True, "model__hidden_sizes": "[16,12]",
            "optimizer__learning_rate": 0.01, "optimizer__momentum": 0.9, "train_input__batch_size": 32,
            "runconfig__max_steps": 60, "runconfig__eval_frequency": 30, "runconfig__checkpoint_steps": 20,
            "runconfig__keep_checkpoints": 9, **values}), ranks=ranks)

    def compare(self, code, *parts, a=None, b=None, more=()):
        finished = runs.execute([sys.executable, SCRIPT, "compare", a or self.a, b or self.b, *more])
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


if __name__ == "__main__":
    runs.main()
