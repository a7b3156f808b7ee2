"""Reads the files that fcmnist_mpi writes (src/store/FORMAT.md describes them): verified, merged with the journal, as NumPy
arrays and pandas frames. The name of a model_dir stands for its metrics.h5, or for its newest checkpoint."""
import hashlib
import os
import re
import struct

# Our files are replaced as a whole and never changed in place, so that no lock is needed; and file systems of clusters
# may not have locks.
os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")

import h5py  # noqa: E402
import numpy as np  # noqa: E402

SEAL_BYTES = 512
FORMAT_VERSION = 2
SEAL = re.compile(rb"fcmnist_mpi (checkpoint|metrics|predictions|trace|sweep)\nformat_version (\d+)\nimage_bytes (\d+)\n"
                  rb"image_sha256 ([0-9a-f]{64})\n\n*")

JOURNAL_VERSIONS = (1, 2, 3, 4, 5)
JOURNAL_HEADER = re.compile(rb"fcmnist_mpi journal format_version (\d+) classes (\d+)\n")
RECORD_HEAD = struct.Struct("<IIq")  # bytes of the payload, kind, number
CHECK_BYTES = 8
TRAIN, EVAL, FORGET_AFTER, RANKS, ARRAYS, VALIDATION, EVAL_TRAINED, RANKS_EXPOSED = 1, 2, 3, 4, 5, 6, 7, 8
RANKS_SUMMARY = -RANKS  # a record of kind RANKS that says so
TABLES = {"train": TRAIN, "eval": EVAL, "eval_trained": EVAL_TRAINED, "validation": VALIDATION, "ranks": RANKS, "ranks_summary": RANKS_SUMMARY, "arrays": ARRAYS}
# Columns of the payloads, in order: int64 (q) or float64 (d).
TRAIN_COLUMNS = {"step": "q", "epoch": "q", "loss": "d", "accuracy": "d", "learning_rate": "d", "grad_norm": "d",
                 "samples_per_s": "d", "elapsed_s": "d", "compute_s": "d", "exchange_s": "d", "data_s": "d",
                 "files_s": "d", "skipped": "q", "bubble_fraction": "d", "loss_scale": "d"}
# Those that files written before version 0.2.0 may lack, and how they read there.
LATER_COLUMNS = {"skipped": np.int64, "bubble_fraction": float, "loss_scale": float}
FIRST_TRAIN_COLUMNS = 13  # of a row in a journal of releases without stages and loss scaling
RANK_COLUMNS = ("compute_s", "exchange_s", "wait_s", "sum_s", "update_s", "data_s", "files_s", "exposed_s")  # float32
LATER_RANK_COLUMN = "exposed_s"  # the last; rows of kind RANKS lack it, and files of older releases
COORDINATES = ("true_class", "predicted_class", "sample", "array", "rank", "statistic")
# Columns that have several numbers in a row, and what stands where a row has fewer than another.
WIDE_COLUMNS = {TRAIN: [("grad_norm_by_array", np.float32(np.nan))], EVAL: [("predicted", np.int16(-1))], VALIDATION: [], EVAL_TRAINED: [],
                RANKS: [(name, np.float32(np.nan)) for name in RANK_COLUMNS],
                RANKS_SUMMARY: [(name, np.float32(np.nan)) for name in RANK_COLUMNS],
                ARRAYS: [(name, np.float32(np.nan)) for name in ("weight_norm", "update_norm")]}
EVAL_COLUMNS = {"step": "q", "epoch": "q", "loss": "d", "accuracy": "d", "elapsed_s": "d"}


class DamagedFile(Exception):
    """The file is not an intact file of fcmnist_mpi."""


def files_in(directory, pattern=r"(.*)\.h5"):
    """The files of a directory with such a name, by the numbers in them."""
    def by_number(name):
        return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]

    names = [name for name in os.listdir(directory) if re.fullmatch(pattern, name) and not name.startswith(".")]
    return [os.path.join(directory, name) for name in sorted(names, key=by_number)]


def runs_in(directory):
    """The model_dirs in a directory."""
    return [os.path.join(directory, name) for name in sorted(os.listdir(directory))
            if os.path.isfile(os.path.join(directory, name, "metrics.h5"))]


def metrics_file(path):
    """The metrics file of a model_dir; any other path as it is."""
    return os.path.join(path, "metrics.h5") if os.path.isdir(path) else path


