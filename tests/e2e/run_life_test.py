"""The life of a run in its model_dir: stop, resume, restart, finish, prune, evaluate, begin from other weights."""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
import sample_order  # noqa: E402
from support.runs import np, settings  # noqa: E402

# 37 samples a step divide neither the 300 images nor the ranks; a step of the schedule does not depend on the length.
BASE = {"model__hidden_sizes": "[16,12]", "model__num_classes": 6, "model__dropout": 0.1, "train_input__batch_size": 37,
        "optimizer__learning_rate": 0.02, "optimizer__momentum": 0.9}


class Life(runs.TestCase):
    def setUp(self):
        super().setUp()
        train, test = (runs.patterns(count, 10, 6, seed) for count, seed in ((300, 1), (90, 2)))
        self.data = runs.write_set(self.directory / "data", train, test)
        self.model_dir = self.directory / "run"

    def arguments(self, *more, model_dir=None, **values):
        return ["-o", model_dir or self.model_dir, *runs.data_settings(self.data), *settings(**{**BASE, **values}), *more]

    def train(self, *more, ranks=2, model_dir=None, **values):
        return self.run_to_end(*self.arguments(*more, model_dir=model_dir, **values), ranks=ranks)

    def refuse(self, code, *parts, ranks=2, arguments):
        before = runs.snapshot(self.model_dir)
        finished = runs.run(*arguments, ranks=ranks)
        self.assertEqual(finished.code, code, str(finished))
        self.assertEqual(finished.errors.count(runs.ERROR_MARK), 1, str(finished))
        for part in parts:
            self.assertIn(part, finished.errors)
        self.assertEqual(runs.snapshot(self.model_dir), before)

    def damage(self, path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


class Resume(Life):
    def test_equals_the_run_that_was_not_interrupted(self):
        whole = self.directory / "whole"
        self.train("--max_steps", 60, model_dir=whole)
        self.train("--max_steps", 30)
        second = self.train("--max_steps", 60)
        self.assertEqual(len(second.lines("resuming at step 30")), 1, str(second))
        self.assertRegex(second.output, r"done: 30 steps in \S+ of training, \d+ samples/s \(60 steps in \S+ with earlier")
        self.assertTrue(runs.same_arrays(runs.weights(whole, 60), runs.weights(self.model_dir, 60)))
        self.assertTrue(runs.same_arrays(runs.momentum_buffer(whole, 60), runs.momentum_buffer(self.model_dir, 60)))
        expected, found = runs.metrics(whole), runs.metrics(self.model_dir)
        np.testing.assert_array_equal(found["step"], np.arange(1, 61))
        self.assertEqual(found["loss"].tobytes(), expected["loss"].tobytes())
        self.assertTrue((np.diff(found["elapsed_s"]) > 0).all())  # restarts are added up
        np.testing.assert_array_equal(runs.metrics(self.model_dir, "eval")["step"], [30, 60])

    def test_on_another_number_of_ranks(self):
        self.train("--max_steps", 30, ranks=4)
        self.train("--max_steps", 40, ranks=3)
        whole = self.directory / "whole"
        self.train("--max_steps", 40, model_dir=whole)
        np.testing.assert_allclose(runs.metrics(self.model_dir)["loss"], runs.metrics(whole)["loss"], rtol=1e-3)

    def test_forgets_the_rows_behind_the_checkpoint(self):
        self.train("--max_steps", 40, runconfig__checkpoint_steps=10, runconfig__eval_frequency=10,
                   runconfig__keep_checkpoints=9)
        whole = runs.weights(self.model_dir, 40)
        for step in (30, 40):
            (self.model_dir / f"checkpoint_{step}.h5").unlink()
        resumed = self.train("--max_steps", 40, runconfig__eval_frequency=10)
        self.assertEqual(len(resumed.lines("resuming at step 20")), 1, str(resumed))
        np.testing.assert_array_equal(runs.metrics(self.model_dir)["step"], np.arange(1, 41))
        np.testing.assert_array_equal(runs.metrics(self.model_dir, "eval")["step"], [10, 20, 30, 40])
        self.assertTrue(runs.same_arrays(whole, runs.weights(self.model_dir, 40)))

    def test_the_settings_of_the_run_are_remembered(self):
        self.train("--max_steps", 20)
        self.run_to_end("-o", self.model_dir, "--max_steps", 30, ranks=2)
        whole = self.directory / "whole"
        self.train("--max_steps", 30, model_dir=whole)
        self.assertTrue(runs.same_arrays(runs.weights(whole), runs.weights(self.model_dir)))

    def test_finished_run_says_so_and_changes_nothing(self):
        self.train("--max_steps", 20)
        accuracy = runs.metrics(self.model_dir, "eval")["accuracy"][-1]
        before = runs.snapshot(self.model_dir)
        again = self.train("--max_steps", 20)
        self.assertEqual(len(again.lines("is finished: 20 of 20 steps are done")), 1, str(again))
        self.assertEqual(len(again.lines(f"test accuracy is {accuracy:.4f}")), 1, str(again))
        self.assertEqual(runs.snapshot(self.model_dir), before)

    def test_forbidden_changes_are_named(self):
        self.train("--max_steps", 20)
        for key, value, parts in (("optimizer__momentum", 0.5, ["optimizer.momentum: 0.9 in the checkpoint, 0.5 now"]),
                                  ("train_input__batch_size", 64, ["train_input.batch_size: 37 in the checkpoint, 64 now"]),
                                  ("model__hidden_sizes", "[5]", ["model.hidden_sizes: [16, 12] in the checkpoint"]),
                                  ("runconfig__seed", 2, ["runconfig.seed: 1 in the checkpoint, 2 now"])):
            self.refuse(2, *parts, "HINT", "--restart", arguments=self.arguments("--max_steps", 30, **{key: value}))

    def test_harmless_changes_pass(self):
        schedule = {"optimizer__learning_rate": "{scheduler: Linear, initial_learning_rate: 0.02, end_learning_rate: 0.0}"}
        self.train("--max_steps", 20, **schedule)
        moved = self.directory / "moved_data"
        self.data.rename(moved)
        self.data = moved
        resumed = self.train("--max_steps", 30, runconfig__log_steps=5, runconfig__checkpoint_steps=5,
                             runconfig__keep_checkpoints=2, runconfig__eval_frequency=10, eval_input__batch_size=17,
                             **schedule)
        jump = "warning: the learning rate jumps from 0.001 in step 20 to 0.00667 in step 21: its schedule ends with training, " \
               "after 30 steps now instead of 20"
        self.assertEqual(len(resumed.lines(jump)), 1, str(resumed))
        self.assertEqual(len(resumed.lines("runconfig.log_steps: 50 in the checkpoint, 5 from here on")), 1, str(resumed))
        self.assertEqual(runs.checkpoint_steps(self.model_dir)[-1], 30)

    def test_other_kernels_are_a_warning(self):
        for kernels, more in (("Haswell", 0), ("Zen", 1)):  # any processor that runs this build has both
            resumed = self.run_to_end(*self.arguments("--max_steps", 20 + 10 * more), ranks=2,
                                      env={"OPENBLAS_CORETYPE": kernels})
            if not resumed.lines(f"with {kernels} kernels"):
                self.skipTest(f"an OpenBLAS of one kind of kernels only: {resumed.lines('GEMM: ')}")
            said = [line.split("warning: ", 1)[1] for line in resumed.lines("since the checkpoint: ")]
            self.assertEqual(said, more * ["since the checkpoint: blas_core from Haswell to Zen: results go on equal to "
                                           "rounding, not to the bit"], str(resumed))

    def test_a_world_of_different_kernels_is_a_warning(self):
        one_of = [["-n", 1, "-x", f"OPENBLAS_CORETYPE={kernels}", runs.PROGRAM, *self.arguments("--max_steps", 20)]
                  for kernels in ("Zen", "Haswell")]
        finished = runs.execute([*runs.MPIRUN, *one_of[0], ":", *one_of[1]])
        self.assertEqual(finished.code, 0, str(finished))
        if not finished.lines("with Zen kernels"):
            self.skipTest(f"an OpenBLAS of one kind of kernels only: {finished.lines('GEMM: ')}")
        self.assertEqual(len(finished.lines("warning: ranks use different GEMM kernels (Zen, Haswell)")), 1, str(finished))
        with runs.h5py.File(self.model_dir / "checkpoint_20.h5") as file:
            self.assertEqual(file.attrs["blas_core"], "Zen, Haswell")

    def test_damaged_newest_checkpoint_falls_back_to_the_one_before(self):
        self.train("--max_steps", 20, runconfig__checkpoint_steps=10)
        expected = runs.weights(self.model_dir, 20)
        self.damage(self.model_dir / "checkpoint_20.h5")
        resumed = self.train("--max_steps", 20)
        warnings = resumed.lines("warning:")
        self.assertTrue(any("checkpoint_20.h5" in line and "damaged" in line for line in warnings), str(resumed))
        self.assertEqual(len(resumed.lines("resuming at step 10")), 1, str(resumed))
        self.assertTrue(runs.same_arrays(expected, runs.weights(self.model_dir, 20)))

    def test_a_checkpoint_under_another_name_is_passed_over(self):
        self.train("--max_steps", 20, runconfig__checkpoint_steps=10)
        shutil.copy(self.model_dir / "checkpoint_10.h5", self.model_dir / "checkpoint_90.h5")
        resumed = self.train("--max_steps", 30)
        self.assertEqual(len(resumed.lines("found a checkpoint of step 10, expected one of step 90")), 1, str(resumed))
        self.assertEqual(len(resumed.lines("resuming at step 20")), 1, str(resumed))
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [10, 20, 30])

    def test_damaged_metrics_are_set_aside(self):
        first = self.train("--max_steps", 20, eval_input__split="train")
        self.assertEqual(len(first.lines("info: accuracy on the train split ")), 1, str(first))
        self.assertTrue(first.lines("| Eval")[0].endswith("Samples=300 Split=train"), str(first))
        self.assertNotIn("test", first.output.replace(str(self.directory), ""))
        self.damage(self.model_dir / "metrics.h5")
        damaged = (self.model_dir / "metrics.h5").read_bytes()
        resumed = self.train("--max_steps", 30, eval_input__split="train")
        self.assertTrue(resumed.lines("warning:"), str(resumed))
        self.assertEqual(len(resumed.lines("(30 steps with those before this start)")), 1, str(resumed))
        self.assertEqual((self.model_dir / "metrics.h5.damaged-1").read_bytes(), damaged)
        np.testing.assert_array_equal(runs.metrics(self.model_dir)["step"], np.arange(21, 31))


