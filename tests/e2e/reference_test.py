"""Losses, gradient norms and weights of the first steps equal those of an independent program, step by step."""
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.reference_training import Settings, Training  # noqa: E402
from support.runs import np, settings  # noqa: E402

CLASSES, SIDE, STEPS = 5, 8, 12
TRAIN = runs.patterns(250, SIDE, CLASSES, seed=1)  # with 48 samples a step: 6 steps per epoch, the last of 10
TEST = runs.patterns(40, SIDE, CLASSES, seed=2)


def constant(step):
    return 0.05


class StepByStep(runs.TestCase):
    def check(self, reference, ranks=(1, 3), **values):
        """Runs the program on each world and the reference from the program's own initial checkpoint."""
        data = runs.write_set(self.directory / "data", TRAIN, TEST)
        common = {"model__hidden_sizes": "[20,15]", "model__num_classes": CLASSES, "model__dropout": 0.0,
                  "train_input__batch_size": 48, "train_input__shuffle": False, "optimizer__learning_rate": 0.05,
                  "optimizer__momentum": 0.0, "optimizer__use_nesterov": False, "optimizer__weight_decay_rate": 0.0,
                  "optimizer__exclude_from_weight_decay": "[]", **runs.NO_AUGMENTATION,
                  "runconfig__save_initial_checkpoint": True, "runconfig__checkpoint_steps": 1,
                  "runconfig__keep_checkpoints": 100, "runconfig__max_steps": STEPS}
        if "train_input__batch_size_per_replica" in values:
            del common["train_input__batch_size"]
        for world in ranks:
            model_dir = self.directory / f"ranks_{world}"
            self.run_to_end("-m", "train", "-o", model_dir, *runs.data_settings(data),
                            *settings(**{**common, **values}), ranks=world)
            self.compare(model_dir, Training(reference, runs.weights(model_dir, 0), TRAIN))

    def compare(self, model_dir, training):
        table = runs.metrics(model_dir)
        np.testing.assert_array_equal(table["step"], np.arange(1, STEPS + 1))
        for row in range(STEPS):
            rate = training.options.learning_rate(row)
            training.step()
            where = f"{model_dir.name}, step {row + 1}"
            np.testing.assert_allclose(table["loss"][row], training.loss, rtol=1e-5, err_msg=where)
            np.testing.assert_allclose(table["accuracy"][row], training.accuracy, rtol=1e-12, err_msg=where)
            np.testing.assert_allclose(table["grad_norm"][row], training.gradient_norm, rtol=1e-4, err_msg=where)
            np.testing.assert_allclose(table["learning_rate"][row], rate, rtol=1e-12, err_msg=where)
            for found, expected in ((runs.weights(model_dir, row + 1), training.weights),
                                    (runs.momentum_buffer(model_dir, row + 1), training.momentum)):
                self.assertEqual(found.keys(), expected.keys())
                for name in found:
                    np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=2e-6,
                                               err_msg=f"{where}: {name}")

    def test_plain_sgd_with_the_tail_of_an_epoch(self):
        self.check(Settings(48, constant), ranks=(1, 2, 3, 5))

    def test_dropped_tail(self):
        self.check(Settings(48, constant, drop_last_batch=True), train_input__drop_last_batch=True)

    def test_momentum(self):
        self.check(Settings(48, constant, momentum=0.9), optimizer__momentum=0.9)

    def test_nesterov_and_weight_decay(self):
        self.check(Settings(48, constant, momentum=0.8, use_nesterov=True, weight_decay_rate=0.02),
                   optimizer__momentum=0.8, optimizer__use_nesterov=True, optimizer__weight_decay_rate=0.02)

    def test_clipping_by_norm(self):
        self.check(Settings(48, constant, momentum=0.9, max_gradient_norm=0.5), optimizer__momentum=0.9,
                   optimizer__max_gradient_norm=0.5)

    def test_clipping_by_value(self):
        self.check(Settings(48, constant, momentum=0.9, max_gradient_value=0.01), optimizer__momentum=0.9,
                   optimizer__max_gradient_value=0.01)

    def test_gradient_accumulation(self):
        self.check(Settings(5 * 16, constant, momentum=0.9), train_input__batch_size=16, optimizer__momentum=0.9,
                   optimizer__grad_accum_steps=5)

    def test_batch_size_per_replica(self):
        self.check(Settings(3 * 16, constant), ranks=[3], train_input__batch_size_per_replica=16)

    def test_no_bias_and_the_initialisation_of_pytorch(self):
        self.check(Settings(48, constant), model__use_bias=False, model__initializer="pytorch")

    def test_shuffle_and_dropout(self):
        # 150 units: more than one group of random numbers
        self.check(Settings(48, constant, momentum=0.5, dropout=0.3, shuffle=True, seed=2**40 + 17),
                   train_input__shuffle=True, model__hidden_sizes="[150,20]", model__dropout=0.3,
                   optimizer__momentum=0.5, runconfig__seed=2**40 + 17)

    def test_dropout_of_inputs_and_of_each_layer(self):
        reference = Settings(48, constant, momentum=0.5, input_dropout=0.2, dropout=[0.0, 0.4], seed=5)
        values = {"model__input_dropout": 0.2, "model__dropout": "[0.0,0.4]", "optimizer__momentum": 0.5, "runconfig__seed": 5}
        self.check(reference, **values)
        self.check(reference, ranks=[2], runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2, **values)

    def test_mixup(self):
        reference = Settings(48, constant, momentum=0.5, dropout=0.3, mixup=0.4, shuffle=True, seed=7)
        values = {"train_input__mixup": 0.4, "train_input__shuffle": True, "model__dropout": 0.3, "optimizer__momentum": 0.5,
                  "runconfig__seed": 7}
        self.check(reference, **values)
        self.check(reference, ranks=[2], runconfig__execution="layer_pipelined", runconfig__pipeline_stages=2, **values)

    def test_bounded_weights(self):
        self.check(Settings(48, constant, momentum=0.9, max_weight_norm=0.8), optimizer__momentum=0.9, optimizer__max_weight_norm=0.8)

    def test_dropped_pixels_are_no_background(self):
        """Images of which most is background have sparse products, but not when pixels are dropped."""
        mostly_zero = runs.Images(np.where(np.arange(SIDE * SIDE).reshape(SIDE, SIDE) < 10, TRAIN.images, 0).astype(np.uint8),
                                  TRAIN.labels)
        data = runs.write_set(self.directory / "data", mostly_zero, TEST)
        for dropped, products in ((0.0, "sparse"), (0.2, "dense")):
            model_dir = self.directory / products
            self.run_to_end("-m", "train", "-o", model_dir, *runs.data_settings(data), "--max_steps", 2, *settings(
                model__hidden_sizes="[64]", model__num_classes=CLASSES, model__input_dropout=dropped))
            with runs.h5py.File(model_dir / "metrics.h5") as file:
                self.assertEqual(file.attrs["input_products"], products)
                self.assertEqual(file.attrs["dropout_placement"],
                                 "on the normalised pixels, in training only" if dropped else "none")
        refused = runs.run("-o", self.directory / "refused", *runs.data_settings(data), *settings(
            model__input_dropout=0.2, runconfig__input_products="sparse"))
        self.assertEqual(refused.code, 2, str(refused))
        self.assertIn("runconfig.input_products sparse with model.input_dropout 0.2", refused.errors)
        self.assertIn("HINT: ", refused.errors)

    def test_schedules_one_after_the_other(self):
        def rate(step):
            if step < 4:
                return 0.1 * step / 4
            return 0.02 + 0.08 * 0.5 * (1 + math.cos(math.pi * (step - 4) / (STEPS - 4)))
        self.check(Settings(48, rate), optimizer__learning_rate="[{scheduler: Linear, initial_learning_rate: 0.0, "
                   "end_learning_rate: 0.1, steps: 4}, {scheduler: CosineDecay, initial_learning_rate: 0.1, "
                   "end_learning_rate: 0.02}]")


if __name__ == "__main__":
    runs.main()