def checkpoint_file(path):
    """The newest checkpoint of a model_dir; any other path as it is."""
    if not os.path.isdir(path):
        return path
    checkpoints = files_in(path, r"checkpoint_\d+\.h5")
    if not checkpoints:
        raise FileNotFoundError(f"{path}: no checkpoint_<step>.h5 in this directory")
    return checkpoints[-1]


def verify(path):
    """Checks every byte of a file against its seal and returns its kind, "checkpoint", "metrics", ..."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        seal_is_first = file.read(12) == b"fcmnist_mpi "  # in version 1
        file.seek(0 if seal_is_first else max(0, size - SEAL_BYTES))
        seal = file.read(SEAL_BYTES)
        match = SEAL.fullmatch(seal)
        if len(seal) < SEAL_BYTES or not match:
            place = "first" if seal_is_first else "last"
            raise DamagedFile(f"{path}: damaged in its {place} 512 bytes, cut off, or not a file of fcmnist_mpi")
        kind, version, image_bytes, expected = (text.decode() for text in match.groups())
        if not 1 <= int(version) <= FORMAT_VERSION:
            raise DamagedFile(f"{path}: format version {version}, this program reads up to {FORMAT_VERSION}")
        if (version == "1") != seal_is_first:
            raise DamagedFile(f"{path}: damaged: a file of version {version} has its seal elsewhere")
        if size - SEAL_BYTES != int(image_bytes):
            raise DamagedFile(f"{path}: damaged: {size - SEAL_BYTES} bytes beside the seal, expected {image_bytes}")
        file.seek(SEAL_BYTES if seal_is_first else 0)
        found = _sha256(file, int(image_bytes))
    if found != expected:
        raise DamagedFile(f"{path}: damaged: SHA-256 {found[:12]}..., expected {expected[:12]}...")
    return kind


def _sha256(file, size):
    """Of the next so many bytes, in pieces: new memory for whole files takes longer than their sums."""
    digest, piece = hashlib.sha256(), memoryview(bytearray(1 << 18))
    while size > 0 and (count := file.readinto(piece[:min(size, len(piece))])):
        digest.update(piece[:count])
        size -= count
    return digest.hexdigest()


def manifest(path):
    """What the run was: versions, hosts, seeds, ... and its configuration as text under "config_yaml"."""
    with h5py.File(metrics_file(path), "r") as file:
        return {name: _plain(value) for name, value in file.attrs.items()}


def state(path):
    """Where training stood when the checkpoint was written: step, epoch, step_in_epoch, samples_seen, seed."""
    with h5py.File(checkpoint_file(path), "r") as file:
        return {name: _plain(value) for name, value in file["state"].attrs.items()}


def settings(path):
    """The configuration of a file: {"runconfig.seed": "1", ...}."""
    return settings_of(manifest(path).get("config_yaml", ""))


def settings_of(config_yaml):
    """The same of the text of a resolved configuration."""
    found, section = {}, ""
    for line in config_yaml.splitlines():
        if match := re.fullmatch(r"(\w+):", line):
            section = match[1]
        elif match := re.fullmatch(r"  (\w+): (.*)", line):
            found[f"{section}.{match[1]}"] = match[2]
    return found


def global_batch(config, manifest):
    """Samples of a step: 0 if the configuration does not say it."""
    batch = int(config.get("train_input.batch_size") or 0)
    if not batch:
        batch = int(config.get("train_input.batch_size_per_replica") or 0) * int(manifest.get("replicas", 0))
    return batch * int(config.get("optimizer.grad_accum_steps") or 1)


def scored(what, path):
    """What the evaluations in a file are, in the words of the log (src/run/scored_set.cpp): "test accuracy", or
    "accuracy on the train split", ... if eval_input named another set; with average_shifts "test accuracy, averaged over 9
    shifts,"."""
    found = settings(path)

    def same(key):  # what eval_input leaves out is that of train_input
        return found.get(f"eval_input.{key}", found.get(f"train_input.{key}")) == found.get(f"train_input.{key}")

    split = "train" if found.get("eval_input.split") == "train" else "test"
    batches = int(found.get("runconfig.eval_steps", 0))
    is_fake = found.get("train_input.use_fake_data") == "True"
    trained_on = (split == "test" == found.get("train_input.split") and same("use_fake_data")
                  and (is_fake or same("data_dir")))
    part = "" if not batches else "the first batch of " if batches == 1 else f"the first {batches} batches of "
    is_test = split == "test" and not batches and not trained_on
    words = [f"test {what}".strip() if is_test else f"{what} on {part}the {split} split"]
    words += ["which it was trained on"] if trained_on else []
    words += [f"averaged over {shifts_of(found)} shifts"] if shifts_of(found) > 1 else []
    return words[0] if len(words) == 1 else ", ".join(words) + ","