class Restart(Life):
    def test_moves_the_old_run_aside(self):
        self.train("--max_steps", 20)
        before = runs.snapshot(self.model_dir)
        (self.model_dir / "notes.txt").write_text("mine")
        restarted = self.train("--max_steps", 10, "--restart", optimizer__momentum=0.5)
        self.assertEqual(len(restarted.lines("previous_1")), 1, str(restarted))
        del before["LOCK"]  # belongs to the directory
        self.assertEqual(runs.snapshot(self.model_dir / "previous_1"), before)
        self.assertEqual((self.model_dir / "notes.txt").read_text(), "mine")
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [10])
        np.testing.assert_array_equal(runs.metrics(self.model_dir)["step"], np.arange(1, 11))

    def test_of_an_empty_model_dir_just_starts(self):
        self.train("--max_steps", 5, "--restart")
        self.assertFalse((self.model_dir / "previous_1").exists())

    def test_params_yaml_repeats_the_run_elsewhere(self):
        self.train("--max_steps", 25, runconfig__eval_frequency=10, optimizer__use_nesterov=True)
        elsewhere = self.directory / "elsewhere"
        self.run_to_end("-p", self.model_dir / "params.yaml", "-o", elsewhere, ranks=2)
        self.assertTrue(runs.same_arrays(runs.weights(self.model_dir), runs.weights(elsewhere)))
        for group in ("train", "eval"):
            found, expected = runs.metrics(elsewhere, group), runs.metrics(self.model_dir, group)
            for column in ("step", "epoch", "loss", "accuracy"):
                self.assertEqual(found[column].tobytes(), expected[column].tobytes(), column)


