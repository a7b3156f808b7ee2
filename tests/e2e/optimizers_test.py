"""Every optimizer in whole runs: it learns, and stops and resumes with the same bits on other ranks."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

# Learning rates that suit the rules, and what they keep.
OPTIMIZERS = {
    "SGD": (0.05, {"optimizer__momentum": 0.9}, {"momentum_buffer"}),
    "Adam": (0.005, {"optimizer__weight_decay_rate": 1e-4}, {"exp_avg", "exp_avg_sq"}),
    "AdamW": (0.005, {"optimizer__weight_decay_rate": 0.01, "optimizer__amsgrad": True},
              {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}),
    "Adamax": (0.01, {}, {"exp_avg", "exp_inf"}),
    "NAdam": (0.005, {"optimizer__max_gradient_norm": 1.0}, {"exp_avg", "exp_avg_sq"}),
    "RAdam": (0.01, {"optimizer__grad_accum_steps": 2}, {"exp_avg", "exp_avg_sq"}),
    "RMSprop": (0.002, {"optimizer__centered": True}, {"square_avg", "momentum_buffer", "grad_avg"}),
    "Rprop": (0.001, {}, {"prev", "step_size"}),
    "Adagrad": (0.02, {"optimizer__lr_decay": 0.001}, {"sum"}),
    "Adadelta": (1.0, {"optimizer__max_gradient_value": 0.5}, {"square_avg", "acc_delta"}),
    "ASGD": (0.1, {"optimizer__t0": 10}, {"ax"}),
    "Lion": (0.001, {"model__mixed_precision": True, "model__half_type": "bfloat16"}, {"exp_avg"}),
    "LARS": (1.0, {"optimizer__momentum": 0.9, "optimizer__trust_coefficient": 0.02, "optimizer__weight_decay_rate": 1e-4,
                   "optimizer__grad_accum_steps": 2}, {"momentum_buffer"}),
    "LAMB": (0.02, {"optimizer__weight_decay_rate": 0.01, "optimizer__max_gradient_norm": 1.0, "model__mixed_precision": True,
                    "model__half_type": "float16", "optimizer__loss_scaling_factor": "dynamic"}, {"exp_avg", "exp_avg_sq"}),
}


class Optimizers(runs.TestCase):
    def test_each_learns_and_resumes_to_the_bit(self):
        for name, (rate, others, arrays) in OPTIMIZERS.items():
            with self.subTest(optimizer=name):
                arguments = settings(train_input__use_fake_data=True, train_input__batch_size=64, model__hidden_sizes="[32]",
                                     model__dropout=0.0, optimizer__optimizer_type=name, runconfig__reproducible=True,
                                     runconfig__microbatch=16, optimizer__learning_rate=rate,
                                     **{"optimizer__momentum": 0.0, "optimizer__weight_decay_rate": 0.0, **others})
                whole, parts = self.directory / f"{name}_whole", self.directory / f"{name}_parts"
                self.run_to_end("-o", whole, *arguments, "--max_steps", 60)
                self.run_to_end("-o", parts, *arguments, "--max_steps", 23, ranks=3)
                self.run_to_end("-o", parts, *arguments, "--max_steps", 60, ranks=2)
                with h5py.File(whole / "checkpoint_60.h5") as one, h5py.File(parts / "checkpoint_60.h5") as other:
                    self.assertEqual(set(one["optimizer"]), arrays)
                    for group in ("model", *(f"optimizer/{array}" for array in arrays)):
                        for slot in one[group]:
                            self.assertEqual(one[group][slot][...].tobytes(), other[group][slot][...].tobytes(),
                                             f"{name}: {group}/{slot}")
                    self.assertTrue(np.isfinite(one["model/fc_layers.0.weight"][...]).all())
                loss = runs.metrics(whole)["loss"]
                self.assertLess(loss[-5:].mean(), 0.6 * loss[:5].mean(), f"{name} learns")

    def test_a_resume_keeps_the_optimizer(self):
        arguments = settings(train_input__use_fake_data=True, model__hidden_sizes="[16]")
        self.run_to_end("-o", self.directory / "run", *arguments, "--max_steps", 5)
        finished = runs.run("-o", self.directory / "run", *arguments, "--max_steps", 9,
                            *settings(optimizer__optimizer_type="Adam", optimizer__momentum=0.0))
        self.assertEqual(finished.code, 2, str(finished))
        self.assertIn("optimizer.optimizer_type", finished.errors)


if __name__ == "__main__":
    runs.main()
