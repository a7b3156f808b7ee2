"""What there is to see after a run of fcmnist_mpi, in three lines of a notebook:

    from fcmnist_analysis import Run
    run = Run("model_dir")
    run.train.loss.plot()
"""
from .files import DamagedFile
from .run import Run

__all__ = ["DamagedFile", "Run"]