def shifts_of(config):
    """Over how many shifts of an image evaluations average, by a configuration: 1 without eval_input.average_shifts."""
    return (2 * int(config.get("eval_input.average_shifts", 0)) + 1) ** 2


def evaluation(path):
    """Loss and accuracy of the weights of a checkpoint on the set of eval_input, which scored() names; empty if they were
    not evaluated."""
    with h5py.File(checkpoint_file(path), "r") as file:
        return {name: _plain(value) for name, value in file["evaluation"].attrs.items()} if "evaluation" in file else {}


def state_dict(path, weights="trained"):
    """Weights of a checkpoint as numpy arrays, with PyTorch's names and shapes; with weights="averaged" their average, which a
    run with optimizer.average_decay keeps. For PyTorch:
    model.load_state_dict({k: torch.from_numpy(v) for k, v in state_dict(path).items()}, strict=True)"""
    found = checkpoint_file(path)
    with h5py.File(found, "r") as file:
        group = {"trained": "model", "averaged": "optimizer/weight_average"}[weights]
        if group not in file:
            raise ValueError(f"{found}: it has no average of the weights; a run with optimizer.average_decay keeps one")
        return {name: dataset[...] for name, dataset in file[group].items()}


def has_average(path):
    """Whether a checkpoint has the average of its weights."""
    with h5py.File(checkpoint_file(path), "r") as file:
        return "optimizer/weight_average" in file


def tables(path):
    """The tables of a metrics file and its journal as numpy arrays: {"train": {column: array}, "eval": ...}, and if there
    are any "eval_trained", "validation", "ranks" or "ranks_summary" with arrays (log lines x ranks, or x min, mean, max) and "arrays" (log
    lines x weights and biases). "eval" has the confusion matrices (evaluations x true class x predicted class) too, and the
    class given to each sample; "eval_trained" and "validation" lack the latter."""
    return read_metrics(metrics_file(path))[0]


def metrics(path):
    """The tables of a metrics file and its journal, as pandas frames with `step` as their index:
    {"train": ..., "eval": ...}, and if there are any "eval_trained" and "validation"."""
    import pandas

    def frame(table):
        columns = {name: values for name, values in table.items() if name != "step" and values.ndim == 1}
        return pandas.DataFrame(columns, index=pandas.Index(table["step"], name="step"))

    found = tables(path)
    return {name: frame(found[name]) for name in ("train", "eval", "eval_trained", "validation") if name in found}


def predicted(path):
    """Steps of the evaluations, and the class that each gives each sample (evaluations x samples), -1 where it was not
    scored. No samples if no evaluation has them, as in files of old releases."""
    evaluations = tables(path)["eval"]
    steps = evaluations["step"]
    return steps, evaluations.get("predicted", np.zeros((len(steps), 0), np.int16))


def confusion(path):
    """Steps of the evaluations, and their confusion matrices (evaluations x true class x predicted class)."""
    evaluations = tables(path)["eval"]
    return evaluations["step"], evaluations["confusion"]


OF_ENSEMBLES = ("vote", "member_step", "member_loss", "member_accuracy", "member_predicted")


def predictions(path):
    """What the network says of each sample: {"step": int, "label": (samples), "predicted": (samples), "logits": (samples x
    classes), with average_shifts the logarithm of the mean probabilities}; of samples without labels no "label", but "probability": (samples x classes). Of an
    ensemble also "vote": (samples), "member_file": [...], "member_step", "member_loss", "member_accuracy": (members),
    "member_predicted": (members x samples)."""
    path = os.path.join(path, "predictions.h5") if os.path.isdir(path) else path
    with h5py.File(path, "r") as file:
        found = {"step": int(file.attrs["step"])}
        found |= {name: file[name][...] for name in ("label", "predicted", "logits", "probability", *OF_ENSEMBLES) if name in file}
        if "member" in file:
            found["member_file"] = list(file["member"].attrs.get("files", [""] * len(file["member"])))
        return found


