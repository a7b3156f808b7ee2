#!/usr/bin/python3
"""Makes the tables of jobs/bench.sh from its raw numbers.

    bench_table.py collect ROUND PROGRAM RANKS RAW.csv < OUTPUT    appends the numbers of one run of a program
    bench_table.py tables RAW.csv MEDIANS.csv                      prints Markdown, writes medians

OUTPUT is the CSV of fcmnist_bench (Google Benchmark's, with user counters) or of torch_peer.py. RAW.csv has
one number a line: round, program (fcmnist or torch), ranks, name, quantity, value; name is e.g.
step/500_300/64, or step_bf16/500_300/64 in mixed precision: a benchmark without Google Benchmark's suffixes. MEDIANS.csv has the median, the smallest and
the largest over the rounds, of the same numbers and of their ratios. A ratio is taken within each round,
between runs that are seconds apart, and then the median: machines drift by more than what is to be seen.
"""
import argparse
import collections
import csv
import re
import statistics
import sys

RAW_COLUMNS = ("round", "program", "ranks", "name", "quantity", "value")
MEDIAN_COLUMNS = ("program", "ranks", "name", "quantity", "median", "smallest", "largest", "rounds")
# Further columns are user counters.
GOOGLE_BENCHMARK_COLUMNS = {"name", "iterations", "real_time", "cpu_time", "time_unit", "bytes_per_second",
                            "items_per_second", "label", "error_occurred", "error_message"}
RATES = ("samples_per_s", "clip_samples_per_s", "allreduce_samples_per_s")
STRONG_BATCH = 128  # global batch of the strong scaling
CROWD_BATCHES = (16, 64)  # batch per rank with four ranks on each core, and with one

Number = collections.namedtuple("Number", "program ranks name quantity")


class BadInput(Exception):
    pass


# ---- from the output of a program to raw numbers

def numbers_of(file):
    """(name, quantity, value as text) of every number in a program's CSV."""
    rows = csv.DictReader(file)
    columns = set(rows.fieldnames or ())
    if not GOOGLE_BENCHMARK_COLUMNS <= columns and "peer" not in columns:
        raise BadInput(f"not the CSV of fcmnist_bench or torch_peer.py: {rows.fieldnames}")
    for row in rows:
        if None in row:
            raise BadInput(f"more values than columns: {row}")
        if "peer" in row:
            kind = "step" if row["precision"] == "fp32" else f"step_{row['precision']}"
            yield f"{kind}/{row['model']}/{row['batch_per_rank']}", "samples_per_s", row["samples_per_s"]
            continue
        if row["error_occurred"] == "true":
            raise BadInput(f"{row['name']}: {row['error_message']}")
        name = re.sub(r"/(\w+:\d+|manual_time|real_time|process_time)(/.*)?$", "", row["name"])
        for quantity, value in row.items():
            if quantity not in GOOGLE_BENCHMARK_COLUMNS and value:
                yield name, quantity, value


