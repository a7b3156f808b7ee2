"""fcmnist export: the network of a run for other programs. The normalisation of pixels becomes part of the first layer, so that
raw pixels from 0 to 255 go in."""
import importlib
import json
import os
import struct
import zipfile

import numpy as np

from . import network
from .errors import AnalysisError, check_output
from .foreign_files import DESCRIPTION
from .run import Run

KINDS = ("npz", "safetensors", "pt", "onnx")


def arrays_of(run):
    """{"layers.0.weight": (outputs x inputs), "layers.0.bias": (outputs), ...} for raw pixels."""
    found = {}
    for k, (weight, bias) in enumerate(network.folded(run.state_dict(), run.manifest)):
        found |= {f"layers.{k}.weight": np.ascontiguousarray(weight), f"layers.{k}.bias": bias}
    return found


def description(run):
    """Texts that go with the arrays."""
    return {"input": "pixels from 0 to 255, row by row", "output": "logits",
            "between layers": "ReLU", "classes": json.dumps(run.class_names), "git_revision": str(run.manifest.get("git_revision", ""))}


def write_npz(run, path):
    arrays = arrays_of(run)  # first, so that an error leaves the file that is there
    with open(path, "wb") as file:
        np.savez(file, **arrays)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = json.dumps(description(run)).encode()  # NumPy does not look at it


def write_safetensors(run, path):
    """https://github.com/huggingface/safetensors: length of the header, header in JSON, the numbers."""
    header, data = {"__metadata__": description(run)}, b""
    for name, array in arrays_of(run).items():
        piece = array.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_pt(run, path):
    """TorchScript: torch.jit.load(path)(pixels)."""
    torch = module("torch", "python3-torch")
    parts = []
    layers = network.folded(run.state_dict(), run.manifest)
    for k, (weight, bias) in enumerate(layers):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight))
            linear.bias.copy_(torch.from_numpy(bias))
        parts += [linear] + ([torch.nn.ReLU()] if k + 1 < len(layers) else [])
    torch.jit.script(torch.nn.Sequential(*parts).eval()).save(path, _extra_files={DESCRIPTION: json.dumps(description(run))})


def write_onnx(run, path):
    onnx = module("onnx", "python3-onnx")
    helper, numbers = onnx.helper, module("onnx.numpy_helper", "python3-onnx")
    layers = network.folded(run.state_dict(), run.manifest)
    nodes, arrays, last = [], [], "pixels"
    for k, (weight, bias) in enumerate(layers):
        arrays += [numbers.from_array(weight, f"weight{k}"), numbers.from_array(bias, f"bias{k}")]
        out = "logits" if k + 1 == len(layers) else f"sum{k}"
        nodes.append(helper.make_node("Gemm", [last, f"weight{k}", f"bias{k}"], [out], transB=1))
        if k + 1 < len(layers):
            nodes.append(helper.make_node("Relu", [out], [f"units{k}"]))
        last = f"units{k}"

    def of_samples(name, width):
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["samples", width])

    graph = helper.make_graph(nodes, "fcmnist", [of_samples("pixels", layers[0][0].shape[1])],
                              [of_samples("logits", layers[-1][0].shape[0])], arrays)
    model = helper.make_model(graph, producer_name="fcmnist_mpi", opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 7
    onnx.checker.check_model(model)
    onnx.save(model, path)


def module(name, package):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise AnalysisError(f"{error}", f"on Debian: apt install {package}, and run this with /usr/bin/python3") from error


def add_arguments(parser):
    parser.add_argument("run", metavar="MODEL_DIR")
    parser.add_argument("--to", choices=KINDS, required=True,
                        help="npz: NumPy; pt: TorchScript, torch.jit.load(FILE)(pixels); safetensors; onnx")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: network.<kind> in the model_dir")


def run(arguments):
    of_run = Run(arguments.run)
    output = arguments.output or os.path.join(arguments.run, f"network.{arguments.to}")
    check_output(output)
    {"npz": write_npz, "safetensors": write_safetensors, "pt": write_pt, "onnx": write_onnx}[arguments.to](of_run, output)
    print(output)
    return 0
