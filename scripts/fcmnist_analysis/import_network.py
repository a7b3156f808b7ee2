"""fcmnist import: a network that PyTorch has trained, as a checkpoint of fcmnist_mpi. It reads a state_dict in a .pt, an .npz or
a .safetensors file: Linear layers with ReLU between them. Nothing in the file is run.

Names of layers: fc_layers.<k> and last_layer, as the reference has them; names that differ in their numbers only; or any
names, in the order of the file. A file says neither activation nor dropout. ReLU is assumed; dropout is a matter of the
configuration that trains it further."""
import hashlib
import os
import re
import shlex

import numpy as np

from . import checkpoint_writer, foreign_files
from .errors import AnalysisError

OF_THE_FILE = "pixels from 0 to 255"  # in the description that fcmnist export writes
OURS = (255.0, 0.1307, 0.3081)
PIXELS = {"normalised": OURS, "0-1": (255.0, 0.0, 1.0), "0-255": (1.0, 0.0, 1.0)}


def linear_layers(found, path):
    """[(name, weight, bias or None)] first to last; whatever is no sequence of Linear layers is an error."""
    layers = {}
    for name, array in found.arrays.items():
        if not name.isprintable():  # it will be printed, and must not move the cursor
            raise AnalysisError(f"{path}: found an array named {name!r}, expected a name that can be printed", foreign_files.SAVE)
        prefix, _, kind = name.rpartition(".")
        dimensions = {"weight": 2, "bias": 1}.get(kind)
        if array.ndim != dimensions or array.dtype.kind != "f" or not array.size:
            raise AnalysisError(f"{path}: {name}: found {shape_of(array)} {array.dtype}, expected nothing but weight (outputs x "
                                "inputs) and bias (outputs) of Linear layers", "the network of fcmnist_mpi has no other layers")
        with np.errstate(over="ignore"):
            layers.setdefault(prefix, {})[kind] = array.astype(np.float32)
        if not np.isfinite(layers[prefix][kind]).all():
            raise AnalysisError(f"{path}: {name}: found numbers that are not finite, expected finite ones of float32",
                                "the training that wrote it has diverged; take an earlier state")
    if not layers:
        raise AnalysisError(f"{path}: found no array, expected weights and biases of Linear layers", foreign_files.SAVE)
    for name, layer in layers.items():
        if "weight" not in layer:
            raise AnalysisError(f"{path}: {name}.bias: found no weight for it, expected {name}.weight", foreign_files.SAVE)
    ordered = [(name, layers[name]["weight"], layers[name].get("bias")) for name in in_order(list(layers), found, path)]
    check_sizes(ordered, path)
    return ordered


def shape_of(array):
    return " x ".join(map(str, array.shape)) or "a single number,"


def in_order(names, found, path):
    """Names of layers, first to last."""
    reference = [re.fullmatch(r"(.*?)(?:fc_layers\.(\d+)|last_layer)", name) for name in names]
    if all(reference) and len({match[1] for match in reference}) == 1:
        return sorted(names, key=lambda name: float(match[2]) if (match := reference[names.index(name)])[2] else float("inf"))
    if len({re.sub(r"\d+", "#", name) for name in names}) == 1:
        return sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
    if found.is_ordered:
        return names
    raise AnalysisError(f"{path}: found layers {', '.join(names)}, expected names that differ in a number only, since safetensors "
                        "keeps no order", "torch.save(model.state_dict(), FILE) keeps it; or name them layers.0, layers.1, ...")


def check_sizes(layers, path):
    below = None
    for name, weight, bias in layers:
        if below and weight.shape[1] != below[1]:
            raise AnalysisError(f"{path}: {name}.weight: found {weight.shape[1]} inputs, expected {below[1]}, the outputs of "
                                f"{below[0]} before it", "the layers must follow each other; rename them if their order is wrong")
        if bias is not None and len(bias) != len(weight):
            raise AnalysisError(f"{path}: {name}.bias: found {len(bias)} numbers, expected {len(weight)}, the outputs of "
                                f"{name}.weight", foreign_files.SAVE)
        if (bias is None) != (layers[0][2] is None):
            raise AnalysisError(f"{path}: {name}: found {'no bias' if bias is None else 'a bias'}, expected "
                                f"{'one' if bias is None else 'none'} as in {layers[0][0]}",
                                "fcmnist_mpi has biases in all layers or in none (model.use_bias)")
        below = name, len(weight)