class Validation(Life):
    HELD_OUT = {"train_input__validation_size": 60, "runconfig__eval_frequency": 4}

    def validations(self, model_dir=None):
        return runs.metrics(model_dir or self.model_dir, "validation")

    def test_scores_the_samples_that_are_held_out(self):
        self.train("-m", "train", "--max_steps", 8, ranks=3, **self.HELD_OUT)
        train, ids = runs.patterns(300, 10, 6, 1), sample_order.held_out(300, 60, 1)
        alone = runs.write_set(self.directory / "held_out", train, runs.Images(train.images[ids], train.labels[ids]))
        self.run_to_end("-m", "eval", "-o", self.model_dir, f"eval_input.data_dir={alone}", ranks=2)
        expected = runs.metrics(self.model_dir, "eval", "evaluation.h5")
        found = self.validations()
        np.testing.assert_array_equal(found["step"], [4, 8])
        self.assertEqual(found["accuracy"][-1], expected["accuracy"][-1])
        np.testing.assert_allclose(found["loss"][-1], expected["loss"][-1], rtol=1e-6)

    def test_is_the_same_on_other_ranks_and_after_a_stop(self):
        whole = self.directory / "whole"
        self.train("--max_steps", 12, ranks=1, model_dir=whole, runconfig__reproducible=True, runconfig__microbatch=8,
                   **self.HELD_OUT)
        for steps, ranks in ((6, 3), (12, 2)):
            self.train("--max_steps", steps, ranks=ranks, runconfig__reproducible=True, runconfig__microbatch=8,
                       **self.HELD_OUT)
        found, expected = self.validations(), self.validations(whole)
        np.testing.assert_array_equal(found["step"], [4, 6, 8, 12])  # 6 was the last step of a run
        for column in ("loss", "accuracy"):
            np.testing.assert_array_equal(found[column][[0, 2, 3]], expected[column])
        self.assertTrue(runs.same_arrays(runs.weights(whole), runs.weights(self.model_dir)))

    def test_averaging_the_test_set_does_not_change_validations(self):
        other = self.directory / "other"
        self.train("--max_steps", 4, **self.HELD_OUT)
        self.train("--max_steps", 4, model_dir=other, eval_input__average_shifts=1, **self.HELD_OUT)
        self.assertEqual(self.validations()["loss"], self.validations(other)["loss"])
        self.assertNotEqual(runs.metrics(self.model_dir, "eval")["loss"], runs.metrics(other, "eval")["loss"])

    def test_early_stopping_ends_the_run_for_good(self):
        arguments = {**self.HELD_OUT, "optimizer__learning_rate": 0.0, "runconfig__early_stopping": 2}
        first = self.train("--max_steps", 40, ranks=2, **arguments)
        self.assertEqual(len(first.lines("early stopping after step 12 of 40: 2 validations in a row without a better one "
                                         "than step 4's")), 1, str(first))
        self.assertEqual(len(first.lines("; the best was ")), 1, str(first))
        self.assertEqual(len(first.lines(f"at step 4: {self.model_dir}/checkpoint_best.h5")), 1, str(first))
        self.assertEqual(len(first.lines("| Train Device=cpu Step=12 ")), 1, str(first))  # the last one has a log line
        np.testing.assert_array_equal(self.validations()["step"], [4, 8, 12])
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [4, 12])
        (self.model_dir / "STOPPED").touch()  # as if a signal had ended the run, and the patience is what is new
        self.assertTrue((self.model_dir / "predictions.h5").exists())  # as at the end of any run
        before = runs.snapshot(self.model_dir)
        del before["STOPPED"]
        again = self.train("--max_steps", 40, ranks=3, **arguments)
        self.assertEqual(len(again.lines("is finished: 12 of 12 steps are done; a larger runconfig.early_stopping goes on")), 1,
                         str(again))
        self.assertEqual(runs.snapshot(self.model_dir), before)
        self.train("--max_steps", 40, ranks=1, **{**arguments, "runconfig__early_stopping": 3})
        np.testing.assert_array_equal(self.validations()["step"], [4, 8, 12, 16])

    def test_a_set_without_a_rest_is_refused(self):
        finished = runs.run(*self.arguments("--max_steps", 4, train_input__validation_size=300), ranks=2)
        self.assertEqual(finished.code, 2, str(finished))
        self.assertEqual(finished.errors.count(runs.ERROR_MARK), 1, str(finished))
        self.assertIn("train_input.validation_size: 300 of the 300 training samples are held out", finished.errors)


