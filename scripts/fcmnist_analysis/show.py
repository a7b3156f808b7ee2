"""fcmnist show: verifies files and says what is in them."""
import os
import sys

import numpy as np

from . import files
from .errors import AnalysisError, explained


def add_arguments(parser):
    parser.add_argument("files", metavar="FILE_OR_DIRECTORY", nargs="+",
                        help="checkpoint_<step>.h5, metrics.h5, evaluation.h5 ...; or a model_dir: all its .h5 files")


def run(arguments):
    code = 0
    for path in expanded(arguments.files):
        try:
            print(summary(path))
        except (AnalysisError, OSError, files.DamagedFile, KeyError) as error:  # the others may be whole
            print(f"fcmnist show: error: {explained(error, path)}", file=sys.stderr)
            code = max(code, 1 if isinstance(error, files.DamagedFile) else 2)
    return code


def summary(path):
    if os.path.isdir(path):
        raise AnalysisError(f"{path}: no .h5 file in this directory", "name the -o/--model_dir of a run, or a file of it")
    kind = files.verify(path)
    lines = [f"{path}: {kind}, intact (SHA-256 verified), {os.path.getsize(path):,} bytes"]
    if kind == "checkpoint":
        at, score, weights = files.state(path), files.evaluation(path), files.state_dict(path)
        of_average = score and files.manifest(path).get("scored_weights") == "averaged"
        lines.append(f"  step {at['step']}, epoch {at['epoch']}, {at['samples_seen']:,} samples seen, seed {at['seed']}")
        lines.append(f"  {files.scored('accuracy', path)} {100 * score['accuracy']:.2f} %, loss {score['loss']:.5f}" if score
                     else "  not evaluated")
        if files.has_average(path):
            lines.append("  the average of the weights is kept too" + (", and scored" if of_average else ""))
        lines.append(f"  {sum(array.size for array in weights.values()):,} parameters:")
        lines += [f"    {name:24} {' x '.join(map(str, array.shape))}" for name, array in weights.items()]
    elif kind == "predictions":
        found = files.predictions(path)
        if "vote" in found:
            lines += ensemble(found)
        elif "label" in found:
            wrong = (found["label"] != found["predicted"]).sum()
            lines.append(f"  step {found['step']}: {len(found['label']):,} samples of {files.manifest(path).get('test_set', 'a set')}, "
                         f"{wrong:,} of them classified wrongly")
        else:
            lines.append(f"  step {found['step']}: {len(found['predicted']):,} samples without labels")
            lines += counts_per_class(found["predicted"], files.manifest(path).get("test_set_class_names", []))
    elif kind == "sweep":
        lines += trials(files.sweep(path))
    elif kind == "trace":
        found = files.trace(path)
        lines.append(f"  {len(found['spans'])} spans of {len(found['hosts'])} rank(s), "
                     f"steps {found['spans']['step'].min()} to {found['spans']['step'].max()}")
    else:
        tables, said = files.read_metrics(path)
        for name in ("train", "eval", "eval_trained", "validation"):
            if name not in tables:
                continue
            table = tables[name]
            rows = len(table["step"])
            last = f", last: step {table['step'][-1]}, loss {table['loss'][-1]:.5f}, " \
                   f"accuracy {100 * table['accuracy'][-1]:.2f} %" if rows else ""
            of = files.scored("", path).rstrip(",").removeprefix("test") if name == "eval" and rows else ""  # " on the train split"
            lines.append(f"  {name}{of}: {rows} rows{last}")
        lines += [f"  {said}"] if said else []
    return "\n".join(lines)


def ensemble(found):
    """Lines about each member of an ensemble, their vote and their mean."""
    def score(classes):
        wrong = int((classes != found["label"]).sum())
        return f"{100 * (1 - wrong / len(classes)):.2f} % ({wrong:,} wrong)"

    members = zip(found["member_file"], found["member_step"], found["member_predicted"])
    lines = [f"  ensemble of {len(found['member_step'])}, {len(found['label']):,} samples: {score(found['predicted'])}",
             f"    majority vote {score(found['vote'])}"]
    return lines + [f"    {score(classes)}  step {step}  {name}" for name, step, classes in members]


def trials(found):
    """Lines about a sweep: a line for each trial, with the reasons of those that did not train to their end."""
    width = max(map(len, found["path"]))
    lines = [f"  {len(found['trial'])} trials: " + ", ".join(f"{found['state'].count(state)} {state}"
                                                             for state in dict.fromkeys(found["state"]))]
    for row, name in enumerate(found["path"]):
        settings = " ".join(f"{key}={values[row]:.6g}" if not isinstance(values[row], str) else f"{key}={values[row]}"
                            for key, values in found["parameters"].items())
        scores = [f"{what} {100 * found[column][row]:.2f} %" for what, column in (("validation", "best_validation_accuracy"),
                                                                                 ("test", "test_accuracy"))
                  if not np.isnan(found[column][row])]
        line = f"    {name:{width}}  {', '.join([found['state'][row], *scores])}  {settings}"
        lines.append(line + (f"\n      {found['reason'][row]}" if found["reason"][row] else ""))
    return lines


def counts_per_class(predicted, names):
    """A line for each class that some sample was given."""
    labels = {int(k): f"{k} {names[k]}" if k < len(names) and names[k] != str(k) else str(k) for k in sorted(set(predicted.tolist()))}
    width = max(map(len, labels.values()), default=0)
    return [f"    class {labels[k]:{width}}  {(predicted == k).sum():,}" for k in labels]


def expanded(paths):
    """The paths, and the .h5 files of a directory in its place; a directory without any stays, and is an error."""
    found = []
    for path in paths:
        try:
            found += (files.files_in(path) if os.path.isdir(path) else []) or [path]
        except OSError:  # a directory that may not be read
            found.append(path)
    return found
