"""The report as pictures for papers, one for each chart."""
import os

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (after the choice of the backend)

from .plot import check_picture, draw_confusion, literal, save  # noqa: E402
from .several import SeveralFacts  # noqa: E402

# Those of the page: of Paul Tol's "bright" scheme, which the colour-blind can tell apart.
COLORS = ("#4477aa", "#ee6677", "#228833", "#bb9900", "#33a6cc", "#aa3377", "#8a8f99")
DASHES = ("-", "--", ":", "-.")  # for more curves than colours
STYLE = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.25,
         "axes.titlesize": 10, "axes.axisbelow": True, "legend.frameon": False,
         "figure.constrained_layout.h_pad": 0.07}


def line_style(number):
    return {"color": COLORS[number % len(COLORS)], "linestyle": DASHES[number // len(COLORS) % len(DASHES)]}


def legend(axes, lines, names, **options):
    """Names as they are: matplotlib hides those that begin with "_" if it is given them at first."""
    box = axes.legend(lines, [str(k) for k in range(len(names))], **options)
    for text, name in zip(box.get_texts(), names):
        text.set_text(literal(name))


def plain(axis):
    """Numbers such as 0.05 or 20,000 beside an axis, not powers."""
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:,.6g}"))


def one_axes(width=5.2, height=3.2):
    return plt.subplots(figsize=(width, height), constrained_layout=True)


def curves(chart):
    figure, axes = one_axes()
    lines = []
    for one in chart.series:
        y = [np.nan if value is None else value for value in one.y]
        lines += axes.plot(one.x, y, marker="o" if one.points else None, markersize=3, linewidth=1.1, **line_style(one.color))
    if chart.log and any(value and value > 0 for one in chart.series for value in one.y):
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        if high / low < 1e3:  # few powers of 10: names numbers between them too
            axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 3, 5, 7) if high / low < 10 else (1, 2, 5)))
            axes.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
            plain(axes.yaxis)
    else:
        plain(axes.yaxis)
    if chart.zero or chart.low is not None:
        axes.set_ylim(bottom=chart.low or 0)
    plain(axes.xaxis)
    axes.set_xlabel("step")
    axes.set_ylabel(f"{chart.title.lower().split(',')[0].split(' (')[0]}{f' ({chart.unit})' if chart.unit else ''}")
    axes.set_title(chart.title)
    if len(chart.series) > 1:
        legend(axes, lines, [one.name for one in chart.series])
    return figure


def time_per_rank(times):
    figure, axes = one_axes(height=max(1.6, 1.2 + 0.22 * len(times.shown)))
    names = [f"rank {row[0]}" for row in times.shown]
    begin = np.zeros(len(names))
    for k, part in enumerate(times.parts):
        widths = np.array([row[1 + k] for row in times.shown])
        axes.barh(names, widths, left=begin, color=COLORS[k], label=part)
        begin += widths
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("ms per step")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=len(times.parts), fontsize=7, columnspacing=0.8, handlelength=1, borderpad=0)
    return figure


def confusion(facts):
    size = max(4.2, 0.42 * len(facts.counts))
    figure, axes = one_axes(size, size)
    axes.grid(False)
    draw_confusion(axes, facts.run.eval.index, [facts.counts], facts.run.class_names)
    return figure


def calibration(found):
    figure, axes = one_axes(3.8, 3.8)
    most = max(found.samples)
    axes.plot([0, 100], [0, 100], linestyle="--", color=COLORS[6], linewidth=1)
    axes.scatter(100 * np.array(found.confidence), 100 * np.array(found.accuracy), zorder=2, color=COLORS[0], alpha=0.75,
                 s=[8 + 160 * samples / most for samples in found.samples])
    axes.set_aspect("equal")
    axes.set_xlabel("probability that the network gives (%)")
    axes.set_ylabel("how often it is right (%)")
    axes.set_title(f"Expected calibration error {100 * found.expected_error:.2f} %")
    return figure


def first_layer(layer):
    height, width = layer.sheet.shape[:2]
    figure, axes = one_axes(5.2, max(1.2, 5.2 * height / width + 0.3))
    axes.imshow(layer.sheet, interpolation="nearest")
    axes.set_axis_off()
    axes.set_title(f"Weights of {layer.shown} of {layer.units} units of layer 1: red positive, blue negative", fontsize=8)
    return figure


def mistakes(found):
    columns = 8
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(0.85 * columns, 1.1 * rows), squeeze=False, constrained_layout=True)
    for place in axes.flat:
        place.set_axis_off()
    for place, one in zip(axes.flat, found):
        place.imshow(one.image, cmap="gray", vmin=0, vmax=255)
        place.set_title(f"{literal(str(one.label))} as {literal(str(one.predicted))}\n{100 * one.probability:.1f} %", fontsize=6)
    return figure


def scaling(table):
    """Speed-up and efficiency of each series of a table of scaling.py."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), constrained_layout=True)
    names, ranks, speed_up, efficiency = (np.array(table.column(name)) for name in ("series", "ranks", "speed_up", "efficiency"))
    lines, series = [], list(dict.fromkeys(names.tolist()))
    for k, name in enumerate(series):
        mine = names == name
        lines += left.plot(ranks[mine], speed_up[mine], marker="o", **line_style(k))
        right.plot(ranks[mine], efficiency[mine], marker="o", **line_style(k))
        left.plot(ranks[mine], ranks[mine] / ranks[mine][0], linestyle=":", linewidth=1, color=COLORS[6], zorder=1)
    left.set_xscale("log", base=2)
    left.set_yscale("log", base=2)
    right.set_xscale("log", base=2)
    right.set_ylim(0, max(105, 1.05 * efficiency.max()))
    right.axhline(100, linestyle=":", linewidth=1, color=COLORS[6], zorder=1)
    for axis in (left.xaxis, left.yaxis, right.xaxis):
        plain(axis)
        axis.set_minor_locator(matplotlib.ticker.NullLocator())
    for axes, title, label in ((left, "Speed-up; dotted: ideal", "against the smallest world"), (right, "Efficiency", "%")):
        axes.set_xticks(sorted(set(ranks.tolist())))
        axes.set_xlabel("ranks")
        axes.set_title(title)
        axes.set_ylabel(label)
    legend(left, lines, series, fontsize=7)
    return figure


def of_one(facts):
    """(name, title, figure) of each picture, drawn when its turn comes."""
    for chart in facts.charts():
        yield chart.name, chart.title, curves(chart)
    if facts.counts is not None:
        yield "confusion", "Confusion matrix", confusion(facts)
    for name, title, found, draw in (("calibration", "Calibration", facts.calibration, calibration),
                                     ("mistakes", "The surest mistakes", facts.mistakes, mistakes),
                                     ("time_per_rank", "Where the time goes", facts.ranks, time_per_rank),
                                     ("first_layer", "What layer 1 has learned", facts.first_layer, first_layer)):
        if found:
            yield name, title, draw(found)


def of_several(facts):
    for chart in facts.charts():
        yield chart.name, chart.title, curves(chart)
    if facts.scaling:
        yield "scaling", "Scaling", scaling(facts.scaling)


def write(directory, facts):
    """{title: file}"""
    written = {}
    with plt.rc_context(STYLE):
        for name, title, figure in (of_several if isinstance(facts, SeveralFacts) else of_one)(facts):
            written[title] = os.path.join(directory, f"{name}.png")
            save(figure, written[title])
            plt.close(figure)
    return written


def write_scaling(path, table):
    check_picture(path)
    with plt.rc_context(STYLE):
        save(scaling(table), path)