class Checkpoints(Life):
    def test_newest_and_best_are_kept(self):
        # The step is so large behind step 10 that the accuracy falls: the best checkpoint is one of the oldest.
        schedule = ("[{scheduler: Constant, initial_learning_rate: 0.02, steps: 10}, "
                    "{scheduler: Constant, initial_learning_rate: 0.0, steps: 1}, "
                    "{scheduler: Constant, initial_learning_rate: 3.0}]")
        self.train("--max_steps", 16, runconfig__checkpoint_steps=2, runconfig__eval_frequency=2, runconfig__keep_checkpoints=2,
                   train_input__validation_size=60, optimizer__learning_rate=schedule, optimizer__max_gradient_norm=1.0)
        validated = runs.metrics(self.model_dir, "validation")
        best = validated["step"][np.lexsort((validated["loss"], -validated["accuracy"]))[0]]
        self.assertNotIn(best, (14, 16), validated)
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [best, 14, 16])
        self.assertEqual(os.readlink(self.model_dir / "checkpoint_best.h5"), f"checkpoint_{best}.h5")

    def test_initial_checkpoint(self):
        self.train("--max_steps", 5, runconfig__save_initial_checkpoint=True)
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [0, 5])
        self.assertFalse(any(array.any() for array in runs.momentum_buffer(self.model_dir, 0).values()))

    def test_nothing_else_is_left_in_the_model_dir(self):
        self.train("--max_steps", 5)
        self.assertEqual(set(runs.snapshot(self.model_dir)), {"checkpoint_5.h5", "metrics.h5", "predictions.h5",
                                                              "params.yaml", "LOCK"})

    def test_predictions_are_those_of_the_last_weights_or_absent(self):
        self.train("--max_steps", 5)
        predictions = self.model_dir / "predictions.h5"
        good = predictions.read_bytes()
        for spoil in (predictions.unlink, lambda: predictions.write_bytes(good[:-1])):
            spoil()
            self.train("--max_steps", 5)  # the run is finished
            with runs.h5py.File(predictions) as file:
                self.assertEqual(file.attrs["step"], 5)
        self.train("-m", "train", "--max_steps", 8)
        self.assertFalse(predictions.exists())

    def test_divergence_keeps_the_last_checkpoint(self):
        self.train("--max_steps", 10)
        before = (self.model_dir / "checkpoint_10.h5").read_bytes()
        branch = self.directory / "branch"
        finished = runs.run(*self.arguments("--checkpoint_path", self.model_dir / "checkpoint_10.h5",
                                            "--is_pretrained_checkpoint", "--max_steps", 200, model_dir=branch,
                                            optimizer__learning_rate="1e30", runconfig__save_initial_checkpoint=True),
                            ranks=4)
        self.assertEqual(finished.code, 6, str(finished))
        self.assertEqual(finished.errors.count(runs.ERROR_MARK), 1, str(finished))
        self.assertIn("HINT: lower optimizer.learning_rate", finished.errors)
        self.assertEqual(runs.checkpoint_steps(branch), [0])
        self.assertTrue(runs.same_arrays(runs.weights(branch, 0), runs.weights(self.model_dir, 10)))
        self.assertEqual((self.model_dir / "checkpoint_10.h5").read_bytes(), before)


    def test_divergence_in_the_last_step_saves_nothing(self):
        finished = runs.run(*self.arguments("--max_steps", 1, optimizer__learning_rate="1e38"), ranks=2)
        self.assertEqual(finished.code, 6, str(finished))
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [])
        self.assertIn("metrics.h5", runs.snapshot(self.model_dir))  # the curve that leads there

    def test_a_damaged_checkpoint_takes_no_place_of_a_good_one(self):
        self.train("--max_steps", 40, runconfig__checkpoint_steps=10)
        self.damage(self.model_dir / "checkpoint_40.h5")
        self.train("--max_steps", 39, runconfig__checkpoint_steps=2, runconfig__keep_checkpoints=2)
        self.assertIn(39, runs.checkpoint_steps(self.model_dir))
        self.assertNotIn(40, runs.checkpoint_steps(self.model_dir))
        self.assertIn("checkpoint_40.h5.damaged-1", runs.snapshot(self.model_dir))


