"""optimizer.average_decay: the average of the weights is right, scored, chosen by, saved and exported."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exits with 77 when a module is missing)
from support.reference_training import features, logits  # noqa: E402
from support.runs import np, settings  # noqa: E402

CLASSES, SIDE, STEPS = 6, 10, 24
TRAIN = runs.patterns(300, SIDE, CLASSES, seed=1)
TEST = runs.patterns(90, SIDE, CLASSES, seed=2)
DECAY, FIRST = 0.8, 6


def averaged(model_dir, step=None):
    return runs.weights(model_dir, step, "optimizer/weight_average")


def loss_of(weights):
    """Of the test set, computed by NumPy."""
    outputs = logits(weights, features(TEST.images)).astype(float)
    outputs -= outputs.max(axis=1, keepdims=True)
    return -(outputs[np.arange(len(TEST.labels)), TEST.labels] - np.log(np.exp(outputs).sum(axis=1))).mean()


class WeightAverage(analysis.TestCase):
    def setUp(self):
        super().setUp()
        self.data = runs.write_set(self.directory / "data", TRAIN, TEST)

    def train(self, name, *more, ranks=2, **values):
        model_dir = self.directory / name
        finished = self.run_to_end("-o", model_dir, *runs.data_settings(self.data), *more, *settings(**{
            "runconfig__max_steps": STEPS, "model__hidden_sizes": "[16,12]", "model__num_classes": CLASSES,
            "train_input__batch_size": 37, "optimizer__learning_rate": 0.05, "optimizer__average_decay": DECAY,
            "optimizer__average_from_step": FIRST, **runs.NO_AUGMENTATION, **values}), ranks=ranks)
        return model_dir, finished

    def test_it_is_the_average_of_the_weights_of_all_steps(self):
        model_dir, _ = self.train("run", runconfig__checkpoint_steps=1, runconfig__keep_checkpoints=STEPS + 1,
                                  runconfig__save_initial_checkpoint=True)
        self.assertTrue(runs.same_arrays(averaged(model_dir, 0), runs.weights(model_dir, 0)))
        expected = {}
        for step in range(1, STEPS + 1):
            share = max(1 / (step - FIRST), 1 - DECAY) if step > FIRST else 1
            for name, weights in runs.weights(model_dir, step).items():
                expected[name] = expected.get(name, 0.0) + share * (weights.astype(float) - expected.get(name, 0.0))
            for name, average in averaged(model_dir, step).items():
                np.testing.assert_allclose(average, expected[name], atol=1e-6, err_msg=f"{name} after step {step}")

    def test_it_is_scored_and_the_weights_beside_it(self):
        model_dir, finished = self.train("run", runconfig__eval_frequency=8)
        np.testing.assert_allclose(runs.metrics(model_dir, "eval")["loss"][-1], loss_of(averaged(model_dir)), rtol=1e-5)
        beside = runs.metrics(model_dir, "eval_trained")
        np.testing.assert_array_equal(beside["step"], [8, 16, 24])
        np.testing.assert_allclose(beside["loss"][-1], loss_of(runs.weights(model_dir)), rtol=1e-5)
        self.assertEqual(len(finished.lines("Samples=90 Weights=averaged")), 3, str(finished))
        self.assertEqual(len(finished.lines("Samples=90 Weights=trained")), 3, str(finished))
        self.assertEqual(len(finished.lines("of the weights of the last step: ")), 1, str(finished))
        with runs.h5py.File(model_dir / "predictions.h5") as file:
            np.testing.assert_allclose(file["logits"], logits(averaged(model_dir), features(TEST.images)), atol=1e-4)
        shown = analysis.fcmnist("show", model_dir)
        self.assertIn("eval_trained: 3 rows", str(shown))
        self.assertIn("the average of the weights is kept too, and scored", str(shown))

    def test_the_other_modes_take_it_too_unless_told_otherwise(self):
        model_dir, _ = self.train("run")
        images = self.directory / "images"
        images.write_bytes(runs.idx_bytes(TEST.images))
        for number, (ranks, setting, weights) in enumerate([(3, [], averaged(model_dir)),
                                                            (1, ["eval_input.weights=trained"], runs.weights(model_dir))]):
            which = f"_{number}" if number else ""
            scored = self.run_to_end("-m", "eval", "-o", model_dir, *setting, ranks=ranks)
            self.assertEqual(len(scored.lines("Weights=averaged")), 1 - number, str(scored))
            np.testing.assert_allclose(runs.metrics(model_dir, "eval", f"evaluation{which}.h5")["loss"], [loss_of(weights)], rtol=1e-5)
            self.run_to_end("-m", "predict", "-o", model_dir, *setting, "eval_input.images", images, ranks=ranks)
            with runs.h5py.File(model_dir / f"predicted{which}.h5") as file:
                np.testing.assert_allclose(file["logits"], logits(weights, features(TEST.images)), atol=1e-4)
                self.assertEqual(file.attrs.get("scored_weights"), None if number else "averaged")
        exported = analysis.fcmnist("export", model_dir, "--to", "npz")
        self.assertEqual(exported.code, 0, str(exported))
        with np.load(model_dir / "network.npz") as file:
            np.testing.assert_array_equal(file["layers.2.weight"], averaged(model_dir)["last_layer.weight"])

    def test_a_run_that_scores_the_weights_as_trained_keeps_it_all_the_same(self):
        model_dir, finished = self.train("run", eval_input__weights="trained")
        np.testing.assert_allclose(runs.metrics(model_dir, "eval")["loss"], [loss_of(runs.weights(model_dir))], rtol=1e-5)
        self.assertEqual(finished.lines("Weights="), [], str(finished))
        with runs.h5py.File(model_dir / "metrics.h5") as file:
            self.assertNotIn("eval_trained", file)
        self.assertEqual(len(averaged(model_dir)), 6)

    def test_it_is_the_same_through_stops_in_other_worlds_and_with_stages(self):
        common = {"runconfig__reproducible": True, "runconfig__microbatch": 5, "runconfig__eval_frequency": 8,
                  "train_input__validation_size": 60, "optimizer__optimizer_type": "LAMB"}
        whole, _ = self.train("whole", ranks=1, **common)
        for ranks, steps in ((3, 10), (2, STEPS)):
            parts, _ = self.train("parts", ranks=ranks, **common, runconfig__max_steps=steps)
        staged, _ = self.train("staged", ranks=4, **common, runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2)
        for other in (parts, staged):
            self.assertTrue(runs.same_arrays(averaged(whole), averaged(other)))
            for table in ("eval", "eval_trained", "validation"):
                of_whole, of_other = (runs.metrics(run, table) for run in (whole, other))
                both = np.isin(of_whole["step"], of_other["step"])
                self.assertGreaterEqual(both.sum(), 2)
                last = of_other["step"] % 8 == 0
                np.testing.assert_array_equal(of_whole["loss"][both], of_other["loss"][last], err_msg=table)

    def test_in_sixteen_bits_it_is_kept_in_float32(self):
        model_dir, _ = self.train("half", model__mixed_precision=True, model__half_type="bfloat16", runconfig__eval_frequency=8)
        np.testing.assert_allclose(runs.metrics(model_dir, "eval")["loss"][-1], loss_of(averaged(model_dir)), rtol=0.02)
        in_training = runs.metrics(model_dir, "eval")["loss"][-1]
        self.run_to_end("-m", "eval", "-o", model_dir, ranks=2)
        self.assertEqual(runs.metrics(model_dir, "eval", "evaluation.h5")["loss"][0], in_training)
        # Scores in between leave no trace in the weights.
        unscored, _ = self.train("unscored", model__mixed_precision=True, model__half_type="bfloat16", runconfig__mode="train")
        for group in ("model", "optimizer/weight_average"):
            self.assertTrue(runs.same_arrays(runs.weights(model_dir, group=group), runs.weights(unscored, group=group)), group)

    def test_a_beginning_without_an_average_is_refused(self):
        refused = runs.run("-o", self.directory / "run", "optimizer.average_decay=0", "optimizer.average_from_step=5")
        self.assertEqual(refused.code, 2, str(refused))
        self.assertIn("optimizer.average_from_step 5 without optimizer.average_decay", str(refused))


if __name__ == "__main__":
    runs.main()
