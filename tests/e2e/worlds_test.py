"""The same training on 1, 2, 3, 4 and 8 ranks: the same losses within rounding, the same bits from run to run."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

WORLDS = (1, 2, 3, 4, 8)


class Worlds(runs.TestCase):
    def train(self, name, ranks, *arguments):
        self.run_to_end("-o", self.directory / name, *arguments, ranks=ranks)
        return self.directory / name

    def train_on_worlds(self, *arguments, worlds=WORLDS):
        return {ranks: self.train(f"ranks_{ranks}", ranks, *arguments) for ranks in worlds}

    def check_first_losses(self, model_dirs, steps=20):
        first = runs.metrics(model_dirs[1])["loss"][:steps]
        self.assertEqual(len(first), steps)
        for ranks, model_dir in model_dirs.items():
            np.testing.assert_allclose(runs.metrics(model_dir)["loss"][:steps], first, rtol=1e-4, err_msg=f"{ranks} ranks")

    def check_same_bits(self, one, other):
        self.assertTrue(runs.same_arrays(runs.weights(one), runs.weights(other)), f"weights of {one} and {other}")
        self.assertTrue(runs.same_arrays(runs.momentum_buffer(one), runs.momentum_buffer(other)), f"{one}, {other}")
        for table, columns in (("train", ("step", "epoch", "loss", "accuracy", "learning_rate", "grad_norm")),
                               ("eval", ("step", "loss", "accuracy", "confusion"))):
            left, right = runs.metrics(one, table), runs.metrics(other, table)  # eval has no rows in mode train
            for column in columns:
                self.assertEqual(left[column].tobytes(), right[column].tobytes(), f"{column} of {one} and {other}")


class FakeData(Worlds):
    ARGUMENTS = ["--max_steps", 150, *settings(train_input__use_fake_data=True, train_input__batch_size=64,
                                               model__hidden_sizes="[64,32]", model__dropout=0.0, optimizer__momentum=0.9,
                                               optimizer__learning_rate="{scheduler: CosineDecay, "
                                               "initial_learning_rate: 0.02, end_learning_rate: 0.0}")]

    def test_learns_the_same_on_all_worlds(self):
        model_dirs = self.train_on_worlds(*self.ARGUMENTS)
        self.check_first_losses(model_dirs)
        accuracies = {}
        for ranks, model_dir in model_dirs.items():
            loss = runs.metrics(model_dir)["loss"]
            self.assertLess(loss[-10:].mean(), 0.25 * loss[:10].mean(), f"{ranks} ranks")
            accuracies[ranks] = runs.metrics(model_dir, "eval")["accuracy"][-1]
        self.assertGreater(min(accuracies.values()), 0.9)
        self.assertLess(max(accuracies.values()) - min(accuracies.values()), 0.01, accuracies)

    def test_same_bits_from_run_to_run(self):
        for ranks in (2, 8):
            again = [self.train(f"ranks_{ranks}_{i}", ranks, *self.ARGUMENTS) for i in range(2)]
            self.check_same_bits(*again)

    @unittest.skipUnless(runs.HAS_ONEDNN, "built without oneDNN")
    def test_onednn_trains_what_openblas_trains(self):
        model_dirs = {gemm: self.train(gemm, 2, *self.ARGUMENTS, *settings(runconfig__gemm=gemm))
                      for gemm in ("openblas", "onednn")}
        losses = [runs.metrics(model_dir)["loss"][:20] for model_dir in model_dirs.values()]
        np.testing.assert_allclose(*losses, rtol=1e-4)
        for (gemm, model_dir), library in zip(model_dirs.items(), ("OpenBLAS", "oneDNN")):
            with h5py.File(model_dir / "metrics.h5") as file:
                self.assertRegex(file.attrs["blas"], f"^{library} [0-9]", gemm)

    def test_without_zeros_the_first_layer_is_the_same(self):
        def products(model_dir):
            with h5py.File(model_dir / "metrics.h5") as file:
                return file.attrs["input_products"]

        dense = self.train("dense", 1, *self.ARGUMENTS)
        sparse = self.train_on_worlds(*self.ARGUMENTS, *settings(runconfig__input_products="sparse"), worlds=(1, 2, 3))
        self.assertEqual([products(dense), *map(products, sparse.values())], ["dense", "sparse", "sparse", "sparse"])
        self.check_first_losses({1: dense, **{10 * ranks: model_dir for ranks, model_dir in sparse.items()}})
        # Files have one order of weights: each way goes on from the other's, and auto goes on as it was.
        for name, asked, used in ((dense, "sparse", "sparse"), (sparse[2], "auto", "sparse"), (sparse[3], "dense", "dense")):
            before = runs.metrics(name, "eval")["loss"][-1]
            self.run_to_end("-o", name, "--mode", "eval", *settings(eval_input__use_fake_data=True), ranks=2)
            with h5py.File(name / "evaluation.h5") as file:
                self.assertAlmostEqual(file["eval/loss"][-1], before, places=5)
            self.run_to_end("-o", name, *self.ARGUMENTS[2:], "--max_steps", 170, *settings(runconfig__input_products=asked),
                            ranks=2)
            self.assertEqual(products(name), used)
            loss = runs.metrics(name)["loss"]
            self.assertLess(loss[150:].mean(), 1.5 * loss[140:150].mean() + 0.01)


class HardCases(Worlds):
    """Shares that differ by a sample, tails of epochs, dropout, accumulation: all at once and one by one."""

    BASE = {"model__hidden_sizes": "[40,30]", "model__num_classes": 6, "model__dropout": 0.0,
            "optimizer__learning_rate": 0.02, "optimizer__momentum": 0.9, "runconfig__max_steps": 40}

    def setUp(self):
        super().setUp()
        train, test = (runs.patterns(count, 10, 6, seed) for count, seed in ((333, 1), (101, 2)))
        self.data = runs.data_settings(runs.write_set(self.directory / "data", train, test))

    def arguments(self, **values):
        return [*self.data, *settings(**{**self.BASE, **values})]

    def test_dropout_uneven_shares_tail_accumulation_clipping(self):
        arguments = self.arguments(train_input__batch_size=29, optimizer__grad_accum_steps=3, model__dropout=0.2,
                                   optimizer__max_gradient_norm=1.0, optimizer__weight_decay_rate=0.001)
        model_dirs = self.train_on_worlds(*arguments)
        self.check_first_losses(model_dirs)
        confusions = [runs.metrics(model_dir, "eval")["confusion"] for model_dir in model_dirs.values()]
        for confusion in confusions:
            self.assertEqual(confusion.sum(), 101)  # every image once, on any world
        self.check_same_bits(model_dirs[3], self.train("again", 3, *arguments))

    def test_tail_with_fewer_samples_than_ranks(self):
        # 333 = 10 x 33 + 3: of 8 ranks, 5 have nothing in the last step of an epoch
        self.check_first_losses(self.train_on_worlds(*self.arguments(train_input__batch_size=33), worlds=(1, 4, 8)))

    def test_batch_size_per_replica_is_a_share_of_the_global_batch(self):
        model_dirs = {1: self.train("global", 1, *self.arguments(train_input__batch_size=36))}
        for ranks in (2, 4):
            model_dirs[ranks] = self.train(f"ranks_{ranks}", ranks,
                                           *self.arguments(train_input__batch_size_per_replica=36 // ranks))
        self.check_first_losses(model_dirs)

    def test_accumulated_batches_are_one_large_batch(self):
        whole = self.train("whole", 2, *self.arguments(train_input__batch_size=60))
        parts = self.train("parts", 2, *self.arguments(train_input__batch_size=20, optimizer__grad_accum_steps=3))
        self.check_first_losses({1: whole, 2: parts})


class Reproducible(Worlds):
    """The same bits on any number of ranks."""

    WORLDS = (1, 2, 3, 4, 5, 6, 8, 12)
    HARD = {"model__hidden_sizes": "[40,30]", "model__num_classes": 6, "model__dropout": 0.2,
            "optimizer__learning_rate": "{scheduler: CosineDecay, initial_learning_rate: 0.05, end_learning_rate: 0.0, "
            "steps: 60}", "optimizer__momentum": 0.9, "optimizer__grad_accum_steps": 2, "optimizer__max_gradient_norm": 1.0,
            "runconfig__max_steps": 60, "runconfig__eval_frequency": 20, "runconfig__reproducible": True,
            "train_input__batch_size": 31, "runconfig__microbatch": 5,  # 333 = 5 x 62 + 23: the tail has 5 microbatches
            "train_input__augment_shift": 0.5, "train_input__augment_rotation": 5, "train_input__augment_scale": 0,
            "train_input__augment_shear": 0, "train_input__augment_elastic": 0.3, "train_input__mixup": 0.1,
            "optimizer__max_weight_norm": 1.5}

    def setUp(self):
        super().setUp()
        train, test = (runs.patterns(count, 10, 6, seed) for count, seed in ((333, 1), (101, 2)))
        self.data = runs.data_settings(runs.write_set(self.directory / "data", train, test))

    def arguments(self, **values):
        return [*self.data, *settings(**{**self.HARD, **values})]

    def check_all_the_same(self, model_dirs):
        for ranks, model_dir in model_dirs.items():
            self.check_same_bits(model_dirs[1], model_dir)

    def test_dropout_accumulation_clipping_and_tails(self):
        model_dirs = self.train_on_worlds(*self.arguments(), worlds=self.WORLDS)
        self.check_all_the_same(model_dirs)
        loss = runs.metrics(model_dirs[1])["loss"]
        self.assertLess(loss[-5:].mean(), 0.5 * loss[:5].mean())
        fast = self.train("fast", 2, *self.arguments(runconfig__reproducible=False))
        np.testing.assert_allclose(runs.metrics(fast)["loss"][:20], loss[:20], rtol=1e-4)

    def test_means_of_logged_steps(self):
        arguments = self.arguments(runconfig__save_losses=False, runconfig__log_steps=7)
        self.check_all_the_same(self.train_on_worlds(*arguments, worlds=(1, 3)))

    def test_through_resumes_on_other_worlds(self):
        # In mode train, since an evaluation at the end of each piece would be a row more.
        arguments = {steps: self.arguments(runconfig__mode="train", runconfig__max_steps=steps) for steps in (17, 18, 41, 50, 60)}
        whole = self.train("whole", 1, *arguments[60])
        for steps, ranks in ((17, 4), (18, 3), (41, 1), (50, 13), (60, 12)):  # 13: each rank has one microbatch
            resumed = self.train("resumed", ranks, *arguments[steps])
        self.check_same_bits(whole, resumed)

    def test_the_shipped_networks(self):
        for name, network in (("500_300", ["model.hidden_sizes=[500,300]"]),
                              ("without_zeros", ["model.hidden_sizes=[500,300]", "runconfig.input_products=sparse"]),
                              ("10x50", ["model.depth=10", "model.hidden_size=50"])):
            with self.subTest(network=name):
                arguments = [*settings(train_input__use_fake_data=True, eval_input__use_fake_data=True, model__dropout=0.2,
                                       train_input__batch_size=128, optimizer__momentum=0.9, optimizer__learning_rate=0.05,
                                       runconfig__reproducible=True, runconfig__microbatch=16, runconfig__max_steps=30),
                             *network]
                model_dirs = {ranks: self.train(f"{name}_{ranks}", ranks, *arguments) for ranks in (1, 2, 3, 8)}
                self.check_all_the_same(model_dirs)

    def test_more_ranks_than_microbatches(self):
        finished = runs.run("-o", self.directory / "run", *self.arguments(runconfig__microbatch=0), ranks=2)
        self.assertEqual(finished.code, 2, str(finished))
        self.assertIn("a step of 62 samples in microbatches of 64 (runconfig.microbatch) has 1 of them, but there are 2 "
                      "replicas: 1 of them would have none", finished.errors)


if __name__ == "__main__":
    runs.main()
