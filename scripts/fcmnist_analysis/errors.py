"""What every command says when it cannot do what it was asked for, and what it refuses to write over."""
import os

from .files import DamagedFile


class AnalysisError(Exception):
    """What is wrong and where, and a HINT."""

    def __init__(self, what, hint):
        super().__init__(f"{what}\n  HINT: {hint}")
        self.what, self.hint = what, hint


BEGIN_OF_OURS = (b"\x89HDF\r\n\x1a\n", b"fcmnist_mpi ",  # HDF5; journals, and files of version 1
                 b"# The resolved configuration, written by fcmnist_mpi")


def check_output(path, endings=None, has_directory=True):
    """Refuses the name of a file to write that would take the place of a file of a run, or cannot be written.
        endings         such as (".md",): an existing file with another one is not ours, and is kept
        has_directory   False: its directory may be made before it is written
    """
    path = os.fspath(path)
    ending = os.path.splitext(path)[1].lower()
    if ending in (".h5", ".hdf5", ".journal"):
        raise AnalysisError(f"{path}: a name of files of a run, which this does not write", "write another ending")
    if os.path.isdir(path):
        raise AnalysisError(f"{path}: a directory, expected the name of a file", "add the name of a file to it")
    if has_directory and not os.path.isdir(os.path.dirname(path) or "."):
        raise AnalysisError(f"{path}: its directory does not exist", f"mkdir -p {os.path.dirname(path)}")
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        begin = file.read(max(map(len, BEGIN_OF_OURS)))
    if begin.startswith(BEGIN_OF_OURS):
        raise AnalysisError(f"{path}: a file of a run or another HDF5 file, which is not overwritten", "write a name that is not taken")
    if endings and ending not in endings:
        raise AnalysisError(f"{path}: exists and is no {endings[0]} file; it is not overwritten", f"write a name that ends in {endings[0]}")


def explained(error, what):
    """The text of an error: what, where, and a HINT. `what` was asked for, if the error does not say it."""
    if isinstance(error, AnalysisError):
        return str(error)
    if isinstance(error, DamagedFile):
        return f"{error}\n  HINT: if it was copied here, copy it again; a run goes on from an older checkpoint by itself"
    if isinstance(error, OSError):
        where = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else str(error)
        return f"{where}\n  HINT: look at the name, at permissions, and at the space on the disk; a run is named by its -o/--model_dir"
    return f"{what}: {error}\n  HINT: the file is of another kind; fcmnist show FILE says which"  # an object that HDF5 lacks