class SameRun(Life):
    def test_a_batch_that_grows_with_the_world_cannot_change_worlds(self):
        self.run_to_end("-o", self.model_dir, *runs.data_settings(self.data), "model.hidden_sizes=[16]", "model.num_classes=6",
                        "train_input.batch_size_per_replica=20", "--max_steps", 10)
        self.refuse(2, "step 10 was epoch 0, step 10 in it, after 200 samples", "batch_size_per_replica",
                    arguments=["-o", self.model_dir, "--max_steps", 20])
        self.refuse(2, "train_input.batch_size", ranks=2,
                    arguments=["-o", self.model_dir, "--max_steps", 20, "train_input.batch_size=40"])
        resumed = self.run_to_end("-o", self.model_dir, "--max_steps", 20, "train_input.batch_size=20", ranks=2)
        self.assertEqual(len(resumed.lines("resuming at step 10")), 1, str(resumed))

    def test_other_data_is_refused(self):
        self.train("--max_steps", 10)
        other = runs.write_set(self.directory / "other", runs.patterns(300, 10, 6, 7), runs.patterns(90, 10, 6, 8))
        self.refuse(3, "its labels differ",
                    arguments=["-o", self.model_dir, "--max_steps", 20, *runs.data_settings(other)])

    def test_evaluation_follows_data_that_was_moved(self):
        self.train("--max_steps", 10)
        moved = self.directory / "moved"
        os.rename(self.data, moved)
        self.run_to_end("-o", self.model_dir, "--max_steps", 20, "train_input.data_dir", moved, ranks=2)
        self.assertEqual(runs.metrics(self.model_dir, "eval")["step"].tolist(), [10, 20])


