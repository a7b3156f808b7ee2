"""Losses and weights equal those that PyTorch computed once, in float64, from the same initial weights.

The numbers are in torch_golden.json, which says how it was made; PyTorch is not needed here.
"""
import json
import pathlib
import sys
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402

sys.path.insert(0, str(runs.SOURCE / "scripts"))
import torch_parity  # noqa: E402

GOLDEN = json.loads((runs.SOURCE / "tests/e2e/torch_golden.json").read_text())
ANEW = f"if this was changed on purpose, make the golden numbers anew: {GOLDEN['made_by']}"
LOSS_BOUND, WEIGHT_BOUND = 1e-5, 1e-4


class Golden(runs.TestCase):
    def setUp(self):
        super().setUp()
        data = torch_parity.made_up()
        self.assertEqual(torch_parity.digest(data), GOLDEN["data_sha256"], f"the made-up images; {ANEW}")
        self.data_dir = torch_parity.write_idx(self.directory / "data", *data)

    def train(self, model, ranks, *overrides):
        """The largest relative differences of losses, and of how far the weights moved."""
        golden = GOLDEN["models"][model]
        model_dir = self.directory / f"{model}_{ranks}"
        options = types.SimpleNamespace(**golden)
        arguments = torch_parity.settings(model, self.data_dir, options, options.seed)
        self.run_to_end("-o", model_dir, *arguments, *overrides, ranks=ranks)
        run = torch_parity.Run(model_dir, golden["steps"])
        self.assertEqual(run.initial_digest(), golden["initial_sha256"],
                         f"the initial weights of seed {golden['seed']}; {ANEW}")
        losses = [abs(run.losses[int(step) - 1] / loss - 1) for step, loss in golden["losses"].items()]
        norms = torch_parity.change_norms(run.initial, run.weights)
        self.assertEqual(norms.keys(), golden["change_norms"].keys())
        return max(losses), max(abs(norms[name] / norm - 1) for name, norm in golden["change_norms"].items())

    def check(self, model):
        for ranks in (1, 2, 4):
            with self.subTest(ranks=ranks):
                losses, weights = self.train(model, ranks)
                self.assertLess(losses, LOSS_BOUND)
                self.assertLess(weights, WEIGHT_BOUND)

    def test_500_300(self):
        self.check("500_300")

    def test_10x50(self):
        self.check("10x50")

    def test_another_momentum_is_noticed(self):
        losses, weights = self.train("10x50", 1, *settings(optimizer__momentum=0.9001))
        self.assertGreater(losses, LOSS_BOUND)
        self.assertGreater(weights, WEIGHT_BOUND)


if __name__ == "__main__":
    runs.main()
