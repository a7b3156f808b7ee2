"""Short trainings on real images: MNIST where FCMNIST_MNIST_DIR names it, else Debian's Fashion-MNIST, else skipped."""
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402

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

    def test_default_network_learns(self):
        _, accuracy = self.train("--max_steps", 400)
        self.assertGreater(accuracy, 0.95 if NAME == "MNIST" else 0.82)

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