def pixels_of(text, found, path):
    """scale, mean, deviation of what the network of the file is given: (pixel / scale - mean) / deviation."""
    says = "0-255" if str(found.description.get("input", "")).startswith(OF_THE_FILE) else None
    if text and says and text != says:
        raise AnalysisError(f"{path}: its network takes pixels {says}, as the file says, but found --pixels {text}",
                            "leave --pixels out: the file was written by fcmnist export")
    text = text or says or "normalised"
    if text in PIXELS:
        return text, PIXELS[text]
    match = re.fullmatch(r"([^,]+),([^,]+)", text)
    try:
        mean, deviation = map(float, match.groups())
        if not (np.isfinite(mean) and 0 < deviation < float("inf")):
            raise ValueError(text)
    except (ValueError, AttributeError) as error:
        raise AnalysisError(f"--pixels: found {text}, expected {', '.join(PIXELS)} or MEAN,DEVIATION",
                            "what torchvision.transforms.Normalize was given, for example --pixels 0.5,0.5") from error
    return text, (255.0, mean, deviation)


def for_our_pixels(layers, theirs):
    """The same network for pixels as fcmnist_mpi normalises them: the difference becomes part of the first layer, in float64
    until the end. Both kinds of numbers are linear in the pixel, so nothing is lost but rounding."""
    if theirs == OURS:
        return layers
    (weight, bias), *rest = layers
    (scale, mean, deviation), (our_scale, our_mean, our_deviation) = theirs, OURS
    factor = our_deviation * our_scale / scale / deviation
    shift = (our_mean * our_scale / scale - mean) / deviation
    weight64 = weight.astype(np.float64)
    if bias is None:
        raise AnalysisError("the first layer has no bias, so it cannot take over another normalisation of pixels",
                            "retrain it with pixels (v / 255 - 0.1307) / 0.3081, or with biases")
    return [((weight64 * factor).astype(np.float32), (bias + shift * weight64.sum(axis=1)).astype(np.float32)), *rest]


def add_arguments(parser):
    parser.add_argument("file", metavar="FILE", help=".pt (state_dict or TorchScript), .npz or .safetensors")
    parser.add_argument("-o", "--output", metavar="CHECKPOINT.h5", help="default: beside FILE, with its name")
    parser.add_argument("--pixels", metavar="KIND",
                        help="what the network was given: normalised, (v / 255 - 0.1307) / 0.3081 (default); 0-1, v / 255, as "
                             "ToTensor makes it; 0-255; or MEAN,DEVIATION as given to Normalize. It is converted to ours. Files of "
                             "fcmnist export say it themselves")


def run(arguments):
    path = arguments.file
    output = arguments.output or os.path.splitext(path)[0] + ".h5"
    if not output.endswith(".h5"):
        raise AnalysisError(f"-o: found {output}, expected the name of a checkpoint", "write a name such as network.h5")
    found = foreign_files.read(path)
    layers = linear_layers(found, path)
    pixels, theirs = pixels_of(arguments.pixels, found, path)
    converted = for_our_pixels([(weight, bias) for _, weight, bias in layers], theirs)
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    entries = {"program": "fcmnist import", "imported_from": os.path.basename(path), "imported_sha256": digest}
    side = int(np.sqrt(layers[0][1].shape[1]))
    if side * side == layers[0][1].shape[1]:
        entries |= {"image_height": side, "image_width": side}
    checkpoint_writer.write(output, converted, entries)
    print("\n".join(summary(output, layers, pixels, path)))
    return 0


def summary(output, layers, pixels, path):
    """What was made of what, what was assumed, and how to go on."""
    sizes = [layers[0][1].shape[1], *(len(weight) for _, weight, _ in layers)]
    count = sum(weight.size + (0 if bias is None else len(bias)) for _, weight, bias in layers)
    yield f"{output}: {' - '.join(map(str, sizes))}, {count:,} parameters"
    for ours, (name, weight, _) in zip(checkpoint_writer.names_of(len(layers)), layers):
        yield f"  {ours:12} from {name or path}: {shape_of(weight)}"
    yield f"assumed: ReLU between the layers; pixels {pixels}" + ("" if pixels == "normalised" else ", converted to ours")
    yield "score it:  fcmnist_mpi -m eval --checkpoint_path " + shlex.quote(output)
    model = f"model.hidden_sizes='{sizes[1:-1]}' model.num_classes={sizes[-1]}"
    model += "" if layers[0][2] is not None else " model.use_bias=False"
    yield f"train on:  fcmnist_mpi -o NEW_MODEL_DIR --checkpoint_path {shlex.quote(output)} --is_pretrained_checkpoint {model}"
