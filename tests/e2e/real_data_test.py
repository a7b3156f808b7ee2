"""Short trainings on real images: MNIST where FCMNIST_MNIST_DIR names it, else Debian's Fashion-MNIST, else skipped."""
import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

try:
    import torch
except ImportError:
    torch = None

DATA, NAME = runs.real_data()
if DATA is None:
    print("skipped: no real images: set FCMNIST_MNIST_DIR, or apt install dataset-fashion-mnist")
    sys.exit(77)

# What the reference ships (release 1.5): nothing may have to be changed in it but the place of the data.
REFERENCE_FILE = """
train_input:
    data_processor: "get_train_dataloader"
    data_dir: "./data/mnist/train"
    batch_size: 128
    drop_last_batch: True
    shuffle: True

eval_input:
    data_processor: "get_eval_dataloader"
    data_dir: "./data/mnist/val"
    batch_size: 128
    num_workers: 0
    drop_last_batch: True

model:
    name: "fc_mnist"
    mixed_precision: True
    depth: 10
    hidden_size: 50
    dropout: 0.0
    activation_fn: "relu"

optimizer:
    optimizer_type: "SGD"
    learning_rate: 0.001
    momentum: 0.9
    loss_scaling_factor: 1.0

runconfig:
    max_steps: 10000
    checkpoint_steps: 2000
    log_steps: 50
    seed: 1
    save_losses: True
"""


class RealData(runs.TestCase):
    def train(self, *arguments):
        """Loss of the last steps, and test accuracy."""
        model_dir = self.directory / "run"
        self.run_to_end("-o", model_dir, *runs.data_settings(DATA), *arguments, ranks=2, timeout_s=150)
        evaluated = runs.metrics(model_dir, "eval")
        self.assertEqual(evaluated["confusion"][-1].sum(), len(runs.read_idx(DATA, "t10k-labels-idx1-ubyte")))
        return runs.metrics(model_dir)["loss"][-50:].mean(), evaluated["accuracy"][-1]

    def test_auto_multiplies_only_what_is_not_zero_where_few_pixels_are(self):
        share = np.count_nonzero(runs.read_idx(DATA, "train-images-idx3-ubyte")[:1000]) / (1000 * 784)
        products = "sparse" if share < 0.4 else "dense"
        finished = self.run_to_end("-o", self.directory / "run", *runs.data_settings(DATA), "--max_steps", 2, ranks=2)
        self.assertIn(f"first layer: {products} products; {100 * share:.0f} % of the pixels are not zero", finished.output)
        with h5py.File(self.directory / "run/metrics.h5") as file:
            self.assertEqual(file.attrs["input_products"], products)
            self.assertAlmostEqual(file.attrs["nonzero_pixel_share"], share)

    def test_default_network_learns(self):
        _, accuracy = self.train("--max_steps", 800)
        self.assertGreater(accuracy, 0.95 if NAME == "MNIST" else 0.75)

    @unittest.skipIf(torch is None, "no PyTorch")
    def test_predictions_are_those_of_pytorch_image_by_image(self):
        """All that PyTorch needs to know about the network is in the file of predictions or in the checkpoint."""
        self.train("--max_steps", 100)
        run = self.directory / "run"
        for ranks in (1, 3, 8):
            self.run_to_end("-o", run, *runs.data_settings(DATA), "-m", "eval", ranks=ranks)
        with h5py.File(run / "predictions.h5") as file:
            says = dict(file.attrs)
        images = torch.from_numpy(runs.read_idx(DATA, "t10k-images-idx3-ubyte").copy()).flatten(1)
        self.assertEqual(images.shape[1], says["image_height"] * says["image_width"])
        layer = (images.float() / says["pixel_scale"] - says["pixel_mean"]) / says["pixel_deviation"]
        weights = {name: torch.from_numpy(array) for name, array in runs.weights(run).items()}
        for name in [*(f"fc_layers.{i}" for i in range(len(weights) // 2 - 1)), "last_layer"]:
            layer = torch.nn.functional.linear(layer, weights[f"{name}.weight"], weights[f"{name}.bias"])
            layer = layer if name == "last_layer" else layer.relu()
        # Where two logits are equal to rounding, either class may come first.
        first, second = layer.topk(2).values.T
        is_clear = (first - second > 1e-3).numpy()
        self.assertGreater(is_clear.mean(), 0.99)
        label = runs.read_idx(DATA, "t10k-labels-idx1-ubyte")
        for name in ("predictions.h5", "evaluation_predictions.h5", "evaluation_1_predictions.h5",
                     "evaluation_2_predictions.h5"):
            with h5py.File(run / name) as file:
                np.testing.assert_array_equal(file["label"], label)
                np.testing.assert_array_equal(file["predicted"][...][is_clear], layer.argmax(1).numpy()[is_clear])
                np.testing.assert_allclose(file["logits"], layer.numpy(), atol=2e-4)
                self.assertEqual(len(file.attrs["test_set_class_names"]), 10)

    def test_params_yaml_learns(self):
        loss, accuracy = self.train("-p", runs.SOURCE / "configs/params.yaml", "--max_steps", 600)
        self.assertLess(loss, 1.5)
        self.assertGreater(accuracy, 0.5)

    def test_params_yaml_stays_at_ln_10_with_the_references_initialisation(self):
        loss, _ = self.train("-p", runs.SOURCE / "configs/params.yaml", "--max_steps", 600, "model.initializer", "pytorch")
        np.testing.assert_allclose(loss, math.log(10), atol=0.005)

    def test_the_references_own_file_runs_and_learns(self):
        params = self.directory / "reference.yaml"
        params.write_text(REFERENCE_FILE)
        _, accuracy = self.train("-p", params)
        self.assertEqual(runs.checkpoint_steps(self.directory / "run")[-1], 10000)
        self.assertGreater(accuracy, 0.95 if NAME == "MNIST" else 0.82)


if __name__ == "__main__":
    runs.main()
