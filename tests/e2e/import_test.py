"""fcmnist import: networks of other programs, which fcmnist_mpi scores as they do and trains further."""
import json
import os
import pathlib
import pickle
import shlex
import struct
import sys
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing, as the next one does)
from support.analysis import fcmnist  # noqa: E402
from support.runs import np, settings  # noqa: E402

try:
    import torch
except ImportError:
    torch = None

SIDE, CLASSES = 8, 5
TRAIN, TEST = (runs.patterns(count, SIDE, CLASSES, seed) for count, seed in ((400, 1), (500, 2)))
NORMALISED, HALVES = (0.1307, 0.3081), (0.5, 0.5)


def arrays_of(*widths, seed=3, names="layers.{}", bias=True):
    """A network that nobody has trained."""
    random, found = np.random.default_rng(seed), {}
    for k, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        found[f"{names.format(k)}.weight"] = random.normal(0, inputs**-0.5, (outputs, inputs)).astype(np.float32)
        if bias:
            found[f"{names.format(k)}.bias"] = random.normal(0, 0.1, outputs).astype(np.float32)
    return found


def write_safetensors(path, arrays):
    header, data = {}, b""
    for name in sorted(arrays):  # as its library does
        piece = arrays[name].tobytes()
        header[name] = {"dtype": "F32", "shape": arrays[name].shape, "data_offsets": [len(data), len(data) + len(piece)]}
        data += piece
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


class ImportCase(runs.TestCase):
    def setUp(self):
        super().setUp()
        self.data = runs.data_settings(runs.write_set(self.directory / "data", TRAIN, TEST))

    def imported(self, path, *arguments):
        """The checkpoint that is made of a file."""
        checkpoint = self.directory / f"made {len(list(self.directory.iterdir()))}.h5"
        done = fcmnist("import", path, "-o", checkpoint, *arguments)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        self.said = done.output
        shown = fcmnist("show", checkpoint)
        self.assertEqual((shown.code, shown.errors), (0, ""), str(shown))
        return checkpoint

    def of_arrays(self, arrays, *arguments):
        path = self.directory / f"{len(list(self.directory.iterdir()))}.npz"
        np.savez(path, **arrays)
        return self.imported(path, *arguments)

    def weights(self, checkpoint):
        with runs.h5py.File(checkpoint) as file:
            return {name: dataset[...] for name, dataset in file["model"].items()}

    def score(self, checkpoint):
        """Accuracy and loss, as fcmnist_mpi finds them."""
        done = runs.execute([runs.PROGRAM, "-m", "eval", "--checkpoint_path", checkpoint, *self.data], cwd=self.directory)
        self.assertEqual((done.code, done.errors), (0, ""), str(done))
        fields = dict(word.split("=") for word in done.lines("| Eval")[0].split() if "=" in word)
        return float(fields["Accuracy"]), float(fields["Loss"])


class Roundtrip(ImportCase):
    def test_what_export_wrote_is_scored_as_before(self):
        run = self.directory / "run"
        self.run_to_end("-o", run, *self.data, *settings(model__hidden_sizes="[12]", model__num_classes=CLASSES,
                                                         runconfig__max_steps=15, train_input__batch_size=40))
        evaluated, expected = runs.metrics(run, "eval"), runs.weights(run)
        for kind in ("npz", "safetensors", *(["pt"] if torch else [])):
            with self.subTest(kind):
                self.assertEqual(fcmnist("export", run, "--to", kind).code, 0)
                checkpoint = self.imported(run / f"network.{kind}")
                self.assertIn("pixels 0-255, converted to ours", self.said)
                found = self.weights(checkpoint)
                self.assertEqual(found.keys(), expected.keys())
                for name, array in expected.items():
                    np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)
                accuracy, loss = self.score(checkpoint)
                self.assertAlmostEqual(accuracy, evaluated["accuracy"][-1], delta=0.0021)
                self.assertAlmostEqual(loss, evaluated["loss"][-1], delta=1e-4)
        wrong = fcmnist("import", run / "network.npz", "-o", self.directory / "x.h5", "--pixels", "0-1")
        self.assertEqual(wrong.code, 2)
        self.assertIn("as the file says", wrong.errors)