class Prediction(Life):
    """Images without labels."""

    def setUp(self):
        super().setUp()
        self.train("--max_steps", 20, runconfig__checkpoint_steps=10, runconfig__eval_steps=1)
        self.images = self.directory / "some-digits"
        self.images.write_bytes(runs.idx_bytes(runs.patterns(90, 10, 6, seed=2).images))

    def content(self, path):
        with runs.h5py.File(path) as file:
            return {name: file[name][...] for name in file}, dict(file.attrs)

    def test_all_of_them_on_any_world(self):
        self.run_to_end("-m", "eval", "-o", self.model_dir, "--eval_steps", 0)
        scored, _ = self.content(self.model_dir / "evaluation_predictions.h5")
        for ranks, name in ((1, "predicted.h5"), (3, "predicted_1.h5"), (8, "predicted_2.h5")):
            finished = self.run_to_end("-m", "predict", "-o", self.model_dir, "eval_input.images", self.images, ranks=ranks)
            self.assertIn("| Predict Device=cpu Step=20 Samples=90", finished.output)
            self.assertEqual(len(finished.lines(f"files: {self.model_dir / name}")), 1, str(finished))
            found, attributes = self.content(self.model_dir / name)
            self.assertEqual(set(found), {"sample", "class", "predicted", "logits", "probability"})
            np.testing.assert_array_equal(found["predicted"], scored["predicted"])
            np.testing.assert_allclose(found["logits"], scored["logits"], rtol=1e-5, atol=1e-5)
            exact = np.exp(found["logits"].astype(float))
            np.testing.assert_allclose(found["probability"], exact / exact.sum(axis=1, keepdims=True), rtol=1e-5)
            self.assertEqual((attributes["step"], list(attributes["test_set_files"])), (20, [str(self.images)]))

    def test_named_checkpoint_and_another_place(self):
        other = self.directory / "other"
        self.run_to_end("-m", "predict", "-o", other, "-p", self.model_dir / "params.yaml", "--checkpoint_path",
                        self.model_dir / "checkpoint_10.h5", "eval_input.images", self.images, ranks=2)
        self.assertEqual(self.content(other / "predicted.h5")[1]["step"], 10)

    def test_refused(self):
        small = self.directory / "small"
        small.write_bytes(runs.idx_bytes(runs.patterns(9, 7, 6, seed=2).images))
        labels = self.directory / "labels"
        labels.write_bytes(runs.idx_bytes(runs.patterns(9, 7, 6, seed=2).labels))
        given = ("-m", "predict", "-o", self.model_dir)
        for code, arguments, parts in (
                (2, given, ("eval_input.images", "HINT: ")),
                (2, ("-m", "eval", "-o", self.model_dir, "eval_input.images", self.images), ("-m predict", "the mode eval")),
                (3, (*given, "eval_input.images", self.directory / "nowhere"), ("nowhere", "HINT: ")),
                (3, (*given, "eval_input.images", labels), (str(labels), "HINT: ")),
                (4, (*given, "eval_input.images", small), ("49", "100"))):
            with self.subTest(parts):
                self.refuse(code, *parts, arguments=arguments)


