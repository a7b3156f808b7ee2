"""The files of a run, read by programs of others: h5py, h5dump, xarray; and scored by NumPy."""
import hashlib
import pathlib
import shutil
import struct
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.reference_training import features, logits  # noqa: E402
from support.runs import h5py, np, settings  # noqa: E402
from fcmnist_analysis import files as run_files  # noqa: E402 (support.reference_training says where it is)

try:
    import netCDF4  # noqa: F401
    import xarray
except ImportError:
    xarray = None

SIDE, CLASSES, TEST_COUNT, STEPS = 12, 7, 203, 45
TRAIN = runs.patterns(500, SIDE, CLASSES, seed=1)
TEST = runs.patterns(TEST_COUNT, SIDE, CLASSES, seed=2)


class Files(runs.TestCase):
    """One run on three ranks, whose files the tests read."""

    def setUp(self):
        super().setUp()
        data = runs.write_set(self.directory / "data", TRAIN, TEST)
        self.model_dir = self.directory / "run"
        self.run_to_end("-o", self.model_dir, *runs.data_settings(data), *settings(
            model__hidden_sizes="[30,20]", model__num_classes=CLASSES, train_input__batch_size=64,
            model__dropout=0.2, optimizer__learning_rate=0.01, optimizer__momentum=0.9, optimizer__use_nesterov=False,
            optimizer__weight_decay_rate=0, runconfig__max_steps=STEPS, runconfig__eval_frequency=20, runconfig__seed=5,
            **runs.NO_AUGMENTATION), ranks=3)


