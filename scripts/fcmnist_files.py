#!/usr/bin/python3
"""Reads the files that fcmnist_mpi writes: checkpoints and metrics (src/store/FORMAT.md describes them).

As a module:
    import fcmnist_files
    tables = fcmnist_files.metrics("model_dir/metrics.h5")       # {"train": DataFrame, "eval": DataFrame}
    weights = fcmnist_files.state_dict("model_dir/checkpoint_1000.h5")   # {name: numpy array}
    fcmnist_files.verify("model_dir/checkpoint_1000.h5")          # raises DamagedFile

On the command line, a summary of each file; exit code 1 if one is damaged:
    fcmnist_files.py FILE...
"""
import argparse
import hashlib
import os
import re
import sys

# Our files are replaced as a whole and never changed in place, so that no lock is needed; and file systems of clusters
# may not have locks.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

try:
    import h5py
    import numpy as np
except ImportError as error:
    message = f"{error}. On Debian: apt install python3-h5py python3-pandas, and run this with /usr/bin/python3"
    if __name__ == "__main__":
        sys.exit(message)
    raise ImportError(message) from error

USER_BLOCK_BYTES = 512
FORMAT_VERSION = 1
SEAL = re.compile(rb"fcmnist_mpi (checkpoint|metrics)\nformat_version (\d+)\nimage_bytes (\d+)\n"
                  rb"image_sha256 ([0-9a-f]{64})\n\n*")


class DamagedFile(Exception):
    """The file is not an intact file of fcmnist_mpi."""


def verify(path):
    """Checks every byte of a file against its user block and returns its kind, "checkpoint" or "metrics"."""
    with open(path, "rb") as file:
        block = file.read(USER_BLOCK_BYTES)
        match = SEAL.fullmatch(block)
        if len(block) < USER_BLOCK_BYTES or not match:
            raise DamagedFile(f"{path}: damaged in its first 512 bytes, or not a file of fcmnist_mpi")
        kind, version, image_bytes, expected = (text.decode() for text in match.groups())
        if not 1 <= int(version) <= FORMAT_VERSION:
            raise DamagedFile(f"{path}: format version {version}, this program reads up to {FORMAT_VERSION}")
        image = file.read()
    if len(image) != int(image_bytes):
        raise DamagedFile(f"{path}: damaged: {len(image)} bytes behind the user block, expected {image_bytes}")
    found = hashlib.sha256(image).hexdigest()
    if found != expected:
        raise DamagedFile(f"{path}: damaged: SHA-256 {found[:12]}..., expected {expected[:12]}...")
    return kind


def manifest(path):
    """What the run was: versions, hosts, seeds, ... and its configuration as text under "config_yaml"."""
    with h5py.File(path, "r") as file:
        return {name: _plain(value) for name, value in file.attrs.items()}


def state(path):
    """Where training stood when the checkpoint was written: step, epoch, step_in_epoch, samples_seen, seed."""
    with h5py.File(path, "r") as file:
        return {name: _plain(value) for name, value in file["state"].attrs.items()}


def evaluation(path):
    """Loss and accuracy of the weights of a checkpoint on the test set; empty if they were not evaluated."""
    with h5py.File(path, "r") as file:
        return {name: _plain(value) for name, value in file["evaluation"].attrs.items()} if "evaluation" in file else {}


def state_dict(path):
    """Weights of a checkpoint as numpy arrays, with PyTorch's names and shapes. For PyTorch:
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state_dict(path).items()}, strict=True)"""
    with h5py.File(path, "r") as file:
        return {name: dataset[...] for name, dataset in file["model"].items()}


def metrics(path):
    """The tables of a metrics file as pandas frames with `step` as their index: {"train": ..., "eval": ...}."""
    import pandas

    def frame(group):
        columns = {name: dataset[...] for name, dataset in group.items() if dataset.ndim == 1 and len(dataset.dims[0]) == 1}
        return pandas.DataFrame(columns, index=pandas.Index(group["step"][...], name="step"))

    with h5py.File(path, "r") as file:
        return {name: frame(file[name]) for name in ("train", "eval")}


def confusion(path):
    """Steps of the evaluations, and their confusion matrices (evaluations x true class x predicted class)."""
    with h5py.File(path, "r") as file:
        return file["eval/step"][...], file["eval/confusion"][...]


def _plain(value):
    """An attribute as a Python number, text or list."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _summary(path):
    kind = verify(path)
    lines = [f"{path}: {kind}, intact (SHA-256 verified), {os.path.getsize(path):,} bytes"]
    if kind == "checkpoint":
        at, score, weights = state(path), evaluation(path), state_dict(path)
        lines.append(f"  step {at['step']}, epoch {at['epoch']}, {at['samples_seen']:,} samples seen, seed {at['seed']}")
        lines.append(f"  test accuracy {score['accuracy']:.4f}, loss {score['loss']:.5f}" if score else "  not evaluated")
        lines.append(f"  {sum(array.size for array in weights.values()):,} parameters:")
        lines += [f"    {name:24} {' x '.join(map(str, array.shape))}" for name, array in weights.items()]
    else:
        with h5py.File(path, "r") as file:
            for name, group in (("train", file["train"]), ("eval", file["eval"])):
                rows = len(group["step"])
                last = f", last: step {group['step'][-1]}, loss {group['loss'][-1]:.5f}, " \
                       f"accuracy {group['accuracy'][-1]:.4f}" if rows else ""
                lines.append(f"  {name}: {rows} rows{last}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Verifies and summarises files of fcmnist_mpi.")
    parser.add_argument("files", metavar="FILE", nargs="+", help="checkpoint_<step>.h5 or metrics.h5")
    code = 0
    for path in parser.parse_args().files:
        try:
            print(_summary(path))
        except (DamagedFile, OSError, KeyError) as error:
            print(error, file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
