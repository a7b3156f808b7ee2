"""What the tests of scripts/fcmnist_analysis share: its packages, its commands, and runs that all tests of a class look at.

Ends the test with exit code 77, skipped, when a package is missing."""
import contextlib
import hashlib
import io
import pathlib
import sys
import tempfile

from . import runs

sys.path.insert(0, str(runs.SOURCE / "scripts"))
try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
    import pandas  # noqa: F401
    import PIL  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}; on Debian: apt install python3-pandas python3-matplotlib python3-jinja2 python3-pil")
    sys.exit(77)
from fcmnist_analysis import cli  # noqa: E402

SEAL = "fcmnist_mpi {}\nformat_version 2\nimage_bytes {}\nimage_sha256 {}\n"


def fcmnist(*arguments):
    """scripts/fcmnist, within this process since each start takes a second. An exception that nobody catches fails the test."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = cli.main(list(map(str, arguments)))
        except SystemExit as error:  # of argparse
            code = error.code
    return runs.Finished(["fcmnist", *arguments], code, output.getvalue(), errors.getvalue(), 0.0)


def train(model_dir, *arguments, ranks=None):
    """A run that ends well, without mpirun if no number of ranks is given: that takes a second less. Also for setUpClass,
    where there is no test yet that could fail."""
    command = [runs.PROGRAM] if ranks is None else runs.mpi_command(ranks)
    finished = runs.execute([*command, "-o", model_dir, *arguments])
    assert finished.code == 0 and not finished.errors, str(finished)
    return model_dir


def change(path, dataset, function):
    """Changes an array of a file of ours, and seals it again: a file that another run could have written."""
    kind = path.stem if path.stem in ("metrics", "predictions") else "checkpoint"
    with runs.h5py.File(path, "r+") as file:
        array = file[dataset][...]
        function(array)
        file[dataset][...] = array
    image = path.read_bytes()  # HDF5 cuts off what stands behind its data
    seal = SEAL.format(kind, len(image), hashlib.sha256(image).hexdigest())
    path.write_bytes(image + seal.encode().ljust(512, b"\n"))


class TestCase(runs.TestCase):
    """A test whose class has a directory too, cls.place: for runs that all its tests look at and none changes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        place = tempfile.TemporaryDirectory(prefix="fcmnist_e2e_")
        cls.addClassCleanup(place.cleanup)
        cls.place = pathlib.Path(place.name)

    def succeed(self, *arguments):
        """Standard output of a command that must end well."""
        done = fcmnist(*arguments)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        return done.output

    def refuse(self, *arguments, parts):
        """A command that must end with an error that says these things, and a HINT."""
        done = fcmnist(*arguments)
        self.assertEqual(done.code, 2, str(done))
        for part in (*parts, "\n  HINT: "):
            self.assertIn(part, done.errors)
