#!/usr/bin/python3
"""Simulates training on clusters that are not there: the program's own exchange on SimGrid's hosts (tests/sim/README.md).

    scripts/simulate.py --nodes 1,2,4,8 --ranks-per-node 16 --out model_dir/simulate

fcmnist_mpi --validate_only measures the step of a rank that has a core of its own, by the speed of a core here. For each number of
nodes, network and batch fcmnist_simulate then runs steps that take so long. Writes points.h5, one row for each
point, and plots as PNG and SVG. Prints a table, and how far the forecast is from the simulation. Needs python3-h5py and
python3-matplotlib.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

SOURCE = pathlib.Path(__file__).resolve().parents[1]
NUMBER_BYTES = {"float32": 4, "bfloat16": 2}
FORECASTS = 3  # of each batch


class Failed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Network:
    gbit_s: float
    latency_us: float

    def __str__(self):
        return f"{self.gbit_s:g} Gbit/s, {self.latency_us:g} us"


@dataclasses.dataclass(frozen=True)
class Series:
    kind: str  # "weak": samples of a rank; "strong": samples of a step
    samples: int

    def setting(self):
        return f"train_input.batch_size{'_per_replica' if self.kind == 'weak' else ''}={self.samples}"

    def __str__(self):
        return f"{self.samples:,} samples per {'rank' if self.kind == 'weak' else 'step'}"


@dataclasses.dataclass
class Point:
    """One batch, network and world, and what was found of it: seconds."""
    series: Series
    network: Network
    nodes: int
    ranks_per_node: int
    forecast: dict
    simulated: dict = None  # none of one node

    def ranks(self):
        return self.nodes * self.ranks_per_node

    def step_samples(self):
        return self.series.samples * (self.ranks() if self.series.kind == "weak" else 1)

    def busy_s(self):
        """Of a step, without the network."""
        return sum(self.forecast[name] for name in ("data_s", "compute_s", "update_s"))

    def gradient_bytes(self):
        return sum(self.forecast["part_numbers"]) * NUMBER_BYTES[self.forecast["wire_type"]]

    def bound_s(self):
        """Of the sum of a gradient: the least bytes, and ceil(log2 P) messages one after the other."""
        sent = 2 * (self.nodes - 1) / self.nodes * self.gradient_bytes()
        return sent / (self.network.gbit_s * 1e9 / 8) + math.ceil(math.log2(self.nodes)) * self.network.latency_us * 1e-6

    def row(self):
        found = self.simulated or dict.fromkeys(("exposed_s", "predicted_exposed_s", "exchange_s", "ring_s", "allreduce_s"), 0.0)
        step_s = found.get("step_s", self.busy_s())
        return {
            "nodes": self.nodes, "ranks": self.ranks(), "weak": int(self.series.kind == "weak"), "samples": self.series.samples,
            "network_gbit_s": self.network.gbit_s, "network_latency_us": self.network.latency_us, "step_samples": self.step_samples(),
            "step_s": step_s, "busy_s": self.busy_s(), "exposed_s": found["exposed_s"], "efficiency": self.busy_s() / step_s,
            "samples_per_s": self.step_samples() / step_s, "forecast_step_s": self.busy_s() + found["predicted_exposed_s"],
            "forecast_network_s": found["predicted_exposed_s"], "exchange_s": found["exchange_s"], "ring_s": found["ring_s"],
            "allreduce_s": found["allreduce_s"], "bound_s": self.bound_s(),
            "flop_per_gradient_byte": self.forecast["flop_per_gradient_byte"],
        }


MEANINGS = {
    "nodes": ("1", "simulated nodes"), "ranks": ("1", "ranks that they stand for"),
    "weak": ("1", "1: each rank has as many samples on any world; 0: a step has"),
    "samples": ("1", "samples of a rank (weak) or a step (strong)"),
    "network_gbit_s": ("Gbit/s", "of a node in each direction"), "network_latency_us": ("us", "between two nodes"),
    "step_samples": ("1", "samples of a step"), "step_s": ("s", "simulated time of a step"),
    "busy_s": ("s", "of it without the network: measured on one core here"),
    "exposed_s": ("s", "of it from the end of the backward pass until the gradient is summed"),
    "efficiency": ("1", "busy_s / step_s"), "samples_per_s": ("1/s", "of all ranks"),
    "forecast_step_s": ("s", "the step by --validate_only"), "forecast_network_s": ("s", "its exposed time"),
    "exchange_s": ("s", "simulated: the sum of a gradient that is written already"),
    "ring_s": ("s", "the same on a ring of all nodes"), "allreduce_s": ("s", "the same by MPI_Allreduce among the nodes"),
    "bound_s": ("s", "computed: 2 (P-1)/P of the bytes, and ceil(log2 P) latencies"),
    "flop_per_gradient_byte": ("1", "operations of a rank's backward and forward pass for each byte of the gradient"),
}


def output_of(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def forecast(options, series, nodes, directory):
    """The median of some by the time of the products. One process measures, so no other may run beside it."""
    print(f"forecast: {series}{f' on {nodes} nodes' if series.kind == 'strong' else ''}", file=sys.stderr)
    found = []
    for k in range(FORECASTS):
        file = directory / f"{series.kind}_{series.samples}_{nodes}_{k}.json"
        output_of([options.program, "-p", options.config, "--validate_only", "--plan_ranks", nodes * options.ranks_per_node, "--plan_nodes",
                   nodes, "--plan_cores", options.ranks_per_node, "--forecast_file", file, "-o", directory / "none",
                   "train_input.use_fake_data=True", series.setting(), *options.settings])
        found.append((json.loads(file.read_text()), file))
    return sorted(found, key=lambda one: one[0]["compute_s"])[FORECASTS // 2]


def forecasts_of(options, directory):
    """{(series, nodes): (forecast, its file)}. A rank of a weak series does the same on any number of nodes above one, so it is
    measured once for them."""
    found = {}
    for series in [Series("weak", n) for n in options.weak]:
        one, several = (forecast(options, series, nodes, directory) for nodes in (1, 2))
        found.update({(series, nodes): one if nodes == 1 else several for nodes in options.nodes})
    for series in [Series("strong", n) for n in options.strong]:
        for nodes in options.nodes:
            if series.samples >= nodes * options.ranks_per_node:
                found[series, nodes] = forecast(options, series, nodes, directory)
    return found


def simulate(options, points, files):
    """Those of one network and number of nodes, in one process: it takes its time to make the nodes."""
    first = points[0]
    lines = output_of([options.simulator, "--nodes", first.nodes, "--gbit_s", first.network.gbit_s, "--latency_us",
                       first.network.latency_us, "--steps", options.steps, *files]).splitlines()
    for point, line in zip(points, lines, strict=True):
        point.simulated = json.loads(line)


def points_of(options):
    with tempfile.TemporaryDirectory(prefix="simulate_") as name:
        forecasts = forecasts_of(options, pathlib.Path(name))
        points = [Point(series, network, nodes, options.ranks_per_node, found) for network in options.networks
                  for (series, nodes), (found, _) in forecasts.items()]
        if not points:
            raise Failed("no world has a sample for each rank")
        groups = {}
        for point in points:
            if point.nodes > 1:
                groups.setdefault((point.nodes, point.network), []).append(point)
        with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            futures = {}
            for nodes, network in sorted(groups, key=lambda key: -key[0]):  # the longest first
                group = groups[nodes, network]
                files = [forecasts[point.series, nodes][1] for point in group]
                futures[pool.submit(simulate, options, group, files)] = f"{nodes} nodes, {network}"
            for done in concurrent.futures.as_completed(futures):
                done.result()
                print(f"simulated: {futures[done]}", file=sys.stderr)
    return points


def write_points(path, points, options):
    rows = [point.row() for point in points]
    with h5py.File(path, "w") as file:
        file.attrs["config"] = str(options.config)
        file.attrs["settings"] = " ".join(options.settings)
        file.attrs["ranks_per_node"] = options.ranks_per_node
        file.attrs["processor"] = processor()
        for name, (unit, meaning) in MEANINGS.items():
            column = file.create_dataset(name, data=np.array([row[name] for row in rows]))
            column.attrs["units"] = unit
            column.attrs["long_name"] = meaning


def processor():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="ascii") if line.startswith("model name")]
    return names[0] if names else "unknown"


def print_table(points):
    print("| batch | network | nodes | ranks | step, ms | exposed, us | efficiency, % | exchange, us | ring | MPI_Allreduce | bound | "
          "forecast / simulated |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for point in points:
        row = point.row()
        print(f"| {point.series} | {point.network} | {row['nodes']} | {row['ranks']:,} | {1e3 * row['step_s']:.3f} | {1e6 * row['exposed_s']:.0f} | "
              f"{100 * row['efficiency']:.1f} | {1e6 * row['exchange_s']:.0f} | {1e6 * row['ring_s']:.0f} | {1e6 * row['allreduce_s']:.0f} | "
              f"{1e6 * row['bound_s']:.0f} | {row['forecast_step_s'] / row['step_s']:.3f} |")


def of(points, **wanted):
    return sorted((point for point in points if all(getattr(point, name) == value for name, value in wanted.items())),
                  key=lambda point: point.nodes)


def draw(points, options):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.rcParams["svg.hashsalt"] = "fcmnist"  # the same file for the same numbers
    all_series = list(dict.fromkeys(point.series for point in points))

    def nodes_axis(axes, what):
        axes.set_xscale("log", base=2)
        axes.set_xticks(options.nodes, options.nodes)
        axes.minorticks_off()
        axes.set_xlabel(f"nodes of {options.ranks_per_node} ranks")
        axes.set_ylabel(what)
        axes.grid(alpha=0.3)

    def save(figure, name):
        figure.tight_layout()
        for kind in ("png", "svg"):
            figure.savefig(options.out / f"{name}.{kind}", dpi=90, metadata={"Date": None} if kind == "svg" else {})
        plt.close(figure)

    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2))
    for s, series in enumerate(one for one in all_series if one.kind == "weak"):
        for n, network in enumerate(options.networks):
            line = of(points, series=series, network=network)
            panels[0].plot([p.nodes for p in line], [100 * p.row()["efficiency"] for p in line], "o-" if s == 0 else "s--",
                           color=f"C{n}", markersize=4, label=f"{series}, {network}")
    nodes_axis(panels[0], "efficiency, %")
    panels[0].set_ylim(0, 102)
    panels[0].set_title("Weak scaling")
    for s, series in enumerate(one for one in all_series if one.kind == "strong"):
        for n, network in enumerate(options.networks):
            line = of(points, series=series, network=network)
            first = line[0].row()["samples_per_s"] / line[0].nodes
            panels[1].plot([p.nodes for p in line], [p.row()["samples_per_s"] / first for p in line], "o-" if s == 0 else "s--",
                           color=f"C{n}", markersize=4, label=f"{series}, {network}")
    panels[1].plot(options.nodes, options.nodes, ":", color="gray", label="linear")
    nodes_axis(panels[1], "speed-up over one node")
    panels[1].set_yscale("log", base=2)
    panels[1].set_title("Strong scaling")
    for axes in panels:
        axes.legend(fontsize=7)
    save(figure, "scaling")
    if max(options.nodes) == 1:
        return

    figure, panels = plt.subplots(1, len(options.networks), figsize=(3.9 * len(options.networks), 3.8), squeeze=False)
    for axes, network in zip(panels[0], options.networks):
        line = [point for point in of(points, series=all_series[0], network=network) if point.nodes > 1]
        for name, label, style in (("ring_s", "ring", "^-"), ("allreduce_s", "MPI_Allreduce", "s-"), ("exchange_s", "this program", "o-"),
                                   ("bound_s", "bound", ":"), ("exposed_s", f"exposed, {all_series[0]}", "o--")):
            axes.plot([p.nodes for p in line], [1e3 * p.row()[name] for p in line], style, markersize=4, label=label)
        nodes_axis(axes, "ms")
        axes.set_ylim(bottom=0)
        axes.set_title(f"Sum of a gradient, {network}", fontsize=9)
        axes.legend(fontsize=7)
    save(figure, "exchange")


def whole_number(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number above 0")
    return int(text)


def whole_numbers(text):
    return [whole_number(word) for word in text.split(",") if word]


def networks(text):
    return [Network(*map(float, word.split(":"))) for word in text.split(",")]


def program(variable, name):
    if os.environ.get(variable):
        return os.environ[variable]
    for folder in ("sim", "release", "dev"):
        candidate = SOURCE / "build" / folder / name
        if candidate.is_file():
            return candidate
    raise Failed(f"{name} is not built: cmake --preset sim && cmake --build --preset sim")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=whole_numbers, default=[1, 2, 4, 8, 16, 32, 64, 128, 256])
    parser.add_argument("--ranks-per-node", type=whole_number, default=16)
    parser.add_argument("--networks", type=networks, default="10:20,25:10,100:2", help="GBIT_S:LATENCY_US,...")
    parser.add_argument("--weak", type=whole_numbers, default=[64, 128], help="samples of a rank")
    parser.add_argument("--strong", type=whole_numbers, default=[8192], help="samples of a step")
    parser.add_argument("--steps", type=whole_number, default=2, help="simulated steps of which the mean is taken")
    parser.add_argument("--config", type=pathlib.Path, default=SOURCE / "configs" / "fcmnist_500_300_plain.yaml")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("model_dir/simulate"))
    parser.add_argument("settings", nargs="*", help="more of fcmnist_mpi, such as runconfig.wire_type=bfloat16")
    options = parser.parse_args()
    options.program = program("FCMNIST_MPI", "fcmnist_mpi")
    options.simulator = program("FCMNIST_SIMULATE", "fcmnist_simulate")
    options.out.mkdir(parents=True, exist_ok=True)
    points = points_of(options)
    write_points(options.out / "points.h5", points, options)
    draw(points, options)
    print_table(points)
    print(f"{processor()}; files: {options.out}/points.h5 scaling.png scaling.svg exchange.png exchange.svg")


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError) as error:
        sys.exit(f"simulate.py: error: {error}")