class Evaluation(Life):
    def setUp(self):
        super().setUp()
        self.train("--max_steps", 20, runconfig__checkpoint_steps=10, runconfig__eval_frequency=10)
        self.evaluated = runs.metrics(self.model_dir, "eval")

    def eval_line(self, row):
        return (f"| Eval Device=cpu Step={self.evaluated['step'][row]} Loss={self.evaluated['loss'][row]:.5f} "
                f"Accuracy={self.evaluated['accuracy'][row]:.4f} Samples=90")

    def check_lines(self, finished, rows):
        found = [line[line.index("| Eval"):] for line in finished.lines("| Eval")]
        self.assertEqual(found, [self.eval_line(row) for row in rows], str(finished))

    def test_newest_checkpoint_on_any_world(self):
        for ranks, name in ((1, "evaluation.h5"), (3, "evaluation_1.h5"), (8, "evaluation_2.h5")):
            more = ["--checkpoint_path", self.model_dir / "checkpoint_10.h5"] if ranks == 3 else []
            finished = self.run_to_end("-m", "eval", "-o", self.model_dir, *more, ranks=ranks)
            self.check_lines(finished, [0] if more else [1])
            self.assertEqual(len(finished.lines(f"files: {self.model_dir / name}")), 1, str(finished))
        for name, step in (("evaluation.h5", 20), ("evaluation_1.h5", 10), ("evaluation_2.h5", 20)):
            self.assertEqual(runs.metrics(self.model_dir, "eval", name)["step"].tolist(), [step])

    def test_named_checkpoint(self):
        finished = self.run_to_end("-m", "eval", "-o", self.directory / "other", "--checkpoint_path",
                                   self.model_dir / "checkpoint_10.h5", ranks=2)
        self.check_lines(finished, [0])

    def test_all_checkpoints(self):
        self.check_lines(self.run_to_end("-m", "eval_all", "-o", self.model_dir, ranks=2), [0, 1])
        found = runs.metrics(self.model_dir, "eval", "evaluation.h5")
        np.testing.assert_array_equal(found["step"], [10, 20])
        np.testing.assert_array_equal(found["confusion"], self.evaluated["confusion"])

    def test_all_checkpoints_without_the_damaged_one(self):
        self.damage(self.model_dir / "checkpoint_10.h5")
        finished = self.run_to_end("-m", "eval_all", "-o", self.model_dir, ranks=2)
        self.check_lines(finished, [1])
        self.assertTrue(any("checkpoint_10.h5" in line for line in finished.lines("warning:")), str(finished))

    def test_changes_nothing_of_the_run(self):
        before = runs.snapshot(self.model_dir)
        self.run_to_end("-m", "eval", "-o", self.model_dir, ranks=2)
        after = runs.snapshot(self.model_dir)
        after.pop("evaluation.h5")
        after.pop("evaluation_predictions.h5")
        self.assertEqual(after, before)

    def test_so_many_batches(self):
        finished = self.run_to_end("-m", "eval", "-o", self.model_dir, "--eval_steps", 2, "eval_input.batch_size", 25,
                                   ranks=3)
        self.assertIn("Samples=50", finished.lines("| Eval")[0])
        with runs.h5py.File(self.model_dir / "evaluation_predictions.h5") as file:
            self.assertEqual({name: len(file[name]) for name in ("label", "predicted", "logits")},
                             {"label": 50, "predicted": 50, "logits": 50})
            self.assertEqual(file.attrs["is_test_set_of_run"], 1)

    def test_read_only_model_dir(self):
        """Root may write where nobody else may, so a read-only mount stands in for the permission where possible."""
        before = runs.snapshot(self.model_dir)
        if os.geteuid() == 0:
            mount = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && shift && exec \"$@\""
            command = ["unshare", "-m", "sh", "-c", mount, "sh", self.model_dir]
            if runs.execute([*command, "true"]).code != 0:
                self.skipTest("root, and mounts are not allowed here")
        else:
            command = []
            self.model_dir.chmod(0o555)
            self.addCleanup(self.model_dir.chmod, 0o755)
        finished = runs.execute([*command, *runs.mpi_command(2, "-m", "eval", "-o", self.model_dir)])
        self.assertEqual((finished.code, finished.errors), (0, ""), str(finished))
        self.check_lines(finished, [1])
        self.assertEqual(len(finished.lines("warning: not saved: ")), 1, str(finished))
        self.assertEqual(runs.snapshot(self.model_dir), before)


