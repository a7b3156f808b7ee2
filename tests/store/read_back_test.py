"""Reads the files of store_write_example by programs of others: h5py, pandas, xarray with netCDF4, h5dump, PyTorch.

    read_back_test.py WRITE_EXAMPLE SCRIPTS_DIRECTORY       exit code 77: a module is missing, skipped
"""
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

WRITE_EXAMPLE, SCRIPTS = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
sys.dont_write_bytecode = True
sys.path.insert(0, SCRIPTS)
try:
    import h5py
    import numpy as np
    import pandas  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)
from fcmnist_analysis import files as run_files  # noqa: E402

try:
    import netCDF4
    import xarray
except ImportError:
    xarray = None
try:
    import torch
except ImportError:
    torch = None

DIRECTORY = tempfile.mkdtemp(prefix="fcmnist_read_back_")
CHECKPOINT = os.path.join(DIRECTORY, "checkpoint_1234.h5")
PREDICTIONS = os.path.join(DIRECTORY, "predictions.h5")
METRICS = os.path.join(DIRECTORY, "metrics.h5")
WIDTHS = (784, 30, 20, 10)


def setUpModule():
    subprocess.run([WRITE_EXAMPLE, DIRECTORY], check=True)


def tearDownModule():
    shutil.rmtree(DIRECTORY)


class Checkpoint(unittest.TestCase):
    def test_h5py_finds_pytorchs_names_and_shapes(self):
        with h5py.File(CHECKPOINT) as file:
            self.assertEqual(file.userblock_size, 0)
            shapes = {name: dataset.shape for name, dataset in file["model"].items()}
            types = {dataset.dtype for dataset in file["model"].values()}
            self.assertEqual(set(file["optimizer/momentum_buffer"]), set(shapes))
            bias = file["optimizer/momentum_buffer/fc_layers.1.bias"][...]
        self.assertEqual(shapes, {"fc_layers.0.weight": (30, 784), "fc_layers.0.bias": (30,),
                                  "fc_layers.1.weight": (20, 30), "fc_layers.1.bias": (20,),
                                  "last_layer.weight": (10, 20), "last_layer.bias": (10,)})
        self.assertEqual(types, {np.dtype("<f4")})
        np.testing.assert_array_equal(bias, np.arange(20) / 8)

    def test_rows_are_outputs(self):
        with h5py.File(CHECKPOINT) as file:
            momentum = file["optimizer/momentum_buffer/fc_layers.0.weight"][...]
        np.testing.assert_array_equal(momentum, np.arange(30 * 784).reshape(30, 784) / 8)

    def test_state_evaluation_and_manifest(self):
        self.assertEqual(run_files.state(CHECKPOINT), {"step": 1234, "epoch": 3, "step_in_epoch": 17,
                                                           "samples_seen": 157952, "seed": 2**64 - 2,
                                                           "labels_sha256": "a" * 64, "skipped_in_a_row": 2,
                                                           "log_interval_loss": 0.1, "log_interval_correct": 77.0,
                                                           "log_interval_samples": 128.0, "log_interval_skipped": 1,
                                                           "gradient_exponent": -47, "loss_scale": 512.0,
                                                           "loss_scale_good_steps": 41})
        self.assertEqual(run_files.evaluation(CHECKPOINT), {"loss": 0.0625, "accuracy": 0.9857})
        manifest = run_files.manifest(CHECKPOINT)
        self.assertEqual(manifest["format"], "fcmnist_mpi checkpoint")
        self.assertEqual(manifest["format_version"], 2)
        self.assertEqual(manifest["ranks"], 8)
        self.assertEqual(manifest["start_unix_s"], 1700000000.5)
        self.assertEqual(manifest["host_names"], ["node01", "node02"])
        self.assertIn("Zürich", manifest["config_yaml"])

    @unittest.skipIf(xarray is None, "no xarray or netCDF4")
    def test_netcdf_opens_the_weights(self):
        with h5py.File(CHECKPOINT) as file:
            weights = file["model/fc_layers.1.weight"][...]
        with xarray.open_dataset(CHECKPOINT, group="model") as model:  # with the engine that it chooses
            np.testing.assert_array_equal(model["fc_layers.1.weight"].values, weights)
        with netCDF4.Dataset(CHECKPOINT) as file:
            np.testing.assert_array_equal(file["model/fc_layers.1.weight"][...], weights)

    @unittest.skipIf(torch is None, "no PyTorch")
    def test_pytorch_loads_it_strictly(self):
        class FcMnist(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.fc_layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(WIDTHS[:-2], WIDTHS[1:-1]))
                self.last_layer = torch.nn.Linear(WIDTHS[-2], WIDTHS[-1])

        weights = run_files.state_dict(CHECKPOINT)
        FcMnist().load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()}, strict=True)


    @unittest.skipIf(xarray is None, "no xarray or netCDF4")
    def test_dimensions_have_names(self):
        with xarray.open_dataset(CHECKPOINT, group="model", engine="netcdf4") as model:
            self.assertEqual(model["fc_layers.0.weight"].dims, ("hidden_0", "pixel"))
            self.assertEqual(model["fc_layers.1.weight"].dims, ("hidden_1", "hidden_0"))
            self.assertEqual(model["fc_layers.1.bias"].dims, ("hidden_1",))
            self.assertEqual(model["last_layer.weight"].dims, ("class", "hidden_1"))
            self.assertEqual(model["last_layer.bias"].dims, ("class",))
        with xarray.open_dataset(CHECKPOINT, group="optimizer/momentum_buffer", engine="netcdf4") as momentum:
            self.assertEqual(momentum["last_layer.weight"].dims, ("class", "hidden_1"))
        with h5py.File(CHECKPOINT) as file:
            self.assertEqual(file["model/fc_layers.0.weight"].dims[1][0][783], 783)


