"""fcmnist plot: draws the curves of a run: loss, accuracy, learning rate, confusion matrix, where the time went."""
import io
import os

import matplotlib
import numpy as np

from . import files
from .errors import AnalysisError, check_output

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the choice of the backend)
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402

TRAIN, EVAL, OTHER = "#4477aa", "#cc3311", "#666666"  # distinguishable for all readers, and in print
TIMES = {"compute_s": "compute", "exchange_s": "exchange", "data_s": "data", "files_s": "files"}
TIME_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44")


def smoothed(values):
    """Mean over a centred window of 2 % of the rows, narrower at the ends; missing numbers are left out."""
    window = max(1, len(values) // 50) | 1
    return values.rolling(window, center=True, min_periods=1).mean()


def draw_curve(axes, train, evaluated, column, train_label, set_name):
    """Raw numbers pale, their smoothed curve strong, evaluations as points."""
    axes.plot(train.index, train[column], color=TRAIN, alpha=0.2, linewidth=0.6)
    axes.plot(train.index, smoothed(train[column]), color=TRAIN, label=train_label)
    axes.plot(evaluated.index, evaluated[column], "o-", color=EVAL, markersize=4, linewidth=1, label=set_name)
    axes.set_xlabel("step")
    axes.legend(frameon=False)


def draw_loss(axes, train, evaluated, set_name):
    draw_curve(axes, train, evaluated, "loss", "training, smoothed", set_name)
    axes.set_ylabel("loss (nats)")
    if (smoothed(train["loss"]) > 0).any():
        axes.set_yscale("log")
    axes.set_title("Loss")


def draw_accuracy(axes, train, evaluated, set_name):
    draw_curve(axes, 100 * train, 100 * evaluated, "accuracy", "training, smoothed", set_name)
    # train and evaluated were scaled as a whole, their index was not.
    best = [frame["accuracy"].max() for frame in (train, evaluated) if len(frame)]
    worst = [smoothed(train["accuracy"]).quantile(0.05)] if len(train) else []
    worst += [evaluated["accuracy"].min()] if len(evaluated) else []
    low = 100 * min(worst, default=0)
    axes.set_ylim(max(0, low - 0.3 * (100 - low)), 100 + 0.05 * (100 - low) if max(best, default=1) > 0.5 else None)
    axes.set_ylabel("accuracy (%)")
    last = f"(last {set_name}: {100 * evaluated['accuracy'].iloc[-1]:.2f} %)" if len(evaluated) else ""
    axes.set_title(f"Accuracy {last}".strip())
    axes.legend(frameon=False, loc="lower right")


def draw_learning_rate(axes, train):
    axes.plot(train.index, train["learning_rate"], color=OTHER)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_ylabel("learning rate")
    axes.set_title("Learning rate")


def draw_grad_norm(axes, train):
    axes.plot(train.index, train["grad_norm"], color=TRAIN, alpha=0.2, linewidth=0.6)
    axes.plot(train.index, smoothed(train["grad_norm"]), color=TRAIN)
    if (train["grad_norm"] > 0).any():
        axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("2-norm of the gradient")
    axes.set_title("Gradient norm, smoothed")


def draw_confusion(axes, steps, matrices, names=None):
    """Counts; the shade is the share of the true class, so that errors show beside the large diagonal. Classes have numbers
    instead of names where there are none."""
    if not len(steps):
        axes.text(0.5, 0.5, "no evaluation", ha="center", va="center", transform=axes.transAxes, color=OTHER)
        axes.set_axis_off()
        return
    counts = matrices[-1]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", norm=matplotlib.colors.PowerNorm(0.4, 0, 1))
    classes = len(counts)
    if classes <= 12:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if share[row, column] > 0.2 else "black"
                axes.text(column, row, count, ha="center", va="center", fontsize=7, color=color)
        labels = list(map(literal, names or map(str, range(classes))))
        axes.set_xticks(range(classes), labels, rotation=90 if max(map(len, labels)) > 3 else 0)
        axes.set_yticks(range(classes), labels)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"Confusion at step {steps[-1]} (images)")


def draw_times(axes, train):
    """Where a step's time goes, as the run went on: means of at most 40 spans of rows."""
    if not len(train):
        axes.set_axis_off()
        return
    spans = np.array_split(np.arange(len(train)), min(40, len(train)))
    steps = [train.index[span].to_numpy().mean() for span in spans]
    columns = [[1e3 * train[name].iloc[span].mean() for span in spans] for name in TIMES]
    axes.stackplot(steps, columns, labels=TIMES.values(), colors=TIME_COLORS)
    total = [sum(column) for column in zip(*columns)]
    axes.set_ylim(0, 1.3 * np.nanpercentile(total, 90) or 1)
    axes.margins(x=0)
    axes.set_xlabel("step")
    axes.set_ylabel("ms per step, rank 0")
    axes.set_title("Time split")
    axes.legend(frameon=False, ncol=2, loc="upper right")


def draw(path):
    tables = files.metrics(path)
    train, evaluated = tables["train"], tables["eval"]
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
                         "grid.alpha": 0.25, "axes.titlesize": 10, "axes.axisbelow": True})
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.5), constrained_layout=True)
    set_name = files.scored("", path).removesuffix(",").strip()  # "test", "on the train split"
    draw_loss(axes[0, 0], train, evaluated, set_name)
    draw_accuracy(axes[0, 1], train, evaluated, set_name)
    draw_learning_rate(axes[0, 2], train)
    draw_grad_norm(axes[1, 0], train)
    draw_times(axes[1, 1], train)
    axes[1, 2].grid(False)
    draw_confusion(axes[1, 2], *files.confusion(path))
    figure.suptitle(literal(path))
    return figure


def picture_of(path, output):
    """Where the picture of a file goes: beside it, or to what -o names."""
    own_name = os.path.splitext(os.path.basename(path))[0] + ".png"
    if not output:
        return os.path.join(os.path.dirname(path), own_name)
    if os.path.isdir(output):
        return os.path.join(output, own_name)
    check_picture(output)
    return output


def check_picture(output):
    """Nothing is written over a file that is no picture, such as an h5."""
    output = os.fspath(output)
    kinds = FigureCanvasAgg.get_supported_filetypes()
    if kind_of(output) not in kinds:
        raise AnalysisError(f"{output}: not the name of a picture",
                            f"write a name such as metrics.png or metrics.pdf ({', '.join(sorted(kinds))})")
    check_output(output)


def literal(text):
    """The same for matplotlib, to which "$" begins a formula."""
    return text.replace("$", r"\$")


def kind_of(output):
    return os.path.splitext(output)[1].lstrip(".").lower() or "png"


def save(figure, output):
    check_output(output)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format=kind_of(output))
    with open(output, "wb") as file:  # only now, so that an error leaves the old picture
        file.write(picture.getvalue())


def add_arguments(parser):
    parser.add_argument("source", metavar="MODEL_DIR_OR_FILE")
    parser.add_argument("-o", "--output", metavar="PNG",
                        help="picture, or directory for it; default: beside the file, with its name (metrics.png)")


def run(arguments):
    path = files.metrics_file(arguments.source)
    if not os.path.exists(path) and os.path.isdir(arguments.source) and files.runs_in(arguments.source):
        raise AnalysisError(f"{arguments.source}: a directory of runs, and a picture is of one",
                            f"name one run, or fcmnist report {arguments.source}")
    output = picture_of(path, arguments.output)
    if files.verify(path) != "metrics":
        raise AnalysisError(f"{path}: no metrics", "curves are drawn from metrics.h5 or an evaluation.h5")
    save(draw(path), output)
    print(output)
    return 0
