"""Writes a checkpoint that fcmnist_mpi reads: src/store/FORMAT.md, checkpoint_<step>.h5."""
import contextlib
import hashlib
import os
import socket

from .errors import AnalysisError
from .files import FORMAT_VERSION, SEAL_BYTES, h5py, np

PIXELS = {"pixel_scale": 255.0, "pixel_mean": 0.1307, "pixel_deviation": 0.3081}  # src/data/batch_loader.hpp
ACTIVATION = "ReLU after each hidden layer, none after the last layer"


def config_of(layers):
    """The section of the configuration that says which network it is; everything else has its default."""
    hidden = [len(weight) for weight, _ in layers[:-1]]
    return (f"model:\n  name: \"fc_mnist\"\n  hidden_sizes: {hidden}\n  num_classes: {len(layers[-1][0])}\n"
            f"  use_bias: {layers[0][1] is not None}\n")


def names_of(count):
    return [*(f"fc_layers.{k}" for k in range(count - 1)), "last_layer"]


def image_of(layers, entries):
    """The HDF5 part of the file, of weights at step 0 without an optimizer.
        layers    [(weight (outputs x inputs), bias (outputs) or None), ...] float32
        entries   root attributes that say where they are from
    """
    with h5py.File("checkpoint", "w", libver="earliest", driver="core", backing_store=False) as file:
        attributes = {"format": "fcmnist_mpi checkpoint", "format_version": FORMAT_VERSION, "config_yaml": config_of(layers),
                      "activation": ACTIVATION, "dropout_placement": "none", "precision": "float32", **PIXELS, **entries}
        for name, value in attributes.items():
            file.attrs[name] = np.int64(value) if isinstance(value, int) else value
        model, state = file.create_group("model"), file.create_group("state")
        file.create_group("optimizer")
        for name in ("step", "epoch", "step_in_epoch", "samples_seen"):
            state.attrs[name] = np.int64(0)
        state.attrs["seed"], state.attrs["labels_sha256"] = np.uint64(1), ""
        below = coordinate(file, "pixel", layers[0][0].shape[1], "pixel of the image: row * image_width + column")
        for k, (name, (weight, bias)) in enumerate(zip(names_of(len(layers)), layers)):
            is_last = k + 1 == len(layers)
            units = coordinate(file, "class" if is_last else f"hidden_{k}", len(weight),
                               "class" if is_last else f"unit of hidden layer {k}, from 0")
            place(model, f"{name}.weight", weight, units, below)
            if bias is not None:
                place(model, f"{name}.bias", bias, units)
            below = units
        file.flush()
        return file.id.get_file_image()


def coordinate(file, name, size, long_name):
    """0, 1, ... as an HDF5 dimension scale."""
    dataset = file.create_dataset(name, data=np.arange(size, dtype="<i8"))
    dataset.make_scale(name)
    dataset.attrs["units"], dataset.attrs["long_name"] = "1", long_name
    return dataset


def place(group, name, values, *scales):
    dataset = group.create_dataset(name, data=np.ascontiguousarray(values, "<f4"))
    for dimension, scale in enumerate(scales):
        dataset.dims[dimension].attach_scale(scale)


def write(path, layers, entries):
    """A new file, whole or not at all."""
    if os.path.exists(path):
        raise AnalysisError(f"{path}: exists already", "name another file with -o, or remove this one")
    image = image_of(layers, entries)
    seal = (f"fcmnist_mpi checkpoint\nformat_version {FORMAT_VERSION}\nimage_bytes {len(image)}\n"
            f"image_sha256 {hashlib.sha256(image).hexdigest()}\n")
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.tmp.{socket.gethostname()}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(image + seal.encode().ljust(SEAL_BYTES, b"\n"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