class PredictionsOfSamples(unittest.TestCase):
    def test_h5py(self):
        self.assertEqual(run_files.verify(PREDICTIONS), "predictions")
        with h5py.File(PREDICTIONS) as file:
            self.assertEqual((file.attrs["step"], file.attrs["version"]), (1234, "0.1.0"))
            np.testing.assert_array_equal(file["label"], [1, 0, 2])
            np.testing.assert_array_equal(file["predicted"], [1, 2, 2])
            self.assertEqual(file["logits"].dtype, np.dtype("<f4"))
            np.testing.assert_array_equal(file["logits"][1], [0.0, -1.0, 3.0])

    @unittest.skipIf(xarray is None, "no xarray or netCDF4")
    def test_xarray(self):
        with xarray.open_dataset(PREDICTIONS, engine="netcdf4") as dataset:
            self.assertEqual(dict(dataset.sizes), {"sample": 3, "class": 3})
            self.assertEqual(float(dataset["logits"].sel({"sample": 2, "class": 2})), 8.0)

    def test_summary(self):
        program = [sys.executable, "-B", os.path.join(SCRIPTS, "fcmnist"), "show", PREDICTIONS]
        said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
        self.assertIn("step 1234: 3 samples of a set, 1 of them classified wrongly", said)


class Metrics(unittest.TestCase):
    def test_pandas_frames(self):
        tables = run_files.metrics(METRICS)
        train, evaluated = tables["train"], tables["eval"]
        np.testing.assert_array_equal(train.index, np.arange(1, 1501))
        np.testing.assert_array_equal(train["loss"], 1 / train.index.to_numpy())
        np.testing.assert_array_equal(train["files_s"], -train.index.to_numpy())
        self.assertEqual(list(evaluated.index), [500, 1000, 1500])
        self.assertEqual(set(evaluated), {"epoch", "loss", "accuracy", "elapsed_s"})
        self.assertEqual(set(train), {"epoch", "loss", "accuracy", "learning_rate", "grad_norm", "samples_per_s",
                                      "elapsed_s", "compute_s", "exchange_s", "data_s", "files_s", "skipped",
                                      "bubble_fraction", "loss_scale", "stage0_busy_s", "stage1_busy_s",
                                      "stage2_busy_s"})
        for stage in range(3):
            expected = np.where(train.index % 4 > stage, train.index + 0.5, np.nan)
            np.testing.assert_array_equal(train[f"stage{stage}_busy_s"], expected)
        np.testing.assert_array_equal(train["skipped"], train.index % 3 == 0)
        np.testing.assert_array_equal(train["loss_scale"], 8 * train.index)

    def test_every_column_has_units_and_can_be_extended(self):
        with h5py.File(METRICS) as file:
            for group in ("train", "eval"):
                for name, dataset in file[group].items():
                    self.assertTrue(dataset.attrs["units"], name)
                    self.assertTrue(dataset.attrs["long_name"], name)
                    if name not in ("true_class", "predicted_class", "sample", "array"):
                        self.assertIsNone(dataset.maxshape[0], name)

    def test_what_to_plot_is_said_as_in_nexus(self):
        with h5py.File(METRICS) as file:
            group = file[file.attrs["default"]]
            self.assertEqual((file.attrs["NX_class"], group.attrs["NX_class"]), ("NXroot", "NXdata"))
            self.assertEqual(list(group.attrs["axes"]), ["step"])
            self.assertEqual(group[group.attrs["signal"]].shape, group["step"].shape)

    @unittest.skipIf(xarray is None, "no xarray or netCDF4")
    def test_xarray_has_step_as_coordinate(self):
        with xarray.open_dataset(METRICS, group="train", engine="netcdf4") as train:
            self.assertEqual(dict(train.sizes), {"step": 1500, "array": 2})
            norms = train["grad_norm_by_array"]
            self.assertEqual(norms.dims, ("step", "array"))
            array = list(train["array"].attrs["names"]).index("fc_layers.0.bias")
            self.assertEqual(float(norms.sel(step=6, array=array)), 1.5)
            self.assertEqual(float(train["loss"].sel(step=4)), 0.25)
            self.assertEqual(train["elapsed_s"].attrs["long_name"], "time since the start of training")
        with xarray.open_dataset(METRICS, group="eval", engine="netcdf4") as evaluated:
            self.assertEqual(evaluated["confusion"].dims, ("step", "true_class", "predicted_class"))
            one = evaluated["confusion"].sel(step=1000, true_class=2, predicted_class=7)
            self.assertEqual(int(one), 1000 * 1000 + 27)
            self.assertEqual(evaluated["predicted"].dims, ("step", "sample"))
            self.assertEqual(int(evaluated["predicted"].sel(step=1000, sample=8)), 8)

    @unittest.skipIf(xarray is None, "no xarray or netCDF4")
    def test_xarray_has_hosts_of_ranks(self):
        with xarray.open_dataset(METRICS, group="ranks", engine="netcdf4") as ranks:
            self.assertEqual(ranks["wait_s"].dims, ("step", "rank"))
            self.assertEqual(float(ranks["wait_s"].sel(step=1000, rank=2)), 1200.25)
            self.assertEqual(list(ranks["rank"].attrs["host"]), ["node01", "node01", "node02"])
            self.assertEqual(list(ranks["rank"].attrs["cores"]), ["0", "1", "0 1"])

    @unittest.skipIf(shutil.which("h5dump") is None, "no h5dump")
    def test_h5dump(self):
        dump = subprocess.run(["h5dump", "-d", "/eval/loss", METRICS], check=True, capture_output=True, text=True).stdout
        self.assertIn("DATASPACE  SIMPLE { ( 3 ) / ( H5S_UNLIMITED ) }", dump)