@unittest.skipUnless(torch, "needs python3-torch")
class PyTorch(ImportCase):
    def trained(self, mean, deviation, bias=True):
        """A module that PyTorch has trained on pixels of this normalisation, and its accuracy and loss on the test set."""
        torch.manual_seed(1)
        torch.set_num_threads(1)
        linear = [torch.nn.Linear(a, b, bias=bias) for a, b in ((SIDE**2, 20), (20, 12), (12, CLASSES))]
        model = torch.nn.Sequential(linear[0], torch.nn.ReLU(), torch.nn.Dropout(0.1), linear[1], torch.nn.ReLU(), linear[2])
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def loss_of(images):
            inputs = (torch.from_numpy(images.images.reshape(-1, SIDE**2).astype(np.float32)) / 255 - mean) / deviation
            labels = torch.from_numpy(images.labels.astype(np.int64))
            logits = model(inputs)
            return torch.nn.functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean().item()

        for _ in range(12):
            optimizer.zero_grad()
            loss_of(TRAIN)[0].backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss, accuracy = loss_of(TEST)
        return model, accuracy, loss.item()

    def check_score(self, checkpoint, accuracy, loss):
        found_accuracy, found_loss = self.score(checkpoint)
        self.assertAlmostEqual(found_accuracy, accuracy, delta=0.0001)  # of 500 images, so it is the same number of them
        self.assertAlmostEqual(found_loss, loss, delta=2e-5)

    def test_scored_as_pytorch_does_whatever_the_pixels(self):
        for pixels, normalisation in ((["--pixels", "0.5,0.5"], HALVES), (["--pixels", "0-1"], (0, 1)), ([], NORMALISED)):
            with self.subTest(pixels):
                model, accuracy, loss = self.trained(*normalisation)
                path = self.directory / f"{normalisation}.pt"
                torch.save(model.state_dict(), path)
                checkpoint = self.imported(path, *pixels)
                self.check_score(checkpoint, accuracy, loss)
        # Without a conversion not a bit is touched.
        expected = [array.numpy() for array in model.state_dict().values()]
        names = [f"{layer}.{kind}" for layer in ("fc_layers.0", "fc_layers.1", "last_layer") for kind in ("weight", "bias")]
        self.assertTrue(runs.same_arrays(self.weights(checkpoint), dict(zip(names, expected))))

    def test_the_command_that_it_prints_trains_on(self):
        for bias in (True, False):
            model, accuracy, _ = self.trained(*NORMALISED, bias=bias)
            path = self.directory / f"with bias {bias}.pt"
            torch.save({"epoch": 3, "model_state_dict": model.state_dict()}, path)
            checkpoint = self.imported(path)
            command = next(line for line in self.said.splitlines() if line.startswith("train on: ")).split(":", 1)[1]
            branch = self.directory / f"branch_{bias}"
            arguments = [branch if word == "NEW_MODEL_DIR" else word for word in shlex.split(command)[1:]]
            self.run_to_end(*arguments, *self.data, *settings(
                runconfig__max_steps=60, runconfig__save_initial_checkpoint=True, optimizer__learning_rate=0.05,
                train_input__batch_size=100), ranks=2)
            self.assertTrue(runs.same_arrays(runs.weights(branch, 0), self.weights(checkpoint)))
            self.assertGreater(runs.metrics(branch, "eval")["accuracy"][-1], accuracy)

    def test_other_types_and_parameters(self):
        model, accuracy, loss = self.trained(*NORMALISED)
        torch.save(dict(model.double().named_parameters()), self.directory / "double.pt")
        self.check_score(self.imported(self.directory / "double.pt"), accuracy, loss)
        torch.save(model.bfloat16().state_dict(), self.directory / "half.pt")
        expected = model.float().state_dict()["0.weight"].numpy()
        self.assertEqual(self.weights(self.imported(self.directory / "half.pt"))["fc_layers.0.weight"].tobytes(), expected.tobytes())

    def test_files_that_are_no_state_dict(self):
        model, _, _ = self.trained(*NORMALISED)
        torch.save(model, self.directory / "module.pt")
        torch.save(model.state_dict(), self.directory / "old.pt", _use_new_zipfile_serialization=False)
        torch.save(torch.zeros(3), self.directory / "tensor.pt")
        torch.save(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3)).state_dict(), self.directory / "norm.pt")
        for name, part in (("module.pt", "found torch.nn.modules.container.Sequential, expected tensors only"),
                           ("old.pt", "before release 1.6"), ("tensor.pt", "found a ndarray, expected a state_dict"),
                           ("norm.pt", "1.weight: found 3 float32, expected nothing but weight (outputs x inputs)")):
            refused = fcmnist("import", self.directory / name)
            self.assertEqual(refused.code, 2, str(refused))
            self.assertIn(part, refused.errors)
            self.assertIn("HINT: ", refused.errors)


