"""eval_input.average_shifts: the mean of the predicted probabilities over small shifts, in every place that scores."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exits with 77 when a module is missing)
from support.reference_training import features, logits  # noqa: E402
from support.runs import np, settings  # noqa: E402

CLASSES, SIDE, STEPS = 6, 10, 20
TRAIN = runs.patterns(300, SIDE, CLASSES, seed=1)
TEST = runs.patterns(90, SIDE, CLASSES, seed=2)


def shifted(images, right, down):
    padded = np.pad(images, ((0, 0), (3, 3), (3, 3)))
    return padded[:, 3 - down:3 - down + SIDE, 3 - right:3 - right + SIDE]


def mean_probabilities(weights, images, pixels):
    """(samples x classes), computed by NumPy."""
    shifts = [(right, down) for down in range(-pixels, pixels + 1) for right in range(-pixels, pixels + 1)]
    powers = [np.exp(logits(weights, features(shifted(images, *shift)))) for shift in shifts]
    return np.mean([power / power.sum(axis=1, keepdims=True) for power in powers], axis=0)


class AverageShifts(analysis.TestCase):
    def setUp(self):
        super().setUp()
        self.data = runs.write_set(self.directory / "data", TRAIN, TEST)
        self.model_dir = self.directory / "run"

    def train(self, model_dir, *more, ranks=2, **values):
        return self.run_to_end("-o", model_dir, *runs.data_settings(self.data), "--max_steps", STEPS, *more, *settings(**{
            "model__hidden_sizes": "[16,12]", "model__num_classes": CLASSES, "train_input__batch_size": 37,
            "optimizer__learning_rate": 0.02, **runs.NO_AUGMENTATION, **values}), ranks=ranks)

    def check(self, model_dir, metrics, predictions, pixels):
        """A file of metrics and its file of predictions have the scores that NumPy finds."""
        expected = mean_probabilities(runs.weights(model_dir), TEST.images, pixels)
        evaluated = runs.metrics(model_dir, "eval", metrics)
        loss = -np.log(expected[np.arange(len(TEST.labels)), TEST.labels]).mean()
        np.testing.assert_allclose(evaluated["loss"][-1], loss, rtol=1e-5)
        self.assertAlmostEqual(evaluated["accuracy"][-1], (expected.argmax(axis=1) == TEST.labels).mean(), places=12)
        with runs.h5py.File(model_dir / predictions) as file:
            found = file["logits"][...].astype(float)
            if pixels == 0:  # as the last layer gives them
                found -= np.log(np.exp(found).sum(axis=1, keepdims=True))
            np.testing.assert_allclose(found, np.log(expected), rtol=1e-4, atol=1e-5)
            np.testing.assert_array_equal(file["predicted"], expected.argmax(axis=1))
            self.assertIn(f"average_shifts: {pixels}\n", file.attrs["config_yaml"])

    def test_a_run_says_and_writes_it(self):
        finished = self.train(self.model_dir, eval_input__average_shifts=1)
        self.assertEqual(len(finished.lines("info: test accuracy, averaged over 9 shifts, 0.")), 1, str(finished))
        self.assertTrue(finished.lines("| Eval")[-1].endswith("Samples=90 Shifts=9"), str(finished))
        self.check(self.model_dir, "metrics.h5", "predictions.h5", 1)
        shown = analysis.fcmnist("show", self.model_dir)
        self.assertEqual(shown.output.count("averaged over 9 shifts"), 2, str(shown))  # checkpoint and metrics
        # A new value is for evaluations to come, not for what is known.
        again = self.train(self.model_dir, eval_input__average_shifts=0)
        self.assertEqual(len(again.lines("its test accuracy, averaged over 9 shifts, is 0.")), 1, str(again))

    def test_a_resume_may_change_it(self):
        self.train(self.model_dir)
        resumed = self.train(self.model_dir, "--max_steps", STEPS + 10, eval_input__average_shifts=2)
        self.assertEqual(len(resumed.lines("eval_input.average_shifts: 0 in the checkpoint, 2 from here on")), 1, str(resumed))
        self.check(self.model_dir, "metrics.h5", "predictions.h5", 2)

    def test_stages_and_sixteen_bits(self):
        self.train(self.model_dir, eval_input__average_shifts=1, runconfig__execution="layer_pipelined",
                   runconfig__pipeline_stages=2, ranks=4)
        self.check(self.model_dir, "metrics.h5", "predictions.h5", 1)
        half = self.directory / "half"
        self.train(half, eval_input__average_shifts=1, model__mixed_precision=True, model__half_type="float16")
        expected = mean_probabilities(runs.weights(half), TEST.images, 1)
        with runs.h5py.File(half / "predictions.h5") as file:
            np.testing.assert_allclose(np.exp(file["logits"]), expected, atol=5e-3)

    def test_eval_and_predict_of_a_run_without_it_on_any_world(self):
        self.train(self.model_dir)
        images = self.directory / "images"
        images.write_bytes(runs.idx_bytes(TEST.images))
        expected = mean_probabilities(runs.weights(self.model_dir), TEST.images, 1)
        for ranks, name in ((1, ""), (3, "_1")):
            self.run_to_end("-m", "eval", "-o", self.model_dir, "eval_input.average_shifts=1", ranks=ranks)
            self.check(self.model_dir, f"evaluation{name}.h5", f"evaluation{name}_predictions.h5", 1)
            self.run_to_end("-m", "predict", "-o", self.model_dir, "eval_input.average_shifts=1", "eval_input.images", images,
                            ranks=ranks)
            with runs.h5py.File(self.model_dir / f"predicted{name}.h5") as file:
                np.testing.assert_allclose(file["probability"], expected, rtol=1e-4)
        self.check(self.model_dir, "metrics.h5", "predictions.h5", 0)

    def test_made_up_data(self):
        finished = self.run_to_end("-o", self.model_dir, "--max_steps", 5, *settings(
            train_input__use_fake_data=True, eval_input__average_shifts=3, model__hidden_sizes="[16]"), ranks=2)
        self.assertTrue(finished.lines("test accuracy, averaged over 49 shifts, "), str(finished))


if __name__ == "__main__":
    runs.main()
