"""What every command says when it cannot do what it was asked for."""
from .files import DamagedFile


class AnalysisError(Exception):
    """What is wrong and where, and a HINT."""

    def __init__(self, what, hint):
        super().__init__(f"{what}\n  HINT: {hint}")


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