class Pretrained(Life):
    def setUp(self):
        super().setUp()
        self.train("--max_steps", 10)
        self.checkpoint = self.model_dir / "checkpoint_10.h5"
        self.branch = self.directory / "branch"

    def test_checkpoint_path_goes_on_with_optimizer_and_position(self):
        self.run_to_end("-o", self.branch, "--checkpoint_path", self.checkpoint, "--max_steps", 20, ranks=2)
        whole = self.directory / "whole"
        self.train("--max_steps", 20, model_dir=whole)
        self.assertTrue(runs.same_arrays(runs.weights(whole), runs.weights(self.branch)))
        np.testing.assert_array_equal(runs.metrics(self.branch)["step"], np.arange(11, 21))

    def test_checkpoint_path_demands_the_same_settings(self):
        finished = runs.run(*self.arguments("--checkpoint_path", self.checkpoint, "--max_steps", 20, model_dir=self.branch,
                                            optimizer__momentum=0.1), ranks=2)
        self.assertEqual(finished.code, 2, str(finished))
        self.assertIn("optimizer.momentum: 0.9 in the checkpoint, 0.1 now", finished.errors)

    def test_pretrained_takes_the_weights_only(self):
        self.train("--checkpoint_path", self.checkpoint, "--is_pretrained_checkpoint", "--max_steps", 5,
                   model_dir=self.branch, optimizer__momentum=0.1, runconfig__save_initial_checkpoint=True)
        self.assertTrue(runs.same_arrays(runs.weights(self.model_dir, 10), runs.weights(self.branch, 0)))
        self.assertFalse(any(array.any() for array in runs.momentum_buffer(self.branch, 0).values()))
        np.testing.assert_array_equal(runs.metrics(self.branch)["step"], np.arange(1, 6))

    def test_repeated_command_with_checkpoint_path_resumes(self):
        arguments = ["--checkpoint_path", self.checkpoint, "--is_pretrained_checkpoint"]
        self.train(*arguments, "--max_steps", 5, model_dir=self.branch)
        again = self.train(*arguments, "--max_steps", 8, model_dir=self.branch)
        self.assertEqual(len(again.lines("resuming at step 5")), 1, str(again))

    def test_going_back_inside_a_run_is_refused(self):
        self.train("--max_steps", 20)
        self.refuse(2, "checkpoint_10.h5: step 10", "checkpoint_20.h5", "HINT",
                    arguments=self.arguments("--checkpoint_path", self.checkpoint, "--max_steps", 30))


class Modes(Life):
    def test_train_without_evaluation_needs_no_test_set(self):
        for path in self.data.glob("t10k-*"):
            path.unlink()
        self.train("-m", "train", "--max_steps", 5)
        self.assertEqual(len(runs.metrics(self.model_dir, "eval")["step"]), 0)

    def test_prepare_data_needs_no_mpirun(self):
        finished = runs.execute([runs.PROGRAM, "-m", "prepare_data", *runs.data_settings(self.data), "model.num_classes=6"])
        self.assertEqual((finished.code, finished.errors), (0, ""), str(finished))
        self.assertEqual(len(finished.lines("verified")), 4, str(finished))

    def test_prepare_data_speaks_once_under_mpirun(self):
        finished = self.run_to_end("-m", "prepare_data", *runs.data_settings(self.data), "model.num_classes=6", ranks=4)
        self.assertEqual(len(finished.lines("verified")), 4, str(finished))

    def test_config_names_a_part_of_the_file(self):
        params = self.directory / "several.yaml"
        params.write_text("small:\n  model: {hidden_sizes: [5]}\nlarge:\n  model: {hidden_sizes: [9]}\n")
        self.run_to_end("-p", params, "--config", "large", "-o", self.model_dir, *runs.data_settings(self.data),
                        "model.num_classes=6", "--max_steps", 2, ranks=2)
        self.assertEqual(runs.weights(self.model_dir)["fc_layers.0.bias"].shape, (9,))

    def test_num_epochs(self):
        self.train("--num_epochs", 3)
        self.assertEqual(runs.checkpoint_steps(self.model_dir), [27])  # 300 images: 9 steps of up to 37

    def test_version_and_help_are_printed_once(self):
        for argument, part in (("--version", "fcmnist_mpi "), ("--help", "Exit codes:")):
            finished = self.run_to_end(argument, ranks=3)
            self.assertEqual(len(finished.lines(part)), 1, str(finished))

    def test_built_in_settings_without_any_argument(self):
        """A bare run in a directory where ./data/mnist is: only its length is cut short here."""
        data, _ = runs.real_data()
        if data is None:
            self.skipTest("no real images")
        (self.directory / "data" / "mnist").symlink_to(data)
        finished = self.run_to_end("--max_steps", 20, ranks=2, cwd=self.directory)
        self.assertEqual(len(finished.lines("545810 parameters")), 1, str(finished))
        self.assertEqual(runs.checkpoint_steps(self.directory / "model_dir"), [20])


if __name__ == "__main__":
    runs.main()