class Names(ImportCase):
    def test_names_of_layers(self):
        plain = arrays_of(16, 7, 7, 3)
        expected = self.weights(self.of_arrays(plain))
        self.assertEqual(expected["fc_layers.1.weight"].tobytes(), plain["layers.1.weight"].tobytes())

        def renamed(*names):
            return {f"{name}.{kind}": plain[f"layers.{k}.{kind}"] for k, name in enumerate(names) for kind in ("weight", "bias")}

        for names in (("fc_layers.0", "fc_layers.1", "last_layer"), ("module.fc_layers.0", "module.fc_layers.1", "module.last_layer"),
                      ("net.0", "net.2", "net.11"), ("hidden", "between", "a_last")):
            with self.subTest(names):
                self.assertTrue(runs.same_arrays(self.weights(self.of_arrays(renamed(*names))), expected))
        for names, code in ((("net.0", "net.2", "net.11"), 0), (("fc_layers.0", "fc_layers.1", "last_layer"), 0),
                            (("hidden", "between", "a_last"), 2)):
            path = self.directory / "sorted.safetensors"
            write_safetensors(path, renamed(*names))
            if code == 0:
                self.assertTrue(runs.same_arrays(self.weights(self.imported(path)), expected))
            else:
                self.assertIn("safetensors keeps no order", fcmnist("import", path).errors)

    def test_one_layer(self):
        checkpoint = self.of_arrays(arrays_of(SIDE**2, CLASSES))
        self.assertEqual(self.weights(checkpoint).keys(), {"last_layer.weight", "last_layer.bias"})
        self.score(checkpoint)


