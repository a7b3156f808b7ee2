"""The network of a run, computed with NumPy."""
import numpy as np

from .errors import AnalysisError


def layers(weights):
    """(weight, bias) of each layer, first to last; a model without biases has zeros.
        weights   {"fc_layers.0.weight": (outputs x inputs), ...}
    """
    names = sorted((name.removesuffix(".weight") for name in weights if name.endswith(".weight")),
                   key=lambda name: int(name.split(".")[1]) if name.startswith("fc_layers.") else len(weights))
    return [(weights[f"{name}.weight"], weights.get(f"{name}.bias", np.zeros(len(weights[f"{name}.weight"]), np.float32)))
            for name in names]


def normalisation(manifest):
    """scale, mean, deviation: the network is given (pixel / scale - mean) / deviation."""
    try:
        return tuple(float(manifest[f"pixel_{name}"]) for name in ("scale", "mean", "deviation"))
    except KeyError as error:
        raise AnalysisError(f"the files of this run do not say how pixels are normalised ({error})",
                            "older releases did not write it; a run that goes on, for example with a larger --max_steps, does") from error


def folded(weights, manifest):
    """The same network for raw pixels, 0 to 255: the normalisation is part of the first layer, in float64 until the end."""
    scale, mean, deviation = normalisation(manifest)
    (first, bias), *rest = layers(weights)
    first64 = first.astype(np.float64)
    inside = (first64 / (scale * deviation), bias - mean / deviation * first64.sum(axis=1))
    return [tuple(array.astype(np.float32) for array in layer) for layer in (inside, *rest)]


def logits(pixels, weights, manifest):
    """Outputs of the last layer (samples x classes).
        pixels   (samples x pixels), 0 to 255
    """
    scale, mean, deviation = normalisation(manifest)
    values = ((np.asarray(pixels, np.float32) / scale - mean) / deviation).astype(np.float32)
    *hidden, (last, last_bias) = layers(weights)
    for weight, bias in hidden:
        values = np.maximum(values @ weight.T + bias, 0)
    return values @ last.T + last_bias


def softmax(outputs):
    powers = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)
