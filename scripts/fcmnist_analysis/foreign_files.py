"""Reads arrays that other programs have saved: PyTorch's .pt, NumPy's .npz, .safetensors. Nothing in such a file is run.

PyTorch itself is not needed, and is not used: its files are pickles, which may call any function of Python. Here a pickle may
name the few things that tensors are made of, and anything else is an error. (torch.load has weights_only for this; before
release 2.6 it could be got round, CVE-2025-32434, and it cannot read TorchScript.)"""
import collections
import dataclasses
import io
import json
import math
import os
import pickle
import struct
import zipfile

import numpy as np

from .errors import AnalysisError

DESCRIPTION = "fcmnist.json"  # of our own exports, beside the arrays
LEGACY_TORCH = pickle.dumps(0x1950a86a20f9469cfc6c, 2)  # what releases before 1.6 begin with
SAVE = "save the weights alone, in PyTorch: torch.save(model.state_dict(), FILE)"
WRAPPERS = ("state_dict", "model_state_dict", "model")  # under which programs put a state_dict beside other things
SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bfloat16", "I64": "<i8", "I32": "<i4", "I16": "<i2",
                     "I8": "i1", "U8": "u1", "BOOL": "?"}
TORCH_TYPES = {"DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "bfloat16",
               "LongStorage": "<i8", "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1",
               "BoolStorage": "?"}


@dataclasses.dataclass
class Found:
    """What a file holds: arrays by name, what our own export says of them, and whether their order is that of the network."""
    arrays: dict
    description: dict
    is_ordered: bool


def numbers(data, kind):
    """The numbers of a type in bytes. bfloat16 is the upper half of a float32."""
    if kind == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(data, kind)


def width(kind):
    return 2 if kind == "bfloat16" else np.dtype(kind).itemsize


def read(path):
    """The arrays of a file, whatever its kind: known by its first bytes, not by its name."""
    if os.path.isdir(path):
        raise AnalysisError(f"{path}: a directory, expected a file of PyTorch, NumPy or safetensors",
                            "name the file itself; the checkpoints of a run need no import")
    with open(path, "rb") as file:
        first = file.read(16)
    if first.startswith(b"\x89HDF"):
        raise AnalysisError(f"{path}: an HDF5 file, expected one of PyTorch, NumPy or safetensors",
                            "checkpoints of fcmnist_mpi need no import: fcmnist_mpi --checkpoint_path FILE")
    if first.startswith(LEGACY_TORCH):
        raise AnalysisError(f"{path}: PyTorch's file format of before release 1.6, expected that of later ones",
                            "in a PyTorch of today: torch.save(torch.load(FILE, weights_only=True), NEW_FILE)")
    reader = read_zip if first.startswith(b"PK") else read_safetensors if first[8:9] == b"{" else None
    if reader is None:
        raise AnalysisError(f"{path}: neither of PyTorch, nor .npz, nor .safetensors", SAVE)
    try:
        return reader(path)
    except AnalysisError:
        raise
    except Exception as error:  # pylint: disable=broad-except # of any reader, on bytes of a stranger
        raise AnalysisError(f"{path}: damaged, cut off, or of another kind: {type(error).__name__}: {error}",
                            f"copy it again, or {SAVE}") from error


def read_zip(path):
    """Both .pt and .npz are archives."""
    with zipfile.ZipFile(path) as archive:
        if pickles := [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]:
            return read_torch(path, archive, pickles[0].split("/")[0])
        if not all(name.endswith(".npy") for name in archive.namelist()):
            raise AnalysisError(f"{path}: an archive of other things: {', '.join(archive.namelist()[:3])} ...", SAVE)
        comment = archive.comment
    with np.load(path, allow_pickle=False) as content:
        return Found({name: content[name] for name in content.files}, json.loads(comment or b"{}"), True)


def read_safetensors(path):
    """https://github.com/huggingface/safetensors. Its writer sorts the arrays."""
    with open(path, "rb") as file:
        content = file.read()
    length = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8:8 + length]), content[8 + length:]
    metadata = header.pop("__metadata__", {})
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = numbers(data[begin:end], SAFETENSORS_TYPES[entry["dtype"]]).reshape(entry["shape"])
    return Found(arrays, metadata, False)


