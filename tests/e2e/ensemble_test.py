"""-m eval of several checkpoints: each member, the ensemble and the vote, whatever their widths and precisions are."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exits with 77 when a module is missing)
from support.reference_training import features, logits  # noqa: E402
from support.runs import np, settings  # noqa: E402

CLASSES, SIDE = 6, 10
TRAIN = runs.patterns(300, SIDE, CLASSES, seed=1)
TEST = runs.patterns(90, SIDE, CLASSES, seed=2)


def probabilities(weights):
    """(samples x classes), computed by NumPy."""
    powers = np.exp(logits(weights, features(TEST.images)).astype(float))
    return powers / powers.sum(axis=1, keepdims=True)


class Ensemble(analysis.TestCase):
    def setUp(self):
        super().setUp()
        self.data = runs.write_set(self.directory / "data", TRAIN, TEST)

    def train(self, name, *more, **values):
        self.run_to_end("-o", self.directory / name, *runs.data_settings(self.data), "-m", "train", *more,
                        *settings(**{"runconfig__max_steps": 15, "model__hidden_sizes": "[16,12]", "model__num_classes": CLASSES,
                                     "train_input__batch_size": 37, "optimizer__learning_rate": 0.02, **runs.NO_AUGMENTATION,
                                     **values}), ranks=2)

    def evaluate(self, checkpoints, *more, ranks=1):
        return runs.run("-m", "eval", "-o", self.directory, "--checkpoint_path", checkpoints, *more, ranks=ranks)

    def test_members_of_several_widths_on_any_world(self):
        for seed, widths in ((1, "[16,12]"), (2, "[20]"), (3, "[30,8,9]")):
            self.train(f"seed_{seed}", runconfig__seed=seed, model__hidden_sizes=widths)
        of_members = [probabilities(runs.weights(self.directory / f"seed_{seed}")) for seed in (1, 2, 3)]
        mean = np.mean(of_members, axis=0)
        votes = np.stack([member.argmax(axis=1) for member in of_members])
        checked = self.evaluate(f"{self.directory}/seed_*/checkpoint_15.h5", "--validate_only", ranks=2)
        self.assertRegex(str(checked), "checkpoints +3, an ensemble")
        self.assertFalse((self.directory / "ensemble.h5").exists())
        for ranks, name in ((1, "ensemble.h5"), (3, "ensemble_1.h5")):
            scored = self.evaluate(f"{self.directory}/seed_*/checkpoint_15.h5", ranks=ranks)
            self.assertEqual(scored.code, 0, str(scored))
            lines = scored.lines("| Eval")
            self.assertEqual(len(lines), 3, str(scored))
            self.assertTrue(lines[1].endswith(f"Checkpoint={self.directory}/seed_2/checkpoint_15.h5"), str(scored))
            together = (mean.argmax(axis=1) == TEST.labels).mean()
            self.assertEqual(len(scored.lines(f"ensemble, by mean probabilities: {together:.4f} (error")), 1, str(scored))
            with runs.h5py.File(self.directory / name) as file:
                np.testing.assert_allclose(np.exp(file["logits"]), mean, rtol=1e-4, atol=1e-7)
                np.testing.assert_array_equal(file["predicted"], mean.argmax(axis=1))
                np.testing.assert_array_equal(file["member_predicted"], votes)
                np.testing.assert_allclose(file["member_accuracy"], (votes == TEST.labels).mean(axis=1))
                np.testing.assert_allclose(file["member_loss"], [-np.log(p[np.arange(90), TEST.labels]).mean() for p in of_members],
                                           rtol=1e-5)
                agreed = (votes == votes[0]).all(axis=0)
                np.testing.assert_array_equal(file["vote"][...][agreed], votes[0][agreed])
                self.assertEqual([pathlib.Path(one).parent.name for one in file["member"].attrs["files"]],
                                 ["seed_1", "seed_2", "seed_3"])
                self.assertEqual(file.attrs["step"], 15)
        shown = analysis.fcmnist("show", self.directory / "ensemble.h5")
        self.assertIn("ensemble of 3", str(shown))

    def test_a_list_with_another_precision_and_shifts(self):
        self.train("a")
        self.train("half", model__mixed_precision=True, model__half_type="float16", runconfig__max_steps=20)
        scored = self.evaluate(f"{self.directory}/half/checkpoint_20.h5,{self.directory}/a/checkpoint_15.h5",
                               "eval_input.average_shifts=1", ranks=2)
        self.assertEqual(scored.code, 0, str(scored))
        self.assertEqual([line.split("/")[-2] for line in scored.lines("Shifts=9 Checkpoint=")], ["half", "a"], str(scored))
        with runs.h5py.File(self.directory / "ensemble.h5") as file:
            self.assertEqual(file.attrs["step"], -1)
            np.testing.assert_allclose(np.exp(file["logits"][...].astype(float)).sum(axis=1), 1, atol=1e-5)
            np.testing.assert_array_equal(file["member_step"], [20, 15])

    def test_what_cannot_be_an_ensemble(self):
        self.train("a")
        self.train("b", model__num_classes=7)
        both = f"{self.directory}/{{a,b}}/checkpoint_15.h5"
        for more in ((), ("--validate_only",)):
            other_classes = self.evaluate(both, *more, ranks=2)
            self.assertEqual(other_classes.code, 4, str(other_classes))
            self.assertIn("model.num_classes 7, expected 6 as in the first", str(other_classes))
        nothing = self.evaluate(f"{self.directory}/c*/checkpoint_15.h5")
        self.assertEqual(nothing.code, 4, str(nothing))
        self.assertIn("no file is called", str(nothing))
        training = runs.run("-o", self.directory / "new", "-m", "train", "--checkpoint_path", both, ranks=2)
        self.assertEqual(training.code, 2, str(training))
        self.assertIn("found 2 files, expected one", str(training))
        path = self.directory / "b/checkpoint_15.h5"
        path.write_bytes(path.read_bytes()[:-100])
        damaged = self.evaluate(both, ranks=2)
        self.assertEqual(damaged.code, 4, str(damaged))
        self.assertIn(str(path), str(damaged))
        self.assertFalse((self.directory / "ensemble.h5").exists())


if __name__ == "__main__":
    runs.main()