def sweep(path):
    """The trials of a sweep: {"trial": [0, 1, ...], "path", "state" (words), "reason": lists of texts, "parameters": {key: values
    of the trials}, and the other columns of FORMAT.md as arrays}."""
    path = os.path.join(path, "sweep.h5") if os.path.isdir(path) else path
    with h5py.File(path, "r") as file:
        parameters = list(file.attrs["parameters"])
        found = {name: dataset[...] for name, dataset in file.items() if name not in parameters}
        count = len(found["trial"])
        found |= {name: list(file["trial"].attrs.get(name, [""] * count)) for name in ("path", "reason")}
        found["state"] = [str(file["state"].attrs["names"][state]) for state in found["state"]]
        found["parameters"] = {}
        for name in parameters:
            names = file[name].attrs.get("values")
            found["parameters"][name] = [value if names is None else str(names[value]) for value in file[name][...]]
    return found


def trace(path):
    """What each rank did in some steps: {"spans": array with the fields of FORMAT.md, activity as a name such as
    "forward" and layer as a name or "", "hosts": of each rank, "clock_error_s": of each rank}."""
    path = os.path.join(path, "trace.h5") if os.path.isdir(path) else path
    with h5py.File(path, "r") as file:
        columns = {name: dataset[...] for name, dataset in file["spans"].items() if name != "span"}
        activities = np.array(file["spans/activity"].attrs["names"], str)
        layers = np.array([*file["spans/layer"].attrs.get("names", []), ""], str)  # -1, none, is the last
        hosts = list(file["ranks/rank"].attrs.get("host", [""] * len(file["ranks/rank"])))
        errors = file["ranks/clock_error_s"][...]
    columns["activity"] = activities[columns["activity"]]
    columns["layer"] = layers[columns["layer"]]
    spans = np.zeros(len(columns["step"]), [(name, column.dtype) for name, column in columns.items()])
    for name, column in columns.items():
        spans[name] = column
    return {"spans": spans, "hosts": hosts, "clock_error_s": errors}