def collect(arguments):
    numbers = list(numbers_of(sys.stdin))
    if not numbers:
        raise BadInput(f"{arguments.program} on {arguments.ranks} ranks printed no number")
    for name, quantity, value in numbers:
        try:
            float(value)
        except ValueError:
            raise BadInput(f"{name}: {quantity} is '{value}', not a number") from None
    with open(arguments.raw, "a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if file.tell() == 0:
            writer.writerow(RAW_COLUMNS)
        for number in numbers:
            writer.writerow((arguments.round, arguments.program, arguments.ranks, *number))


# ---- from raw numbers to medians

def read_raw(path):
    """{Number: {round: value}}"""
    numbers = collections.defaultdict(dict)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            number = Number(row["program"], int(row["ranks"]), row["name"], row["quantity"])
            turn = int(row["round"])
            if turn in numbers[number]:
                raise BadInput(f"{path}: {number} was measured twice in round {turn}")
            numbers[number][turn] = float(row["value"])
    return numbers


def ratio(over, under):
    """{round: ratio} of the rounds that have both."""
    return {turn: over[turn] / under[turn] for turn in over.keys() & under.keys()}


def worlds_of(numbers):
    """World sizes: one rank per core, and more ranks than cores, or None if that was not measured."""
    worlds = sorted({number.ranks for number in numbers if number.program == "fcmnist"} - {1})
    if not worlds:
        raise BadInput("no number of more than one rank")
    return worlds[0], worlds[1] if len(worlds) > 1 else None


def add_ratios(numbers):
    """Adds to the numbers those that compare two of them."""
    ranks, crowd = worlds_of(numbers)

    def rates(program, world, model, batch, quantity):
        return numbers.get(Number(program, world, f"{kind}/{model}/{batch}", quantity), {})

    ratios = {}
    for program, world, name, quantity in list(numbers):
        if not name.startswith(("step/", "step_bf16/")) or quantity not in RATES:
            continue
        kind, model, batch = name.split("/")
        rate = numbers[program, world, name, quantity]
        if world == ranks:
            alone = rates(program, 1, model, batch, quantity)
            ratios[Number(program, world, name, "weak_scaling:" + quantity)] = ratio(rate, alone)
        if world == ranks and int(batch) * ranks == STRONG_BATCH:
            alone = rates(program, 1, model, STRONG_BATCH, quantity)
            ratios[Number(program, world, name, "strong_scaling:" + quantity)] = ratio(rate, alone)
        if world == crowd and int(batch) == CROWD_BATCHES[0]:
            one_each = rates(program, ranks, model, CROWD_BATCHES[1], quantity)
            ratios[Number(program, world, name, "of_one_rank_per_core:" + quantity)] = ratio(rate, one_each)
        if program == "fcmnist" and quantity == "samples_per_s":
            peer = rates("torch", world, model, batch, quantity)
            ratios[Number(program, world, name, "over_torch")] = ratio(rate, peer)
    numbers.update((number, by_round) for number, by_round in ratios.items() if by_round)


def write_medians(path, numbers):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(MEDIAN_COLUMNS)
        for number, by_round in sorted(numbers.items()):
            values = by_round.values()
            summary = (statistics.median(values), min(values), max(values))
            writer.writerow((*number, *(f"{value:.6g}" for value in summary), len(values)))


# ---- from medians to Markdown

class Medians:
    def __init__(self, numbers):
        self.numbers = numbers

    def text(self, program, ranks, name, quantity, form="{:,.0f}"):
        """The median over the rounds, or a dash where nothing was measured."""
        by_round = self.numbers.get(Number(program, ranks, name, quantity))
        return form.format(statistics.median(by_round.values())) if by_round else "-"

    def names(self, prefix, ranks):
        """Names of that beginning that were measured on so many ranks."""
        return {number.name for number in self.numbers
                if number.ranks == ranks and number.name.startswith(prefix)}

    def models(self, ranks, kind="step"):
        return sorted({name.split("/")[1] for name in self.names(f"{kind}/", ranks)}, reverse=True)


def markdown(header, rows):
    rows = [header, ["---:"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in rows)


def step_table(medians, model, ranks):
    header = ["batch/rank", "ours, 1 rank", f"ours, {ranks} ranks", "PyTorch, 1", f"PyTorch DDP, {ranks}",
              "ours / DDP", "over dense", "of GEMM bound", "with clipping", "over plain allreduce", "weak scaling"]
    rows = []
    for batch in sorted(int(name.split("/")[2]) for name in medians.names(f"step/{model}/", ranks)):
        name = f"step/{model}/{batch}"

        def ours(quantity, form):
            return medians.text("fcmnist", ranks, name, quantity, form)
        rows.append([batch,
                     medians.text("fcmnist", 1, name, "samples_per_s"),
                     medians.text("fcmnist", ranks, name, "samples_per_s"),
                     medians.text("torch", 1, name, "samples_per_s"),
                     medians.text("torch", ranks, name, "samples_per_s"),
                     ours("over_torch", "{:.2f}"), ours("of_dense", "{:.2f}"), ours("of_gemm_bound", "{:.0%}"),
                     ours("clip_of_gemm_bound", "{:.0%}"), ours("vs_allreduce", "{:.2f}"),
                     ours("weak_scaling:samples_per_s", "{:.2f}")])
    return markdown(header, rows)


def mixed_table(medians, model, ranks):
    header = ["batch/rank", f"ours, {ranks} ranks", f"PyTorch DDP, {ranks}", "ours / DDP", "over our float32",
              "of GEMM bound", "GFLOP/s per rank"]
    rows = []
    for batch in sorted(int(name.split("/")[2]) for name in medians.names(f"step_bf16/{model}/", ranks)):
        name = f"step_bf16/{model}/{batch}"

        def ours(quantity, form="{:,.0f}"):
            return medians.text("fcmnist", ranks, name, quantity, form)
        rows.append([batch, ours("samples_per_s"), medians.text("torch", ranks, name, "samples_per_s"),
                     ours("over_torch", "{:.2f}"), ours("of_fp32", "{:.2f}"), ours("of_gemm_bound", "{:.0%}"),
                     ours("GFLOPs")])
    return markdown(header, rows)


def scaling_table(medians, cases, comparison):
    """Two divisions of one global batch; cases: (ranks, batch per rank) of the one and of the other."""
    rows = []
    for model in medians.models(cases[1][0]):
        for label, program, quantity in (("ours", "fcmnist", "samples_per_s"),
                                         ("plain allreduce", "fcmnist", "allreduce_samples_per_s"),
                                         ("PyTorch", "torch", "samples_per_s")):
            row = [model, label]
            for ranks, batch in cases:
                row.append(medians.text(program, ranks, f"step/{model}/{batch}", quantity))
            name = f"step/{model}/{batch}"
            row.append(medians.text(program, ranks, name, f"{comparison}:{quantity}", "{:.2f}"))
            rows.append(row)
    return markdown(["model", "program", *(f"{ranks} x {batch}" for ranks, batch in cases), "ratio"], rows)


def exchange_table(medians, ranks):
    times = {"window_us": "window", "memcpy_us": "memcpy", "allreduce_us": "MPI_Allreduce",
             "update_us": "with update", "update_clip_us": "with clipping"}
    ratios = {"update_of_window": "update / window", "update_clip_of_window": "clipping / window"}
    rows = []
    for name in sorted(medians.names("exchange/", ranks), reverse=True):
        row = [medians.text("fcmnist", ranks, name, quantity, "{:.0f}") for quantity in times]
        row += [medians.text("fcmnist", ranks, name, quantity, "{:.2f}") for quantity in ratios]
        rows.append([name.split("/")[1], *row])
    return markdown(["model", *times.values(), *ratios.values()], rows)


def tables(arguments):
    numbers = read_raw(arguments.raw)
    add_ratios(numbers)
    write_medians(arguments.medians, numbers)
    ranks, crowd = worlds_of(numbers)
    medians = Medians(numbers)
    rounds = len({turn for by_round in numbers.values() for turn in by_round})
    print(f"Medians of {rounds} round(s); training in samples/s, all ranks together.")
    for model in medians.models(ranks):
        print(f"\nTraining {model}, float32:\n\n{step_table(medians, model, ranks)}")
    for model in medians.models(ranks, "step_bf16"):
        print(f"\nTraining {model}, bfloat16:\n\n{mixed_table(medians, model, ranks)}")
    if medians.models(ranks):
        strong = scaling_table(medians, ((1, STRONG_BATCH), (ranks, STRONG_BATCH // ranks)), "strong_scaling")
        print(f"\nStrong scaling, {STRONG_BATCH} samples in each step (ranks x batch/rank):\n\n{strong}")
    if crowd:
        few, many = CROWD_BATCHES
        crowded = scaling_table(medians, ((ranks, many), (crowd, few)), "of_one_rank_per_core")
        print(f"\nMore ranks than cores (ranks x batch/rank):\n\n{crowded}")
    if medians.names("exchange/", ranks):
        print(f"\nExchange of one gradient between {ranks} ranks, in us:\n\n{exchange_table(medians, ranks)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("collect")
    command.add_argument("round", type=int)
    command.add_argument("program", choices=("fcmnist", "torch"))
    command.add_argument("ranks", type=int)
    command.add_argument("raw")
    command.set_defaults(run=collect)
    command = commands.add_parser("tables")
    command.add_argument("raw")
    command.add_argument("medians")
    command.set_defaults(run=tables)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (BadInput, OSError) as error:
        sys.exit(f"bench_table.py: error: {error}")


if __name__ == "__main__":
    main()
