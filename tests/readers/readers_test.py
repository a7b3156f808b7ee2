"""Programs and modules of others open the files of a run, and find the numbers that are in them: prints a table of
readers x files.

    readers_test.py [--require-all]

A reader that is not installed is a "-" in the table; with --require-all, or FCMNIST_REQUIRE_ALL_READERS=1, it is an
error. Files of version 1 are read too. Not every reader looks behind the seal in front of them: that is a "no", and no
error. FCMNIST_NODE_FOLDER is where read.mjs stands beside the node_modules of package.json.
"""
import dataclasses
import os
import pathlib
import shutil
import signal
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.run_under_way import RunUnderWay, eventually  # noqa: E402
from support.runs import h5py, np, settings  # noqa: E402
from support.version_1 import BASE_ADDRESS, END_ADDRESS, SEAL_BYTES, as_version_1  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
REQUIRE_ALL = "--require-all" in sys.argv or os.environ.get("FCMNIST_REQUIRE_ALL_READERS") == "1"
READ_PY = [sys.executable, HERE / "read.py"]
READ_R = ["Rscript", "--vanilla", HERE / "read.R"]
READ_MJS = ["node", pathlib.Path(os.environ.get("FCMNIST_NODE_FOLDER", HERE)) / "read.mjs"]
READERS = {
    "h5py": [*READ_PY, "h5py"],
    "xarray": [*READ_PY, "xarray"],
    "xarray, engine netcdf4": [*READ_PY, "xarray_netcdf4"],
    "xarray, engine h5netcdf": [*READ_PY, "xarray_h5netcdf"],
    "netCDF4 for Python": [*READ_PY, "netCDF4"],
    "pandas (fcmnist_analysis)": [*READ_PY, "pandas"],
    "silx": [*READ_PY, "silx"],
    "ncdump": [*READ_PY, "ncdump"],
    "h5dump": [*READ_PY, "h5dump"],
    "Octave": ["octave-cli", "--quiet", "--norc", "--no-history", HERE / "read.m"],
    "R, hdf5r": [*READ_R, "hdf5r"],
    "R, rhdf5": [*READ_R, "rhdf5"],
    "h5wasm": [*READ_MJS, "h5wasm"],
    "jsfive": [*READ_MJS, "jsfive"],
}
NOT_INSTALLED, STOPPED = 77, 75  # exit codes
YES, NO, WRONG, ABSENT = "yes", "no", "wrong", "-"
NOT_VERSION_1 = ("xarray", "jsfive")  # they look for HDF5's signature at the first byte only
MOST_OF_A_MESSAGE = 100  # characters
STEPS = 45
# Two hidden layers of one size: a square matrix, which readers that name dimensions by their length may mistake.
NETWORK = {"model__hidden_sizes": "[30,30]", "train_input__use_fake_data": True, "eval_input__use_fake_data": True}


@dataclasses.dataclass
class Sample:
    """A file, and the numbers that a reader must find in it."""
    name: str
    path: pathlib.Path
    numbers: dict  # by place, as read.py takes it
    plot: dict = dataclasses.field(default_factory=dict)  # the same of what a viewer draws


def number_at(file, place):
    name, index = place.split(":")
    return file[name][tuple(map(int, index.split(",")))]


def rows_of(path):
    with h5py.File(path) as file:
        return len(file["train/step"])


def sample(name, path, *places):
    """What h5py finds is what the others must find."""
    with h5py.File(path) as file:
        return Sample(name, path, {place: number_at(file, place) for place in places})


def with_plot(found, name):
    """A dataset of it is what a viewer draws."""
    plot = {place.replace(name, "plot"): number for place, number in found.numbers.items() if place.startswith(name + ":")}
    return dataclasses.replace(found, plot=plot)


def confusion_cell(path):
    """A place in the newest confusion matrix where a reader that mistakes the order of axes finds another number."""
    with h5py.File(path) as file:
        matrix = file["eval/confusion"][-1]
        row = len(file["eval/confusion"]) - 1
    difference = matrix - matrix.T
    difference[:, row] = 0  # with its indices in reverse this place is the same
    assert difference.max() > 0, f"each place of this matrix has the number of its mirror image: {matrix}"
    true_class, predicted_class = np.unravel_index(difference.argmax(), matrix.shape)
    return f"eval/confusion:{row},{true_class},{predicted_class}"


def version_1_of(found):
    path = found.path.with_name(f"version_1_{found.path.name}")
    path.write_bytes(as_version_1(found.path.read_bytes()))
    return dataclasses.replace(found, path=path)


def read(reader, found):
    """Whether a reader finds the numbers in a file, and if not, why."""
    command = READERS[reader]
    if not shutil.which(command[0]):
        return ABSENT, f"no program {command[0]}"
    if command[0] == "node" and not command[1].exists():
        return ABSENT, f"no {command[1]}"
    expected = {**found.numbers, **(found.plot if reader == "silx" else {})}
    # HDF5 locks the file, as it does for a user who has set nothing.
    environment = {"HDF5_USE_FILE_LOCKING": "BEST_EFFORT"}
    finished = runs.execute([*command, found.path, *expected], timeout_s=120, env=environment)
    if finished.code == NOT_INSTALLED:
        return ABSENT, finished.errors.strip()
    if finished.code != 0:
        lines = finished.errors.strip().splitlines() or [f"exit code {finished.code}"]
        return NO, next((line for line in reversed(lines) if "rror" in line), lines[-1])[:MOST_OF_A_MESSAGE]
    lines = finished.output.split()
    wrong = [f"{place} is {line}, not {number}" for (place, number), line in zip(expected.items(), lines)
             if type(number)(line) != number]
    if wrong or len(lines) != len(expected):
        return WRONG, "; ".join(wrong) or f"found {lines} for {list(expected)}"
    return YES, ""