class Metrics(Files):
    def test_datasets_types_and_units(self):
        integers = {"step": "1", "epoch": "1", "skipped": "1"}
        train = {"loss": "1", "accuracy": "1", "learning_rate": "1", "grad_norm": "1", "samples_per_s": "s-1",
                 "elapsed_s": "s", "compute_s": "s", "exchange_s": "s", "data_s": "s", "files_s": "s",
                 "bubble_fraction": "1", "loss_scale": "1"}
        evaluated = {"loss": "1", "accuracy": "1", "elapsed_s": "s"}
        with h5py.File(self.model_dir / "metrics.h5") as file:
            self.assertEqual(set(file), {"train", "eval", "ranks", "arrays"})
            self.assertEqual(set(file["train"]), {*integers, *train, "grad_norm_by_array", "array"})
            self.assertEqual(set(file["eval"]), {"step", "epoch", *evaluated, "confusion", "true_class",
                                                 "predicted_class", "predicted", "sample"})
            for group, rows, columns in (("train", STEPS, {**integers, **train}),
                                         ("eval", 3, {"step": "1", "epoch": "1", **evaluated})):
                for name, units in columns.items():
                    dataset = file[group][name]
                    self.assertEqual(dataset.dtype, np.dtype("<i8" if name in integers else "<f8"), name)
                    self.assertEqual((dataset.shape, dataset.maxshape), ((rows,), (None,)), name)
                    self.assertEqual(dataset.attrs["units"], units, name)
            confusion = file["eval/confusion"]
            self.assertEqual((confusion.shape, confusion.dtype), ((3, CLASSES, CLASSES), np.dtype("<i8")))

    def test_rows(self):
        train, evaluated = runs.metrics(self.model_dir), runs.metrics(self.model_dir, "eval")
        np.testing.assert_array_equal(train["step"], np.arange(1, STEPS + 1))
        np.testing.assert_array_equal(train["epoch"], np.arange(STEPS) // 8)  # 500 samples: 8 steps of up to 64
        np.testing.assert_array_equal(evaluated["step"], [20, 40, 45])
        np.testing.assert_array_equal(evaluated["epoch"], [2, 4, 5])
        np.testing.assert_array_equal(evaluated["confusion"].sum(axis=2),
                                      [np.bincount(TEST.labels, minlength=CLASSES)] * 3)
        np.testing.assert_array_equal(evaluated["confusion"].trace(axis1=1, axis2=2) / TEST_COUNT, evaluated["accuracy"])
        self.assertTrue((np.diff(train["elapsed_s"]) > 0).all())
        parts = sum(train[name] for name in ("compute_s", "exchange_s", "data_s", "files_s"))
        np.testing.assert_allclose(np.cumsum(parts), train["elapsed_s"], rtol=1e-9)

    def test_gradient_norms_of_arrays(self):
        train = runs.metrics(self.model_dir)
        with h5py.File(self.model_dir / "metrics.h5") as file:
            names = list(file["train/array"].attrs["names"])
        self.assertEqual(names,
                         [f"{layer}.{kind}" for layer in ("fc_layers.0", "fc_layers.1", "last_layer")
                          for kind in ("weight", "bias")])
        norms = train["grad_norm_by_array"].astype(np.float64)
        np.testing.assert_allclose(np.sqrt((norms**2).sum(1)), train["grad_norm"], rtol=1e-6)

    def test_weight_and_update_norms_of_arrays(self):
        found = runs.metrics(self.model_dir, "arrays")
        self.assertEqual(found["step"].tolist(), [STEPS])
        weights = runs.weights(self.model_dir)
        with h5py.File(self.model_dir / "metrics.h5") as file:
            names = list(file["arrays/array"].attrs["names"])
        np.testing.assert_allclose(found["weight_norm"][0], [np.linalg.norm(weights[name]) for name in names], rtol=1e-5)
        # Without weight decay, what the last step changes is learning rate times momentum buffer.
        buffers = runs.momentum_buffer(self.model_dir)
        np.testing.assert_allclose(found["update_norm"][0],
                                   [0.01 * np.linalg.norm(buffers[name]) for name in names], rtol=1e-2)

    def test_times_of_ranks(self):
        ranks = runs.metrics(self.model_dir, "ranks")
        self.assertEqual(ranks["step"].tolist(), [STEPS])
        self.assertEqual(ranks["rank"].tolist(), [0, 1, 2])
        with h5py.File(self.model_dir / "metrics.h5") as file:
            where = file["ranks/rank"].attrs
            self.assertEqual((len(where["host"]), len(where["cores"])), (3, 3))
        parts = ranks["wait_s"] + ranks["sum_s"] + ranks["update_s"]
        self.assertTrue((parts <= ranks["exchange_s"] * (1 + 1e-5)).all())
        self.assertTrue((ranks["exposed_s"] <= ranks["wait_s"]).all())
        self.assertTrue((ranks["compute_s"] > 0).all())

    def test_ranks_of_releases_without_the_exposed_time(self):
        """In a file that lacks the column, behind it a journal with a row of before, and one of now."""
        def record(number, kind, step, times):
            payload = struct.pack("<qq", step, 0) + np.array(times, "<f4").tobytes()
            head = struct.pack("<IIq", len(payload), kind, number)
            return head + payload + hashlib.sha256(head + payload).digest()[:8]

        path = self.model_dir / "metrics.h5"
        with h5py.File(path, "r+") as file:
            del file["ranks/exposed_s"]
            known = int(file.attrs.get("journal_records", 0))
        old, new = [np.arange(columns) + 10 * np.arange(3)[:, None] for columns in (7, 8)]
        (self.model_dir / "metrics.journal").write_bytes(
            f"fcmnist_mpi journal format_version 5 classes {CLASSES}\n".encode() +
            record(known + 1, 4, STEPS + 1, old) + record(known + 2, 8, STEPS + 2, new))
        ranks = run_files.tables(self.model_dir)["ranks"]
        self.assertEqual(ranks["step"].tolist(), [STEPS, STEPS + 1, STEPS + 2])
        np.testing.assert_array_equal(ranks["files_s"][1:], [[6, 16, 26]] * 2)
        np.testing.assert_array_equal(ranks["exposed_s"], [[np.nan] * 3, [np.nan] * 3, [7, 17, 27]])

    def test_predictions(self):
        evaluated = runs.metrics(self.model_dir, "eval")
        for confusion, predicted in zip(evaluated["confusion"], evaluated["predicted"], strict=True):
            np.testing.assert_array_equal(confusion.sum(0), np.bincount(predicted, minlength=CLASSES))
        with h5py.File(self.model_dir / "predictions.h5") as file:
            self.assertEqual(file.attrs["step"], STEPS)
            np.testing.assert_array_equal(file["label"], TEST.labels)
            np.testing.assert_array_equal(file["predicted"], evaluated["predicted"][-1])
            np.testing.assert_array_equal(file["predicted"], np.argmax(file["logits"], axis=1))

    def test_what_a_reader_needs_to_use_the_network(self):
        for name in ("metrics.h5", f"checkpoint_{STEPS}.h5", "predictions.h5"):
            with h5py.File(self.model_dir / name) as file:
                self.assertEqual((file.attrs["image_height"], file.attrs["image_width"]), TEST.images.shape[1:])
                self.assertEqual([file.attrs[f"pixel_{what}"] for what in ("scale", "mean", "deviation")],
                                 [255.0, 0.1307, 0.3081])
                self.assertIn("ReLU", file.attrs["activation"])
                self.assertIn("each hidden layer, in training only", file.attrs["dropout_placement"])

    def test_manifest(self):
        with h5py.File(self.model_dir / "metrics.h5") as metrics, \
                h5py.File(self.model_dir / f"checkpoint_{STEPS}.h5") as checkpoint:
            for file, kind in ((metrics, "metrics"), (checkpoint, "checkpoint")):
                self.assertEqual(file.attrs["format"], f"fcmnist_mpi {kind}")
                self.assertEqual(file.attrs["format_version"], 2)
                self.assertEqual(file.attrs["world_size"], 3)
                self.assertEqual(file.attrs["seed"], "5")
                self.assertEqual(file.attrs["config_yaml"], (self.model_dir / "params.yaml").read_text())
                for name in ("program", "version", "git_revision", "build_type", "build_architecture", "compiler", "mpi",
                             "blas", "blas_core", "started_utc"):
                    self.assertTrue(file.attrs[name], name)
                self.assertEqual(len(set(file.attrs["hosts"])), 1)
                self.assertEqual(len(file.attrs["hosts"]), 3)

    def test_only_logged_steps_when_losses_are_not_saved(self):
        self.run_to_end("-o", self.directory / "short", *settings(
            train_input__use_fake_data=True, model__hidden_sizes="[8]", runconfig__save_losses=False,
            runconfig__log_steps=10, runconfig__max_steps=25))
        np.testing.assert_array_equal(runs.metrics(self.directory / "short")["step"], [10, 20, 25])


class Checkpoint(Files):
    def test_names_shapes_and_state(self):
        shapes = {"fc_layers.0.weight": (30, SIDE * SIDE), "fc_layers.0.bias": (30,), "fc_layers.1.weight": (20, 30),
                  "fc_layers.1.bias": (20,), "last_layer.weight": (CLASSES, 20), "last_layer.bias": (CLASSES,)}
        with h5py.File(self.model_dir / f"checkpoint_{STEPS}.h5") as file:
            for group in ("model", "optimizer/momentum_buffer"):
                self.assertEqual({name: dataset.shape for name, dataset in file[group].items()}, shapes)
                self.assertEqual({dataset.dtype for dataset in file[group].values()}, {np.dtype("<f4")})
            state = {name: value for name, value in file["state"].attrs.items() if not name.startswith("log_interval_")}
            self.assertRegex(state.pop("labels_sha256"), "^[0-9a-f]{64}$")
            evaluation = dict(file["evaluation"].attrs)
        self.assertEqual(state, {"step": STEPS, "epoch": 5, "step_in_epoch": 5, "samples_seen": 5 * 500 + 5 * 64, "seed": 5,
                                 "skipped_in_a_row": 0, "gradient_exponent": 0,
                                 "loss_scale": 0.0, "loss_scale_good_steps": 0})
        evaluated = runs.metrics(self.model_dir, "eval")
        self.assertEqual(evaluation, {"loss": evaluated["loss"][-1], "accuracy": evaluated["accuracy"][-1]})

    def check_scores(self, data, images, labels):
        """NumPy gives every image the same class; where two classes are all but equal, rounding may decide."""
        evaluated = runs.metrics(self.model_dir, "eval")
        scores = logits(runs.weights(self.model_dir), features(images))
        best = np.sort(scores, axis=1)
        undecided = int((best[:, -1] - best[:, -2] < 1e-4).sum())
        self.assertLess(undecided, 1 + len(labels) // 1000)
        confusion = np.zeros_like(evaluated["confusion"][-1])
        np.add.at(confusion, (labels, scores.argmax(axis=1)), 1)
        self.assertLessEqual(np.abs(confusion - evaluated["confusion"][-1]).sum(), 2 * undecided)
        shifted = scores - scores.max(axis=1, keepdims=True)
        loss = (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]).mean()
        np.testing.assert_allclose(evaluated["loss"][-1], loss, rtol=1e-5)

    def test_scored_by_numpy(self):
        self.check_scores(self.directory / "data", TEST.images, TEST.labels)

    def test_scored_by_numpy_on_real_images(self):
        data, _ = runs.real_data()
        if data is None:
            self.skipTest("no real images")
        shutil.rmtree(self.model_dir)
        self.run_to_end("-o", self.model_dir, *runs.data_settings(data), "--max_steps", 100, ranks=3)
        self.check_scores(data, runs.read_idx(data, "t10k-images-idx3-ubyte"), runs.read_idx(data, "t10k-labels-idx1-ubyte"))


class Readers(Files):
    @unittest.skipIf(shutil.which("h5dump") is None, "no h5dump")
    def test_h5dump(self):
        for name in ("metrics.h5", f"checkpoint_{STEPS}.h5"):
            done = subprocess.run(["h5dump", "-H", self.model_dir / name], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("DATASET", done.stdout)

    @unittest.skipIf(xarray is None, "no xarray or netCDF4")
    def test_xarray_with_the_engine_that_it_chooses(self):
        with xarray.open_dataset(self.model_dir / "metrics.h5", group="train") as train:
            self.assertEqual(float(train["loss"].sel(step=STEPS)), runs.metrics(self.model_dir)["loss"][-1])
        with xarray.open_dataset(self.model_dir / "metrics.h5", group="eval") as evaluated:
            self.assertEqual(evaluated["confusion"].dims, ("step", "true_class", "predicted_class"))
            self.assertEqual(int(evaluated["confusion"].sel(step=40).sum()), TEST_COUNT)

    def test_our_own_loader(self):
        script = runs.SOURCE / "scripts/fcmnist"
        done = subprocess.run([sys.executable, "-B", script, "show", self.model_dir / "metrics.h5",
                               self.model_dir / f"checkpoint_{STEPS}.h5"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"train: {STEPS} rows", done.stdout)


if __name__ == "__main__":
    runs.main()