class Refused(ImportCase):
    def refuse(self, path, *parts, more=()):
        before = runs.snapshot(self.directory)
        done = fcmnist("import", path, *more)
        self.assertEqual((done.code, done.output), (2, ""), str(done))
        for part in (*parts, "HINT: "):
            self.assertIn(part, done.errors)
        self.assertNotIn("Traceback", done.errors)
        self.assertEqual(runs.snapshot(self.directory), before)

    def test_arrays_that_are_no_such_network(self):
        good = arrays_of(16, 7, 3)
        for name, array, part in (
                ("layers.1.weight", np.zeros((3, 8), "f4"), "layers.1.weight: found 8 inputs, expected 7, the outputs of layers.0"),
                ("layers.1.bias", np.zeros(4, "f4"), "layers.1.bias: found 4 numbers, expected 3"),
                ("layers.1.weight", np.zeros((3, 7), "i8"), "layers.1.weight: found 3 x 7 int64, expected nothing but"),
                ("layers.1.weight", np.full((3, 7), np.inf, "f4"), "layers.1.weight: found numbers that are not finite"),
                ("layers.1.weight", np.full((3, 7), 1e300), "layers.1.weight: found numbers that are not finite"),
                ("conv.weight", np.zeros((2, 1, 3, 3), "f4"), "conv.weight: found 2 x 1 x 3 x 3 float32"),
                ("step", np.float32(4), "step: found a single number, float32"),
                ("layers.2.bias", np.zeros(3, "f4"), "layers.2.bias: found no weight for it")):
            with self.subTest(part):
                path = self.directory / "bad.npz"
                np.savez(path, **good | {name: array})
                self.refuse(path, f"{path}: ", part)
        np.savez(path, **{name: array for name, array in good.items() if name != "layers.1.bias"})
        self.refuse(path, "layers.1: found no bias, expected one as in layers.0")
        np.savez(path)
        self.refuse(path, "found no array")
        np.savez(path, **{"\x1b[2J.weight": np.zeros((3, 7), "f4")})
        self.refuse(path, "found an array named '\\x1b[2J.weight'")
        np.savez(path, **arrays_of(16, 3, bias=False))
        self.refuse(path, "the first layer has no bias", more=("--pixels", "0-255"))
        for pixels in ("0-2", "0.5", "0.5,0", "nan,1", "a,b"):
            self.refuse(path, f"--pixels: found {pixels}, expected", more=("--pixels", pixels))

    def test_files_that_are_none(self):
        good, path = self.directory / "good.npz", self.directory / "bad.pt"
        np.savez(good, **arrays_of(16, 7, 3))
        write_safetensors(self.directory / "good.safetensors", arrays_of(16, 7, 3))
        for content, part in ((b"", "neither of PyTorch"), (b"text", "neither of PyTorch"),
                              (good.read_bytes()[:-100], "damaged, cut off"), (b"PK\x03\x04" + bytes(50), "damaged, cut off"),
                              ((self.directory / "good.safetensors").read_bytes()[:-9], "damaged, cut off"),
                              (struct.pack("<Q", 2) + b"{}", "found no array")):
            path.write_bytes(content)
            self.refuse(path, f"{path}: ", part)
        np.savez(path.with_suffix(".npz"), weight=np.array([{}], object))
        self.refuse(path.with_suffix(".npz"), "damaged, cut off, or of another kind")
        self.refuse(self.directory, "a directory, expected a file")
        self.refuse(self.directory / "absent.pt", "No such file")
        self.refuse(good, "exists already", more=("-o", self.directory / "made.h5") if self.imported_before(good) else ())
        self.refuse(good, "expected the name of a checkpoint", more=("-o", self.directory / "made.txt"))
        self.refuse(self.directory / "made.h5", "an HDF5 file, expected one of PyTorch")

    def imported_before(self, good):
        return fcmnist("import", good, "-o", self.directory / "made.h5").code == 0

    def write_pickle(self, content, **files):
        path = self.directory / "evil.pt"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("evil/data.pkl", content)
            for name, data in files.items():
                archive.writestr(f"evil/data/{name}", data)
        return path

    def test_pickles_of_strangers_run_nothing(self):
        class Evil:
            def __reduce__(self):
                return os.mkdir, (str(self.to_make),)

        evil = Evil()
        evil.to_make = self.directory / "made_by_a_stranger"
        self.refuse(self.write_pickle(pickle.dumps({"layers.0.weight": evil}, 2)), "posix.mkdir, expected tensors only")
        self.assertFalse(evil.to_make.exists())

    def test_a_tensor_that_looks_beyond_its_numbers(self):
        for offset, size, stride in ((0, (3, 4), (4, 1)), (7, (2, 2), (2, 1)), (0, (2, 2), (100, 1)), (-1, (2, 2), (2, 1)),
                                     (0, (2, 2), (-2, 1)), (0, (1 << 40, 1 << 40), (0, 0))):
            text = b"\x80\x02}X\x08\x00\x00\x00a.weightctorch._utils\n_rebuild_tensor_v2\n("
            text += b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x08tQ"
            text += b"".join(pickle.dumps(value, 2)[2:-1] for value in (offset, size, stride)) + b"\x89}tRs."
            with self.subTest((offset, size, stride)):
                self.refuse(self.write_pickle(text, **{"0": bytes(32)}), "does not fit into its 8 numbers")


if __name__ == "__main__":
    runs.main()