class Table:
    def __init__(self):
        self.columns, self.cells, self.reasons, self.errors = [], {}, {}, []

    def add(self, version, found):
        """All readers try one file."""
        column = (version, found.name)
        self.columns.append(column)
        for reader in READERS:
            answer, why = read(reader, found)
            self.cells[reader, column] = answer
            if answer != YES:
                of_version = "" if answer == ABSENT else f", version {version}"
                self.reasons[f"{reader}{of_version}: {why}"] = None  # each of them once, in their order
            may_fail = version == 1 and reader in NOT_VERSION_1
            if answer == WRONG or (answer == NO and not may_fail) or (answer == ABSENT and REQUIRE_ALL):
                self.errors.append(f"{reader}, {found.name} of version {version}: {answer} {why}")

    def __str__(self):
        columns = sorted(self.columns, reverse=True, key=lambda column: column[0])
        rows = [["", *(f"v{version} {name}" for version, name in columns)]]
        rows += [[reader, *(self.cells[reader, column] for column in columns)] for reader in READERS]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        if ABSENT in self.cells.values():
            lines.append(f"{ABSENT}: not installed; scripts/install_packages.sh readers")
        return "\n".join([*lines, *self.reasons])


class Readers(runs.TestCase):
    def logged(self, line, **numbers):
        """A line of the log says these numbers: what h5py finds is what the program has computed."""
        for name, (number, digits) in numbers.items():
            self.assertIn(f" {name}={number:.{digits}f} ", line + " ")

    def finished_run(self):
        model_dir, last = self.directory / "finished", STEPS - 1
        log = self.run_to_end("-o", model_dir, *settings(
            **NETWORK, runconfig__max_steps=STEPS, runconfig__eval_frequency=20, runconfig__log_steps=1, runconfig__trace_steps=3))
        again = self.run_to_end("-o", model_dir, "-m", "eval")

        path = model_dir / "metrics.h5"
        metrics = sample("metrics", path, f"train/loss:{last}", f"train/step:{last}", "eval/accuracy:2",
                         "eval/predicted:2,7", f"train/grad_norm_by_array:{last},1", confusion_cell(path), f"ranks/compute_s:{last},0",
                         f"arrays/weight_norm:{last},2", f"arrays/update_norm:{last},4")
        self.logged(log.lines(f" Step={STEPS} ")[0], Loss=(metrics.numbers[f"train/loss:{last}"], 5))
        self.logged(log.lines("| Eval ")[-1], Accuracy=(metrics.numbers["eval/accuracy:2"], 4))

        path = model_dir / f"checkpoint_{STEPS}.h5"
        checkpoint = sample("checkpoint", path, "model/fc_layers.0.weight:17,300", "model/fc_layers.1.weight:3,5",
                            "model/last_layer.bias:7")

        path = model_dir / "evaluation.h5"
        evaluation = sample("evaluation", path, "eval/loss:0", "eval/accuracy:0", confusion_cell(path))
        self.logged(again.lines("| Eval ")[0], Loss=(evaluation.numbers["eval/loss:0"], 5),
                    Accuracy=(evaluation.numbers["eval/accuracy:0"], 4))
        predictions = sample("predictions", model_dir / "predictions.h5", "logits:5,3", "predicted:11", "label:12")
        trace = sample("trace", model_dir / "trace.h5", "spans/begin_s:7", "spans/step:9", "spans/microbatch:9")
        return [with_plot(metrics, "train/loss"), checkpoint, predictions, trace, with_plot(evaluation, "eval/loss")]

    def running_run(self):
        """A run that replaces metrics.h5 now and then, and the newest row of the first one that has any: the later ones
        have it too."""
        run = RunUnderWay(self, runs.mpi_command(1), *settings(
            **NETWORK, train_input__batch_size=6000, runconfig__mode="train", runconfig__max_steps=1000000,
            runconfig__checkpoint_steps=20, runconfig__log_steps=1,
            runconfig__metrics_interval_s=1)).wait_for_line("saved ")
        path = run.directory / "run/metrics.h5"
        self.assertTrue(eventually(lambda: rows_of(path) > 0, timeout_s=120), str(run))
        row = rows_of(path) - 1
        metrics = sample("running", path, f"train/loss:{row}", f"train/step:{row}")
        loss, step = metrics.numbers.values()
        line = next(line for line in run.read("output").splitlines() if f" Step={step} " in line)
        self.logged(line, Loss=(loss, 5))
        return run, with_plot(metrics, "train/loss")

    def test_each_finds_the_numbers_in_each_file(self):
        table = Table()
        for found in self.finished_run():
            table.add(2, found)
            table.add(1, version_1_of(found))

        run, found = self.running_run()
        table.add(2, found)
        self.assertIsNone(run.mpirun.poll(), f"it ran while it was read: {run}")
        old = version_1_of(found)
        run.send(signal.SIGTERM, 0)
        self.assertEqual(run.wait(), STOPPED, str(run))
        table.add(1, old)

        print(f"\n{table}", flush=True)
        self.assertEqual(table.errors, [])

    def test_version_1_is_made_as_it_was(self):
        """A file that a program of version 1 wrote, made a file of version 2, and back."""
        old = (runs.SOURCE / "tests/fuzz/corpus/checkpoint/file_intact.h5").read_bytes()
        image = bytearray(old[SEAL_BYTES:])
        struct.pack_into("<Q", image, BASE_ADDRESS, 0)
        struct.pack_into("<Q", image, END_ADDRESS, len(image))
        self.assertEqual(as_version_1(bytes(image) + old[:SEAL_BYTES]), old)


if __name__ == "__main__":
    sys.argv = [argument for argument in sys.argv if argument != "--require-all"]
    runs.main()
