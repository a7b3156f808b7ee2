"""fcmnist report: what came of one or more runs, as one HTML file that needs neither network nor server."""
import base64
import io
import os
import pathlib

import jinja2
import numpy as np
from PIL import Image

from . import files, network, statistics, table
from .errors import AnalysisError
from .run import Run

HERE = pathlib.Path(__file__).resolve().parent
MOST_POINTS = 600  # of a curve: more cannot be told apart on a screen
MOST_MISTAKES, MOST_UNITS, MOST_RANKS = 64, 64, 64
MOST_PAD_WEIGHTS = 1_300_000  # a byte each in the file, and a third more as text
TIMES = {"compute_s": "compute", "wait_s": "wait", "sum_s": "sum", "update_s": "update", "other_s": "messages",
         "data_s": "data", "files_s": "files"}


# In which runs of one scaling test may differ.
MAY_DIFFER = table.UNINTERESTING | {table.SEED, "train_input.batch_size", "train_input.batch_size_per_replica", "eval_input.batch_size", "runconfig.num_replicas",
                                    "runconfig.max_steps", "runconfig.num_epochs"}


# --- numbers for curves ---


def thinned(frame):
    """At most MOST_POINTS rows: means of equal spans, with the step of the last row of each."""
    if len(frame) <= MOST_POINTS:
        return frame
    span = -(-len(frame) // MOST_POINTS)
    place = np.arange(len(frame)) // span
    means = frame.groupby(place).mean()
    means.index = frame.index.to_series().groupby(place).last()
    return means


def series(name, values, color, points=False):
    """A curve for report.js: x, y with null where there is no number."""
    y = [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.to_numpy(dtype=float)]
    return {"name": name, "x": [int(step) for step in values.index], "y": y, "color": color, "points": points}


def set_name(run):
    """What evaluations have scored: "test", "on the train split", ..."""
    return files.scored("", str(run.path)).rstrip(",").strip()


def curves(run):
    """The charts of one run."""
    train, evaluated = thinned(run.train), run.eval
    charts = []
    for column, title, unit, log in (("loss", "Loss", "nats", True), ("accuracy", "Accuracy", "fraction", False)):
        lines = [series("training", train[column], 0)] if len(train) else []
        lines += [series(set_name(run), evaluated[column], 1, points=True)] if len(evaluated) else []
        charts.append({"title": title, "unit": unit, "log": log, "series": lines})
    if len(train):
        charts.append({"title": "Learning rate", "unit": "", "log": False, "series": [series("learning rate", train["learning_rate"], 2)]})
        charts.append({"title": "Throughput", "unit": "samples/s", "log": False, "zero": True,
                       "series": [series("all ranks", train["samples_per_s"], 3)]})
    return [chart for chart in charts if chart["series"]]


def norm_charts(run):
    """Norms of gradient, weights and updates, a curve for each weight matrix."""
    charts = []
    titles = {"gradient": "Gradient norm", "weight": "Weight norm", "update": "Norm of an update"}
    for kind, title in titles.items():
        if kind not in run.norms:
            continue
        frame = run.norms[kind].dropna(how="all")
        names = [name for name in frame.columns if str(name).endswith("weight")] or list(frame.columns)
        frame = thinned(frame[names[:12]])
        charts.append({"title": title, "unit": "2-norm", "log": True,
                       "series": [series(str(name).removesuffix(".weight"), frame[name], k) for k, name in enumerate(frame.columns)]})
    return charts


# --- pictures ---


def picture(image):
    """A PIL image as a data URI."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def mistakes(run):
    """The surest mistakes: {"picture", "sample", "label", "predicted", "probability"}; None if nothing is known of them."""
    wrong = run.wrong()
    if wrong is None:
        return None
    worst = wrong.head(MOST_MISTAKES)
    images = run.images()
    if images is None or (len(worst) and worst.index.max() >= len(images)):
        return None if len(worst) else []
    names = run.class_names
    return [{"picture": picture(Image.fromarray(255 - images[sample])), "sample": int(sample),
             "label": names[row["label"].astype(int)], "predicted": names[row["predicted"].astype(int)],
             "probability": float(row["probability"])} for sample, row in worst.iterrows()]


def diverging(values):
    """Numbers from -1 to 1 as colours: blue, white, red."""
    positive, negative = np.clip(values, 0, 1)[..., None], np.clip(-values, 0, 1)[..., None]
    white, red, blue = (np.array(color, float) for color in ((247, 247, 247), (178, 24, 43), (33, 102, 172)))
    return (white + positive * (red - white) + negative * (blue - white)).round().astype(np.uint8)


def first_layer(run):
    """One picture of the weights of those units of the first layer that have the largest norm, and how many there are."""
    if run.weights is None:
        return None
    height, width = int(run.manifest.get("image_height", 0)), int(run.manifest.get("image_width", 0))
    weights = network.layers(run.weights)[0][0]
    if height * width != weights.shape[1] or height * width > 10_000:
        return None
    chosen = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:MOST_UNITS]
    columns = min(16, len(chosen))
    rows = -(-len(chosen) // columns)
    gap = 2
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for k, unit in enumerate(chosen):
        tile = weights[unit].reshape(height, width)
        top, left = k // columns * (height + gap), k % columns * (width + gap)
        sheet[top:top + height, left:left + width] = diverging(tile / max(np.abs(tile).max(), 1e-30))
    return {"picture": picture(Image.fromarray(sheet)), "shown": len(chosen), "units": len(weights),
            "width": sheet.shape[1], "height": sheet.shape[0]}


# --- parts ---


def pad(run):
    """What the page needs to compute the network: weights in 8 bits with a scale for each unit, biases; None if it is too
    large, or does not take images of 28 x 28."""
    size = (int(run.manifest.get("image_height", 0)), int(run.manifest.get("image_width", 0)))
    known_as = run.manifest.get("test_set", run.manifest.get("training_set"))
    if run.weights is None or size != (28, 28) or known_as != "MNIST" or parameters(run) > MOST_PAD_WEIGHTS:
        return None
    packed = []
    for weight, bias in network.layers(run.weights):
        scale = np.maximum(np.abs(weight).max(axis=1), 1e-30) / 127
        bytes_ = np.round(weight / scale[:, None]).astype(np.int8)
        packed.append({"inputs": weight.shape[1], "outputs": weight.shape[0], "weight": base64.b64encode(bytes_.tobytes()).decode(),
                       "scale": [float(f"{value:.6g}") for value in scale], "bias": [float(f"{value:.6g}") for value in bias]})
    return {"layers": packed, "names": run.class_names,
            **dict(zip(("scale", "mean", "deviation"), network.normalisation(run.manifest)))}


def rank_times(run):
    """Where the time of a step went on each rank: {"parts": [{"rank", "host", "times": {name: ms}, "total"}], "balance"}."""
    if not len(run.ranks):
        return None
    mean = 1e3 * run.ranks.groupby("rank").mean().dropna()
    mean["other_s"] = (mean["exchange_s"] - mean["wait_s"] - mean["sum_s"] - mean["update_s"]).clip(lower=0)
    total = mean[list(TIMES)].sum(axis=1)
    shown = mean.index if len(mean) <= MOST_RANKS else mean["compute_s"].nlargest(MOST_RANKS).index.sort_values()
    parts = [{"rank": int(rank), "times": [(name, float(mean.at[rank, column])) for column, name in TIMES.items()],
              "total": float(total[rank])} for rank in shown]
    compute = mean["compute_s"]
    return {"parts": parts, "longest": float(total.max()), "count": len(mean),
            "balance": float(compute.mean() / compute.max()) if compute.max() > 0 else 1.0, "slowest": int(compute.idxmax()),
            "names": list(TIMES.values())}


def parameters(run):
    return sum(array.size for array in run.weights.values())


def facts(run):
    """What ran, as pairs of words."""
    manifest, config = run.manifest, run.config
    widths = "no checkpoint yet"
    if run.weights is not None:
        layers = network.layers(run.weights)
        widths = " - ".join(map(str, [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]))
        widths += f", {parameters(run):,} parameters"
    batch = files.global_batch(config, manifest)
    hosts = [str(host) for host in manifest.get("hosts", [])]
    described = [
        ("Trained on", f"{manifest.get('training_set', '?')}, {manifest.get('training_set_samples', 0):,} samples"),
        ("Scored on", f"{manifest.get('test_set', 'nothing')}, {manifest.get('test_set_samples', 0):,} samples"),
        ("Network", f"{widths}, dropout {config.get('model.dropout', '0')}, {manifest.get('precision', '?')}"),
        ("Optimizer", f"{config.get('optimizer.optimizer_type', '?')}, momentum {config.get('optimizer.momentum', '0')}, "
                      f"weight decay {config.get('optimizer.weight_decay', '0')}"),
        ("Batch", f"{batch or '?'} samples, all ranks together"),
        ("World", f"{manifest.get('world_size', '?')} rank(s) on {manifest.get('nodes', '?')} node(s): "
                  f"{', '.join(hosts[:4])}{' ...' if len(hosts) > 4 else ''}"),
        ("Processor code", f"{manifest.get('blas', '?')}, {manifest.get('blas_core', '?')}"),
        ("Program", f"{manifest.get('program', 'fcmnist_mpi')} {manifest.get('version', '')} ({str(manifest.get('git_revision', ''))[:12]}), "
                    f"{manifest.get('mpi', '')}"),
        ("Seed", config.get("runconfig.seed", "?")),
        ("Started", manifest.get("started_utc", "?")),
    ]
    return [(name, str(value)) for name, value in described]


def headline(run):
    """The numbers that people look for first: (what, value, remark)."""
    numbers = []
    if len(run.eval):
        last, best = run.eval.iloc[-1], run.eval["accuracy"].idxmax()
        numbers.append((files.scored("accuracy", str(run.path)), f"{100 * last['accuracy']:.2f} %", f"error {100 * (1 - last['accuracy']):.2f} %"))
        numbers.append(("best evaluation", f"{100 * run.eval.at[best, 'accuracy']:.2f} %",
                        f"epoch {int(run.eval.at[best, 'epoch']) + 1}, step {best:,}"))
    if len(run.train):
        numbers.append(("training time", f"{run.train['elapsed_s'].iloc[-1]:,.1f} s", f"{len(run.train):,} rows of metrics"))
        numbers.append(("throughput", f"{run.train['samples_per_s'].median():,.0f}", "samples/s, median"))
    return numbers


def classes(run):
    if run.confusion is None or not run.confusion.to_numpy().sum() or len(run.confusion) > 50:
        return None
    counts = run.confusion.to_numpy()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [[{"count": int(counts[i, j]), "shade": round(float(share[i, j]) ** 0.4, 3), "right": i == j}
              for j in range(len(counts))] for i in range(len(counts))]
    return {"names": run.class_names, "cells": cells, "scores": statistics.class_scores(counts, run.class_names)}


def page_of(run):
    """Everything that the page says of one run."""
    found = run.predictions
    return {"name": str(run.path), "headline": headline(run), "facts": facts(run), "curves": curves(run),
            "ranks": rank_times(run), "classes": classes(run), "mistakes": mistakes(run),
            "mistake_count": None if found is None else int((found["label"] != found["predicted"]).sum()),
            "sample_count": 0 if found is None else len(found),
            "calibration": None if found is None else statistics.calibration(run.probabilities, found["label"].to_numpy()),
            "first_layer": first_layer(run), "norms": norm_charts(run), "pad": pad(run)}


# --- several runs ---


def short_names(runs):
    """The ends of their paths that tell them apart."""
    paths = [run.path.resolve() for run in runs]
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return dict(zip(runs, names))


def overlays(runs, names):
    charts = []
    scored = {set_name(run) for run in runs if len(run.eval)}
    of = f" ({scored.pop()})" if len(scored) == 1 else ""
    for column, title, unit, log in (("loss", f"Loss{of}", "nats", True), ("accuracy", f"Accuracy{of}", "fraction", False)):
        lines = [series(names[run], run.eval[column], k, points=True) for k, run in enumerate(runs) if len(run.eval)]
        charts.append({"title": title, "unit": unit, "log": log, "series": lines})
    lines = [series(names[run], thinned(run.train)["loss"], k) for k, run in enumerate(runs) if len(run.train)]
    charts.append({"title": "Training loss", "unit": "nats", "log": True, "series": lines})
    return [chart for chart in charts if chart["series"]]


def tests_against_best(runs, names):
    """McNemar's test of each run against the most accurate one, on the images that both have scored."""
    known = [run for run in runs if run.predictions is not None]
    if len(known) < 2:
        return None
    correct = {run: (run.predictions["label"] == run.predictions["predicted"]).to_numpy() for run in known}
    best = max(known, key=lambda run: correct[run].mean())
    rows = []
    for run in known:
        same_set = run.manifest.get("test_set_sha256") == best.manifest.get("test_set_sha256")
        if run is best or not same_set or len(correct[run]) != len(correct[best]):
            continue
        only_best, only_this, p = statistics.mcnemar(correct[best], correct[run])
        rows.append({"name": names[run], "only_best": only_best, "only_this": only_this, "p": p})
    return {"best": names[best], "rows": rows} if rows else None


def scaling(runs):
    """Runs of one configuration in different worlds: throughput, speed-up and efficiency against the smallest world."""
    groups = {}
    for run in runs:
        alike = tuple((key, value) for key, value in run.config.items() if key not in MAY_DIFFER)
        if len(run.train):
            groups.setdefault(alike, {}).setdefault(int(run.manifest.get("world_size", 0)), []).append(run)
    worlds = max(groups.values(), key=len, default={})
    if len(worlds) < 2:
        return None
    rates = {ranks: float(np.median([run.train["samples_per_s"].median() for run in same])) for ranks, same in sorted(worlds.items())}
    least = min(rates)
    batches = {files.global_batch(run.config, run.manifest) for same in worlds.values() for run in same}
    rows = [{"ranks": ranks, "rate": rate, "speed_up": rate / rates[least], "efficiency": rate / rates[least] * least / ranks}
            for ranks, rate in rates.items()]
    return {"kind": "strong (one global batch)" if len(batches) == 1 else "weak (the batch grows with the ranks)", "rows": rows}


def write(runs, path):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True,
                                     undefined=jinja2.StrictUndefined)
    several = None
    if len(runs) > 1:
        rows, columns = table.make([str(run.path) for run in runs])
        names = short_names(runs)
        several = {"overlays": overlays(runs, names), "rows": rows, "columns": columns, "tests": tests_against_best(runs, names),
                   "scaling": scaling(runs)}
    html = environment.get_template("report.html").render(
        several=several, run=page_of(runs[0]) if len(runs) == 1 else None, text_of=table.text_of,
        title=str(runs[0].path) if len(runs) == 1 else f"{len(runs)} runs",
        css=(HERE / "report.css").read_text(encoding="utf-8"), js=(HERE / "report.js").read_text(encoding="utf-8"))
    page = html.encode("utf-8", errors="backslashreplace")  # of paths that are no UTF-8
    with open(path, "wb") as file:
        file.write(page)


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("-o", "--output", metavar="HTML",
                        help="default: report.html in the model_dir, of several runs in this directory")


def run(arguments):
    paths = table.expanded(arguments.runs)
    output = arguments.output or (os.path.join(paths[0], "report.html") if len(paths) == 1 else "report.html")
    if not output.lower().endswith((".html", ".htm")):
        raise AnalysisError(f"-o {output}: not the name of a page", "write a name such as report.html")
    write([Run(path) for path in paths], output)
    print(output)
    return 0