def journal(path):
    """The journal of a metrics file: list of (number, kind, payload), and how many bytes behind them are torn or
    damaged. A payload is a dict of columns, or the step after which rows are forgotten. No file: no records."""
    try:
        with open(os.path.splitext(metrics_file(path))[0] + ".journal", "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return [], 0
    header = JOURNAL_HEADER.match(data)
    if not header or int(header[1]) not in JOURNAL_VERSIONS:
        return [], len(data)
    records, at = [], header.end()
    while record := _read_record(data, at, int(header[2])):
        if records and record[0] != records[-1][0] + 1:
            break
        records.append(record)
        at += RECORD_HEAD.size + RECORD_HEAD.unpack_from(data, at)[0] + CHECK_BYTES
    return records, len(data) - at


def _read_record(data, at, classes):
    """The record that begins at a byte, None if it is not intact."""
    if len(data) - at < RECORD_HEAD.size:
        return None
    length, kind, number = RECORD_HEAD.unpack_from(data, at)
    begin, end = at + RECORD_HEAD.size, at + RECORD_HEAD.size + length
    check = data[end:end + CHECK_BYTES]
    if len(check) < CHECK_BYTES or hashlib.sha256(data[at:end]).digest()[:CHECK_BYTES] != check:
        return None
    if kind == FORGET_AFTER and length == 8:
        return number, kind, struct.unpack_from("<q", data, begin)[0]
    if kind == TRAIN and length == 8 * FIRST_TRAIN_COLUMNS:
        first = dict(list(TRAIN_COLUMNS.items())[:FIRST_TRAIN_COLUMNS])
        later = {"bubble_fraction": 0.0, "grad_norm_by_array": np.zeros(0, np.float32)}
        return number, kind, _columns(data, begin, first) | later
    if kind in (RANKS, RANKS_EXPOSED):
        columns = len(RANK_COLUMNS) - (kind == RANKS)
        if length <= 16 or (length - 16) % (4 * columns):
            return None
        step, is_summary = struct.unpack_from("<qq", data, begin)
        numbers = np.frombuffer(data, "<f4", (length - 16) // 4, begin + 16).reshape(-1, columns)
        missing = {LATER_RANK_COLUMN: np.full(len(numbers), np.nan, np.float32)}
        return number, RANKS_SUMMARY if is_summary else RANKS, {"step": step} | missing | dict(zip(RANK_COLUMNS, numbers.T))
    if kind == ARRAYS and length > 8 and length % 8 == 0:
        step = struct.unpack_from("<q", data, begin)[0]
        norms = np.frombuffer(data, "<f4", (length - 8) // 4, begin + 8).reshape(2, -1)
        return number, kind, {"step": step, "weight_norm": norms[0], "update_norm": norms[1]}
    columns = {TRAIN: TRAIN_COLUMNS, EVAL: EVAL_COLUMNS, VALIDATION: EVAL_COLUMNS, EVAL_TRAINED: EVAL_COLUMNS}.get(kind)
    if columns is None or length < 8 * (len(columns) + 1):
        return None
    row, more = _columns(data, begin, columns), begin + 8 * len(columns)
    if kind == TRAIN:
        stages = struct.unpack_from("<q", data, more)[0]
        norms = more + 8 * (1 + stages)
        if stages < 0 or norms > end or (end - norms) % 4:
            return None
        row["grad_norm_by_array"] = np.frombuffer(data, "<f4", (end - norms) // 4, norms)
        row |= {f"stage{s}_busy_s": struct.unpack_from("<d", data, more + 8 * (1 + s))[0] for s in range(stages)}
    elif length < 8 * (len(columns) + classes**2):
        return None
    else:
        row["confusion"] = np.frombuffer(data, "<i8", classes**2, more).reshape(classes, classes)
        after = more + 8 * classes**2
        if kind == EVAL:
            row["predicted"] = np.frombuffer(data, np.uint8, end - after, after)
    return number, kind, row


def _columns(data, begin, columns):
    return dict(zip(columns, struct.unpack_from("<" + "".join(columns.values()), data, begin)))


def read_metrics(path):
    """The tables as {"train": {column: array}, "eval": ...}, merged with the journal, and a line about the journal.
    FORMAT.md describes the merge."""
    records, torn_bytes = journal(path)  # first: if the run goes on meanwhile, the file only becomes newer
    with h5py.File(path, "r") as file:
        known = int(file.attrs.get("journal_records", 0))
        tables = {name: {column: dataset[...] for column, dataset in file[name].items() if column not in COORDINATES}
                  for name in TABLES if name in file}
    for column, kind in LATER_COLUMNS.items():
        tables["train"].setdefault(column, np.zeros(len(tables["train"]["step"]), kind))
    for name in ("ranks", "ranks_summary"):
        if name in tables:
            tables[name].setdefault(LATER_RANK_COLUMN, np.full_like(tables[name]["compute_s"], np.nan))
    new = [(kind, payload) for number, kind, payload in records if number > known]
    for name, row_kind in TABLES.items():
        if name in tables or any(kind == row_kind for kind, _ in new):
            tables[name] = _merge(tables.get(name, {"step": np.zeros(0, np.int64)}), row_kind, new)
    rows = sum(kind != FORGET_AFTER for kind, _ in new)
    said = f"+ {rows} rows of the journal" if new else ""
    if torn_bytes:
        said += f"{', whose' if said else 'the journal: its'} last {torn_bytes} bytes are torn or damaged"
    return tables, said


def _merge(table, row_kind, entries):
    """A table after what the entries of a journal say has happened to it."""
    first, rows = None, []  # the step from which on the table is replaced, and the rows that do
    for kind, payload in entries:
        if kind not in (row_kind, FORGET_AFTER):
            continue
        step = payload + 1 if kind == FORGET_AFTER else payload["step"]
        first = step if first is None else min(first, step)
        while rows and rows[-1]["step"] >= step:
            rows.pop()
        if kind == row_kind:
            rows.append(payload)
    if first is None:
        return table
    kept = int(np.searchsorted(table["step"], first))
    merged = {}
    for column, filler in WIDE_COLUMNS[row_kind]:
        table, rows = _of_one_width(table, rows, column, filler)
    for column in dict.fromkeys([*table, *(column for row in rows for column in row)]):
        if column in table:
            values = table[column]
        elif len(table["step"]):  # a stage that the other does not have
            values = np.full(len(table["step"]), np.nan)
        else:  # the file has no such table yet
            one = np.asarray(next(row[column] for row in rows if column in row))
            values = np.zeros((0, *one.shape), one.dtype)
        new = np.array([row.get(column, np.nan) for row in rows], values.dtype).reshape(len(rows), *values.shape[1:])
        merged[column] = np.concatenate([values[:kept], new])
    return merged


def _of_one_width(table, rows, column, filler):
    """The same, with as many numbers in this column as the row has that has the most."""
    old = table.get(column, np.zeros((len(table["step"]), 0), filler.dtype))
    width = max([old.shape[1], *(len(row[column]) for row in rows)])

    def filled(array):
        missing = [(0, 0)] * (array.ndim - 1) + [(0, width - array.shape[-1])]
        return np.pad(array.astype(filler.dtype), missing, constant_values=filler)

    return table | {column: filled(old)}, [row | {column: filled(row[column])} for row in rows]


def _plain(value):
    """An attribute as a Python number, text or list."""
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
