"""What there is to see after a run of fcmnist_mpi, in three lines of a notebook:

    from fcmnist_analysis import Run
    run = Run("model_dir")
    run.train.loss.plot()
"""
__all__ = ["Run"]


def __getattr__(name):
    """Run needs pandas, which those who only read files may not have."""
    if name == "Run":
        from .run import Run
        return Run
    raise AttributeError(name)
