"""Runs of fcmnist_mpi under mpirun, for the end-to-end tests, and the small data sets that they use.

Environment, set by ctest:
    FCMNIST_PROGRAM   path of fcmnist_mpi
    FCMNIST_MPIRUN    command that starts ranks, as one line for a shell
    FCMNIST_MNIST_DIR directory of the real MNIST, if there is one
    FCMNIST_HAS_ONEDNN "1" if the program was built with oneDNN, else "0"
"""
import dataclasses
import gzip
import hashlib
import os
import pathlib
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
sys.dont_write_bytecode = True
try:
    import h5py
    import numpy as np
except ImportError as error:
    print(f"skipped: {error}; on Debian: apt install python3-h5py")
    sys.exit(77)

PROGRAM = os.path.abspath(os.environ["FCMNIST_PROGRAM"])
MPIRUN = shlex.split(os.environ["FCMNIST_MPIRUN"])
SOURCE = pathlib.Path(__file__).resolve().parents[2]
HAS_ONEDNN = os.environ["FCMNIST_HAS_ONEDNN"] == "1"
ERROR_MARK = "fcmnist_mpi: error:"


@dataclasses.dataclass
class Finished:
    """A run that has ended."""
    command: list
    code: int
    output: str  # standard output: the log
    errors: str  # standard error
    elapsed_s: float

    def __str__(self):
        command = shlex.join(map(str, self.command))
        return f"{command}\nexit {self.code} after {self.elapsed_s:.1f} s\n{self.output}{self.errors}"

    def lines(self, part):
        return [line for line in self.output.splitlines() if part in line]


def execute(command, timeout_s=60, cwd=None, env=None):
    """Runs a command in a session of its own, so that a hang ends with all its processes. Exit code -1: it hung.

    It has a TMPDIR of its own as well: mpiruns that start and end at the same time stumble over a common one."""
    begin_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fcmnist_tmp_", ignore_cleanup_errors=True) as temporary:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, errors="replace", cwd=cwd, start_new_session=True,
                                   env={**os.environ, "TMPDIR": temporary, **(env or {})})
        try:
            output, errors = process.communicate(timeout=timeout_s)
            code = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            code = -1
    return Finished(command, code, output, errors, time.monotonic() - begin_s)


def mpi_command(ranks, *arguments):
    return [*MPIRUN, "-n", ranks, PROGRAM, *arguments]


def run(*arguments, ranks=1, **options):
    """fcmnist_mpi with these arguments on so many ranks, whatever comes of it."""
    return execute(mpi_command(ranks, *arguments), **options)


class TestCase(unittest.TestCase):
    """A test with a directory of its own, self.directory, that is gone afterwards."""

    maxDiff = 4000

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="fcmnist_e2e_"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def run_to_end(self, *arguments, ranks=1, **options):
        """As run(), for runs that must succeed."""
        finished = run(*arguments, ranks=ranks, **options)
        self.assertEqual(finished.code, 0, str(finished))
        self.assertEqual(finished.errors, "", str(finished))
        return finished


# For small images, and for programs that do not distort theirs.
NO_AUGMENTATION = {f"train_input__augment_{kind}": 0 for kind in ("shift", "rotation", "scale", "shear", "elastic")}


def settings(**values):
    """settings(optimizer__momentum=0.9) = ["optimizer.momentum=0.9"]"""
    return [f"{name.replace('__', '.')}={value}" for name, value in values.items()]


# --- what runs wrote ---


def checkpoint_steps(model_dir):
    return sorted(int(path.stem.split("_")[1]) for path in pathlib.Path(model_dir).glob("checkpoint_[0-9]*.h5"))


def weights(model_dir, step=None, group="model"):
    """Arrays of a checkpoint by name; of the newest one by default."""
    step = checkpoint_steps(model_dir)[-1] if step is None else step
    with h5py.File(pathlib.Path(model_dir) / f"checkpoint_{step}.h5") as file:
        return {name: dataset[...] for name, dataset in file[group].items()}


def momentum_buffer(model_dir, step=None):
    return weights(model_dir, step, "optimizer/momentum_buffer")


def metrics(model_dir, group="train", name="metrics.h5"):
    """Columns of a table of the metrics by name."""
    with h5py.File(pathlib.Path(model_dir) / name) as file:
        return {column: dataset[...] for column, dataset in file[group].items()}


def same_arrays(left, right):
    """Bit for bit."""
    return left.keys() == right.keys() and all(left[name].tobytes() == right[name].tobytes() for name in left)


def snapshot(directory):
    """What is in a directory: SHA-256 of every file, by path."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        name = str(path.relative_to(directory))
        found[name] = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "not a file"
    return found


# --- data sets ---


@dataclasses.dataclass
class Images:
    """One split of a data set: images (n x side x side) and labels (n), unsigned bytes."""
    images: np.ndarray
    labels: np.ndarray


def patterns(count, side, classes, seed):
    """Random patterns, one for each class, under noise: a few epochs are enough to learn them."""
    prototypes = np.random.default_rng(7).uniform(0, 160, (classes, side, side))
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count).astype(np.uint8)
    noise = random.uniform(0, 95, (count, side, side))
    return Images((prototypes[labels] + noise).astype(np.uint8), labels)


def idx_bytes(array):
    """An array of unsigned bytes in the IDX format."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_set(directory, train, test, gzipped=True):
    """Writes the four files of a data set."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    for split, content in (("train", train), ("t10k", test)):
        for name, array in (("images-idx3", content.images), ("labels-idx1", content.labels)):
            path = directory / f"{split}-{name}-ubyte"
            if gzipped:
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(idx_bytes(array), 1, mtime=0))
            else:
                path.write_bytes(idx_bytes(array))
    return directory


def read_idx(directory, name):
    """A file of a data set, gzipped or not, as an array."""
    plain = pathlib.Path(directory) / name
    packed = plain.with_name(name + ".gz")
    content = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
    dimensions = content[3]
    shape = struct.unpack(f">{dimensions}I", content[4:4 + 4 * dimensions])
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def data_settings(directory):
    return settings(train_input__data_dir=directory, eval_input__data_dir=directory, train_input__download=False,
                    eval_input__download=False)


def real_data():
    """Directory and name of real images: MNIST, else Debian's Fashion-MNIST, else (None, None)."""
    mnist = os.environ.get("FCMNIST_MNIST_DIR", "")
    if mnist and os.path.isdir(mnist):
        return mnist, "MNIST"
    fashion = "/usr/share/datasets/fashion-mnist"
    return (fashion, "Fashion-MNIST") if os.path.isdir(fashion) else (None, None)


def main():
    """unittest.main(); names of tests may follow on the command line."""
    unittest.main(module="__main__", argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