class Journal(unittest.TestCase):
    """Of a run that was at step 1500, went back to 1490, did 47 steps and an evaluation, and was killed."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="fcmnist_read_back_")
        self.addCleanup(shutil.rmtree, self.directory)
        subprocess.run([WRITE_EXAMPLE, self.directory, "journal"], check=True)
        self.metrics = os.path.join(self.directory, "metrics.h5")
        self.journal = os.path.join(self.directory, "metrics.journal")

    def check_rows(self, last_step, evaluations, rank_lines=()):
        tables = run_files.metrics(self.metrics)
        steps = tables["train"].index.to_numpy()
        np.testing.assert_array_equal(steps, np.arange(1, last_step + 1))
        np.testing.assert_array_equal(tables["train"]["loss"], 1 / steps)
        np.testing.assert_array_equal(tables["train"]["files_s"], -steps)
        np.testing.assert_array_equal(tables["train"]["skipped"], steps % 3 == 0)
        norms = run_files.tables(self.metrics)["train"]["grad_norm_by_array"]
        np.testing.assert_array_equal(norms, np.column_stack([steps / 2, steps / 4]))
        self.assertEqual(tables["train"]["epoch"].dtype, np.dtype("int64"))
        self.assertEqual(list(tables["eval"].index), evaluations)
        np.testing.assert_array_equal(tables["eval"]["loss"], 2 / np.array(evaluations))
        steps, matrices = run_files.confusion(self.metrics)
        self.assertEqual(list(steps), evaluations)
        _, predicted = run_files.predicted(self.metrics)
        for step, row in zip(evaluations, predicted, strict=True):
            count = 3 + step % 7
            np.testing.assert_array_equal(row[:count], (step + np.arange(count)) % 10)
            np.testing.assert_array_equal(row[count:], -1)
        ranks = run_files.tables(self.metrics)["ranks"]
        self.assertEqual(list(ranks["step"]), [500, 1000, *rank_lines])
        for row, step in enumerate(ranks["step"]):
            world = 2 if step == 1537 else 3
            for column, name in enumerate(run_files.RANK_COLUMNS):
                expected = step + 100 * np.arange(world) + 0.125 * column
                np.testing.assert_array_equal(ranks[name][row, :world], expected)
                self.assertTrue(np.isnan(ranks[name][row, world:]).all())
        expected = np.array(evaluations)[:, None] * 1000 + np.arange(100)
        np.testing.assert_array_equal(matrices, expected.reshape(-1, 10, 10))

    def summary(self):
        program = [sys.executable, "-B", os.path.join(SCRIPTS, "fcmnist"), "show", self.metrics]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout

    def test_plain_h5py_reads_the_file_as_it_was_last_written(self):
        with h5py.File(self.metrics) as file:
            self.assertEqual(len(file["train/step"]), 1500)
            self.assertEqual(file.attrs["journal_records"], 1506)

    def test_tables_and_summary_have_its_rows(self):
        self.check_rows(1537, [500, 1000, 1537], [1537])
        self.assertIn("train: 1537 rows, last: step 1537", self.summary())
        self.assertIn("+ 49 rows of the journal\n", self.summary())

    def test_a_torn_end_is_left_out_and_said(self):
        with open(self.journal, "r+b") as file:
            file.truncate(os.path.getsize(self.journal) - 1)
        self.check_rows(1537, [500, 1000], [1537])
        self.assertIn("+ 48 rows of the journal, whose last 870 bytes are torn or damaged", self.summary())

    def test_damage_ends_it_there(self):
        with open(self.journal, "rb") as file:
            good = file.read()
        ends = [good.index(b"\n") + 1 + 16 + 8 + 8]  # of the first record, which forgets; then of rows
        for step in range(1491, 1502):
            ends.append(ends[-1] + 16 + 15 * 8 + 8 + 8 * (step % 4) + 2 * 4 + 8)
        for intact, at in ((0, ends[0]), (10, ends[10] + 3), (10, ends[11] - 1)):
            with open(self.journal, "wb") as file:
                file.write(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            self.check_rows(1490 + intact, [500, 1000])
        with open(self.journal, "wb") as file:
            file.write(b"x" + good[1:])
        self.check_rows(1500, [500, 1000, 1500], [1500])
        self.assertIn("the journal: its last", self.summary())

    def test_what_the_file_has_already_is_not_taken_again(self):
        shutil.copy(METRICS, self.metrics)
        with open(self.journal, "rb") as file:
            good = file.read()
        with open(self.journal, "wb") as file:  # only the record that goes back, numbered as if it were old
            begin = good.index(b"\n") + 1
            record = good[begin:begin + 8] + (1506).to_bytes(8, "little") + good[begin + 16:begin + 24]
            file.write(good[:begin] + record + hashlib.sha256(record).digest()[:8])
        self.check_rows(1500, [500, 1000, 1500], [1500])
        self.assertNotIn("journal", self.summary())


class Verification(unittest.TestCase):
    def test_intact_files_and_their_kinds(self):
        self.assertEqual(run_files.verify(CHECKPOINT), "checkpoint")
        self.assertEqual(run_files.verify(METRICS), "metrics")

    def test_files_of_version_1_have_the_seal_in_front(self):
        with open(METRICS, "rb") as file:
            good = file.read()
        old = good[-512:].replace(b"format_version 2", b"format_version 1") + good[:-512]
        path = os.path.join(DIRECTORY, "version_1.h5")
        for content, is_intact in ((old, True), (old[:600] + b"x" + old[601:], False), (b"f" + old[2:], False)):
            with open(path, "wb") as file:
                file.write(content)
            if is_intact:
                self.assertEqual(run_files.verify(path), "metrics")
                self.assertEqual(len(run_files.tables(path)["eval"]["step"]), 3)
            else:
                with self.assertRaises(run_files.DamagedFile):
                    run_files.verify(path)

    def test_damage_anywhere_is_found(self):
        with open(METRICS, "rb") as file:
            good = file.read()
        path = os.path.join(DIRECTORY, "damaged.h5")
        for at in [0, 1, len(good) // 2, len(good) - 513, *range(len(good) - 512, len(good), 7), len(good) - 1]:
            with open(path, "wb") as file:
                file.write(good[:at] + bytes([good[at] ^ 4]) + good[at + 1:])
            with self.assertRaises(run_files.DamagedFile, msg=f"byte {at}"):
                run_files.verify(path)
        for bytes_ in (b"", good[:100], good[:-1], good + b"\n"):
            with open(path, "wb") as file:
                file.write(bytes_)
            with self.assertRaises(run_files.DamagedFile):
                run_files.verify(path)

    def test_summary_says_what_it_is_and_fails_for_damage(self):
        program = [sys.executable, "-B", os.path.join(SCRIPTS, "fcmnist"), "show"]
        good = subprocess.run([*program, CHECKPOINT, METRICS], capture_output=True, text=True)
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertIn("step 1234, epoch 3", good.stdout)
        self.assertIn("24,380 parameters", good.stdout)
        self.assertIn("eval: 3 rows, last: step 1500", good.stdout)
        bad = subprocess.run([*program, WRITE_EXAMPLE], capture_output=True, text=True)
        self.assertEqual(bad.returncode, 1)
        self.assertIn("not a file of fcmnist_mpi", bad.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
