"""scripts/torch_parity.py: that both agree, that it notices what differs, and what it says when something is
missing.

Exit code 77: PyTorch is missing, skipped; torch_golden_test.py needs none.
"""
import importlib.util
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np  # noqa: E402

if importlib.util.find_spec("torch") is None:
    print("skipped: no torch; on Debian: apt install python3-torch")
    sys.exit(77)


def parity(*arguments, **env):
    return runs.execute([sys.executable, runs.SOURCE / "scripts/torch_parity.py", *arguments], timeout_s=120,
                        env={"FCMNIST_MPI": runs.PROGRAM, **env})


class TorchParity(runs.TestCase):
    def expect(self, finished, code, *texts):
        self.assertEqual(finished.code, code, str(finished))
        for text in texts:
            self.assertIn(text, finished.output + finished.errors)

    def check_first_steps(self, code, *arguments, **env):
        finished = parity("--made-up", "--model", "10x50", "--steps", 20, *arguments, **env)
        self.expect(finished, code)
        return finished

    def test_both_networks_agree_and_give_the_golden_numbers(self):
        path = self.directory / "golden.json"
        finished = parity("--made-up", "--ranks", "1,2", "--write-golden", path)
        self.expect(finished, 0, "500_300 on 1", "500_300 on 2", "10x50 on 1", "10x50 on 2")
        found = json.loads(path.read_text())
        golden = json.loads((runs.SOURCE / "tests/e2e/torch_golden.json").read_text())
        self.assertEqual(found["data_sha256"], golden["data_sha256"])
        for model, expected in golden["models"].items():
            for name, value in found["models"][model].items():
                if isinstance(value, dict):
                    self.assertEqual(value.keys(), expected[name].keys())
                    for key, number in value.items():
                        np.testing.assert_allclose(number, expected[name][key], rtol=1e-9, err_msg=key)
                else:
                    self.assertEqual(value, expected[name], name)

    def test_real_images(self):
        data, _ = runs.real_data()
        if data is None:
            self.skipTest("no real images: set FCMNIST_MNIST_DIR, or apt install dataset-fashion-mnist")
        self.expect(parity("--data-dir", data, "--steps", 20), 0, "500_300 on 1", "10x50 on 1")

    def test_pytorch_in_float32(self):
        self.check_first_steps(0, "--dtype", "float32")

    def test_bounds(self):
        for bound in ("--loss-bound", "--weight-bound"):
            path = self.directory / "golden.json"
            finished = self.check_first_steps(1, bound, 1e-12, "--write-golden", path)
            self.assertEqual(len(finished.lines("DIFFER")), 1, str(finished))
            self.assertFalse(path.exists())

    def test_another_training_is_noticed(self):
        for override in ("optimizer.learning_rate=0.00101", "model.dropout=0.01", "train_input.shuffle=False",
                         "optimizer.use_nesterov=True"):
            self.assertEqual(len(self.check_first_steps(1, override).lines("DIFFER")), 1, override)

    def test_no_seed_without_doubt(self):
        finished = self.check_first_steps(2, "--batch", 500, "--tries", 2)
        self.assertEqual(len(finished.lines("next seed")), 2, str(finished))
        self.assertIn("HINT: --batch", finished.errors)
        self.check_first_steps(0, "--batch", 500, "--any-seed", "--steps", 1)

    def test_what_is_missing(self):
        (self.directory / "torch.py").write_text("raise ImportError('hidden by a test')\n")
        self.expect(parity("--made-up", PYTHONPATH=str(self.directory)), 2, "HINT: apt install python3-torch")
        self.expect(parity("--made-up", "--program", "/nowhere"), 2, "FCMNIST_MPI=/nowhere: not a program")
        self.expect(parity("--data-dir", self.directory), 3, "no train-images-idx3-ubyte", "HINT: --data-dir")
        self.expect(parity("--ranks", 0), 2, "--ranks")

    def test_what_the_program_says(self):
        self.assertIn("optimizer.momentum", self.check_first_steps(2, "optimizer.momentun=0.9").errors)
        self.assertIn("expected 20", self.check_first_steps(2, "runconfig.save_losses=False").errors)


if __name__ == "__main__":
    runs.main()
