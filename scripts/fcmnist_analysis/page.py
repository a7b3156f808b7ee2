"""The report as one HTML page that needs neither network nor server."""
import base64
import dataclasses
import io
import pathlib

import jinja2
import markupsafe
import numpy as np
from PIL import Image

from . import files, network
from .facts import parameters

HERE = pathlib.Path(__file__).resolve().parent
MOST_PAD_WEIGHTS = 1_300_000  # a byte each in the file, and a third more as text


def picture(pixels):
    """An array of bytes as a data URI."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def breakable(text):
    """The same, whose lines may break behind the dots and underscores of settings."""
    return markupsafe.Markup(str(markupsafe.escape(text)).replace(".", ".<wbr>").replace("_", "_<wbr>"))


def headline(run):
    """The numbers that people look for first: (what, value, remark)."""
    found, numbers = run.results, []
    if found.accuracy is not None:
        numbers.append((files.scored("accuracy", str(run.path)), f"{found.right.value:.2f} %", f"error {found.wrong.value:.2f} %"))
        numbers.append(("best evaluation", f"{100 * found.best_accuracy:.2f} %",
                        f"epoch {found.best_epoch}, step {found.best_step:,}"))
    if found.elapsed_s is not None:
        numbers.append(("training time", f"{found.elapsed_s:,.1f} s", f"{found.steps:,} steps"))
        numbers.append(("throughput", f"{found.samples_per_s:,.0f}", "samples/s, median"))
    return numbers


def confusion_cells(counts):
    """Cells of the confusion matrix. The shade is the share of the true class, so that errors show beside the diagonal."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return [[{"count": int(counts[i, j]), "shade": round(float(share[i, j]) ** 0.4, 3), "right": i == j}
             for j in range(len(counts))] for i in range(len(counts))]


def pad(run):
    """What the page needs to compute the network: weights in 8 bits with a scale for each unit, biases; None if it is too
    large, does not take images of 28 x 28, or is of a release that does not say how pixels are normalised."""
    size = (int(run.manifest.get("image_height", 0)), int(run.manifest.get("image_width", 0)))
    known_as = run.manifest.get("test_set", run.manifest.get("training_set"))
    if run.weights is None or size != (28, 28) or known_as != "MNIST" or "pixel_scale" not in run.manifest:
        return None
    if parameters(run) > MOST_PAD_WEIGHTS:
        return None
    packed = []
    for weight, bias in network.layers(run.weights):
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-30) / 127
        bytes_ = np.round(weight / scale[:, None]).astype(np.int8)
        packed.append({"inputs": weight.shape[1], "outputs": weight.shape[0], "weight": base64.b64encode(bytes_.tobytes()).decode(),
                       "scale": [float(f"{value:.6g}") for value in scale], "bias": [float(f"{value:.6g}") for value in bias]})
    return {"layers": packed, "names": run.class_names,
            **dict(zip(("scale", "mean", "deviation"), network.normalisation(run.manifest)))}


def write(path, title, one, several):
    """
        one       Facts of the run, or None
        several   SeveralFacts of the runs, or None
    """
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    html = environment.get_template("report.html").render(
        title=title, one=one, several=several, headline=headline(one.run) if one else [], pad=pad(one.run) if one else None,
        cells=confusion_cells(one.counts) if one and one.counts is not None else None, picture=picture, breakable=breakable, as_dict=dataclasses.asdict,
        css=(HERE / "report.css").read_text(encoding="utf-8"), js=(HERE / "report.js").read_text(encoding="utf-8"))
    page = html.encode("utf-8", errors="backslashreplace")  # of paths that are no UTF-8
    with open(path, "wb") as file:
        file.write(page)
