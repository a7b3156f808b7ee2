"""A run, as its files tell it."""
import functools
import gzip
import pathlib

import numpy as np
import pandas as pd

from . import files, results
from .errors import AnalysisError


class Run:
    """A model_dir. Everything is read from its files when it is first asked for; nothing is ever written there.

        train           DataFrame, a row for each training step: loss (nats), accuracy, learning_rate, grad_norm, ...
        eval            DataFrame, a row for each evaluation: loss (nats), accuracy, epoch, elapsed_s
        eval_trained    DataFrame, the same of the weights as they are trained, if "eval" is of their average; else without rows
        validation      DataFrame, the same of the samples that are held out; without rows if none is
        ranks           DataFrame, seconds per step by (step of the log line, rank): compute_s, wait_s, ...
        norms           DataFrame by step, with columns (gradient | weight | update, name of the array); NaN at steps that
                        were not logged
        confusion       DataFrame (true class x predicted class), samples of the last evaluation
        predictions     DataFrame, a row for each sample of the test set: label, predicted, probability (of the predicted
                        class); None if there is no predictions.h5
        logits          array (samples x classes), None as above
        weights         {"fc_layers.0.weight": array (500 x 784), ...} of the newest checkpoint, those that are scored: with
                        optimizer.average_decay their average; None if there is no checkpoint
        results         accuracy and loss of the last evaluation, the best one, time, throughput: see results.Results
        config          {"runconfig.seed": "1", ...}
        manifest        versions, hosts, world, data sets, ...
    """

    def __init__(self, model_dir):
        self.path = pathlib.Path(model_dir)
        if not self.path.is_dir():
            raise AnalysisError(f"{model_dir}: not a directory", "name the -o/--model_dir of a run")
        if not (self.path / "metrics.h5").exists():
            raise AnalysisError(f"{model_dir}: no metrics.h5 in it", "name the -o/--model_dir of a run")
        files.verify(self.path / "metrics.h5")

    def __repr__(self):
        return f"Run({str(self.path)!r})"

    @functools.cached_property
    def tables(self):
        return files.tables(str(self.path))

    @functools.cached_property
    def manifest(self):
        return files.manifest(str(self.path))

    @functools.cached_property
    def config(self):
        return files.settings_of(self.manifest.get("config_yaml", ""))

    @functools.cached_property
    def results(self):
        return results.results(self.tables, self.config, self.manifest)

    def _frame(self, name):
        table = self.tables[name]
        columns = {column: values for column, values in table.items() if column != "step" and values.ndim == 1}
        return pd.DataFrame(columns, index=pd.Index(table["step"], name="step"))

    @functools.cached_property
    def train(self):
        return self._frame("train")

    @functools.cached_property
    def eval(self):
        return self._frame("eval")

    @functools.cached_property
    def eval_trained(self):
        return self._frame("eval_trained") if "eval_trained" in self.tables else self.eval.iloc[:0]

    @functools.cached_property
    def validation(self):
        return self._frame("validation") if "validation" in self.tables else self.eval.iloc[:0]

    @functools.cached_property
    def ranks(self):
        table = self.tables.get("ranks", {"step": np.zeros(0, np.int64)})
        columns = [name for name in table if name != "step" and table[name].ndim == 2]
        count = table[columns[0]].shape[1] if columns else 0
        index = pd.MultiIndex.from_product([table["step"], range(count)], names=["step", "rank"])
        return pd.DataFrame({name: table[name].reshape(-1) for name in columns}, index=index)

    @functools.cached_property
    def array_names(self):
        """Names of the weights and biases, in the order of their norms."""
        with files.h5py.File(self.path / "metrics.h5", "r") as file:
            for table in ("arrays", "train"):
                if f"{table}/array" in file:
                    return list(file[f"{table}/array"].attrs.get("names", []))
        return []

    @functools.cached_property
    def norms(self):
        pieces = {}
        for kind, table, column in (("gradient", "train", "grad_norm_by_array"), ("weight", "arrays", "weight_norm"),
                                    ("update", "arrays", "update_norm")):
            values = self.tables.get(table, {}).get(column)
            if values is None or values.shape[1] == 0:
                continue
            names = self.array_names or list(range(values.shape[1]))
            pieces[kind] = pd.DataFrame(values, columns=names, index=pd.Index(self.tables[table]["step"], name="step"))
        return pd.concat(pieces, axis=1) if pieces else pd.DataFrame()

    @functools.cached_property
    def class_names(self):
        """As many as the network has outputs; a class without a name has its number."""
        names = list(self.manifest.get("test_set_class_names", self.manifest.get("training_set_class_names", [])))
        count = int(self.config.get("model.num_classes") or 10)
        return [*names[:count], *(str(k) for k in range(len(names), count))]

    @functools.cached_property
    def confusion(self):
        matrices = self.tables["eval"]["confusion"]
        if not len(matrices):
            return None
        classes = self.class_names
        return pd.DataFrame(matrices[-1], index=pd.Index(classes, name="true"), columns=pd.Index(classes, name="predicted"))

    @functools.cached_property
    def _predictions(self):
        path = self.path / "predictions.h5"
        if not path.exists():
            return None
        files.verify(path)
        return files.predictions(path)

    @property
    def logits(self):
        return None if self._predictions is None else self._predictions["logits"]

    @functools.cached_property
    def probabilities(self):
        """(samples x classes), the softmax of the logits; None without predictions.h5."""
        if self.logits is None:
            return None
        shifted = np.exp(self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    @functools.cached_property
    def predictions(self):
        if self.logits is None:
            return None
        found = pd.DataFrame({name: self._predictions[name] for name in ("label", "predicted")})
        found["probability"] = self.probabilities.max(axis=1)
        found.index.name = "sample"
        return found

    def wrong(self):
        """The samples that the network gets wrong, the surest mistakes first: label, predicted, probability."""
        if self.predictions is None:
            return None
        found = self.predictions
        return found[found["label"] != found["predicted"]].sort_values("probability", ascending=False)

    @functools.cached_property
    def weights(self):
        try:
            checkpoint = files.checkpoint_file(str(self.path))
        except FileNotFoundError:
            return None
        files.verify(checkpoint)
        return files.state_dict(checkpoint, self.manifest.get("scored_weights", "trained"))

    def state_dict(self):
        """The same, with PyTorch's names and shapes, or an error."""
        if self.weights is None:
            raise AnalysisError(f"{self.path}: no checkpoint_<step>.h5 in this directory", "the run has not saved one yet")
        return self.weights

    def images(self, samples=None, which="test"):
        """Images of the evaluated set (n x height x width, bytes), or with which="training" of that which was trained on: all,
        or those of these numbers; None if the files that the run has read are no longer there."""
        paths = [pathlib.Path(path) for path in self.manifest.get(f"{which}_set_files", [])]
        path = next((path for path in paths if "images" in path.name), None)
        if path is None or not path.exists():
            return None
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        count, height, width = np.frombuffer(content, ">u4", 3, 4).astype(int)
        images = np.frombuffer(content, np.uint8, count * height * width, 16).reshape(count, height, width)
        return images if samples is None else images[np.asarray(samples)]