# --- PyTorch ---


@dataclasses.dataclass
class Storage:
    """The bytes that tensors look at."""
    values: np.ndarray


class ScriptModule:
    """A module of TorchScript: its parameters and the modules in it, by name."""

    def __init__(self):
        self.parts = {}

    def __setstate__(self, state):
        self.parts = dict(state)


def tensor(storage, offset, size, stride, *_):
    """torch._utils._rebuild_tensor_v2. A place outside of the storage is memory of somebody else, so it is looked for."""
    sizes, strides = [int(n) for n in size], [int(n) for n in stride]
    count = math.prod(sizes)
    last = int(offset) + sum((n - 1) * step for n, step in zip(sizes, strides, strict=True))
    if min([int(offset), *sizes, *strides]) < 0 or count > len(storage.values) or count and last >= len(storage.values):
        raise ValueError(f"a tensor of {sizes} does not fit into its {len(storage.values)} numbers")
    values = storage.values[int(offset):]
    return np.lib.stride_tricks.as_strided(values, sizes, [values.itemsize * step for step in strides]).copy()


def parameter(data, *_):
    """torch._utils._rebuild_parameter."""
    return data


class TensorUnpickler(pickle.Unpickler):
    """Knows what tensors, and dictionaries of them, are made of, and nothing else."""

    KNOWN = {("collections", "OrderedDict"): collections.OrderedDict, ("torch._utils", "_rebuild_tensor_v2"): tensor,
             ("torch._utils", "_rebuild_parameter"): parameter} | {("torch", name): name for name in TORCH_TYPES}

    def __init__(self, path, archive, folder):
        super().__init__(io.BytesIO(archive.read(f"{folder}/data.pkl")))
        self.path, self.archive, self.folder = path, archive, folder

    def find_class(self, module, name):
        if module.startswith("__torch__."):
            return ScriptModule
        if (module, name) not in self.KNOWN:
            raise AnalysisError(f"{self.path}: found {module}.{name}, expected tensors only; nothing in it was run", SAVE)
        return self.KNOWN[module, name]

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        data = self.archive.read(f"{self.folder}/data/{key}")
        whole = len(data) // width(TORCH_TYPES[kind]) * width(TORCH_TYPES[kind])
        return Storage(numbers(data[:whole], TORCH_TYPES[kind]))


def read_torch(path, archive, folder):
    """A state_dict, a dictionary with one in it, or TorchScript, which our own export writes."""
    names = archive.namelist()
    if f"{folder}/byteorder" in names and archive.read(f"{folder}/byteorder") != b"little":
        raise AnalysisError(f"{path}: numbers of a big-endian machine, expected little-endian ones",
                            "save it on another machine, or as .npz or .safetensors")
    content = TensorUnpickler(path, archive, folder).load()
    extra = f"{folder}/extra/{DESCRIPTION}"
    description = json.loads(archive.read(extra)) if extra in names else {}
    if isinstance(content, dict) and (inner := [name for name in WRAPPERS if isinstance(content.get(name), dict)]):
        content = content[inner[0]]
    return Found(dict(named_arrays(path, content)), description, True)


def named_arrays(path, content, prefix=""):
    """Name and array of each tensor, modules in modules as PyTorch names them: fc_layers.0.weight."""
    if not isinstance(content, (dict, ScriptModule)):
        raise AnalysisError(f"{path}: found a {type(content).__name__}, expected a state_dict", SAVE)
    for name, value in (content.parts if isinstance(content, ScriptModule) else content).items():
        if isinstance(value, ScriptModule):
            yield from named_arrays(path, value, f"{prefix}{name}.")
        elif isinstance(value, np.ndarray):
            yield f"{prefix}{name}", value
        elif isinstance(content, dict):
            raise AnalysisError(f"{path}: {name}: found a {type(value).__name__}, expected a tensor", SAVE)
