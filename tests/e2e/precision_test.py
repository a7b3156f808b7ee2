"""Mixed precision: what a run says, what its files hold, and resumes in another precision."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

BFLOAT16 = settings(model__mixed_precision=True, model__half_type="bfloat16")
FLOAT16 = settings(model__mixed_precision=True, model__half_type="float16", optimizer__loss_scaling_factor="dynamic",
                   optimizer__initial_loss_scale=1024)
FLOAT32 = settings(model__mixed_precision=False)


class Mixed(runs.TestCase):
    BASE = settings(train_input__use_fake_data=True, train_input__batch_size=128, model__hidden_sizes="[64,32]",
                    optimizer__learning_rate=0.02, optimizer__momentum=0.9, eval_input__batch_size=500,
                    runconfig__num_epochs=1000)

    def train(self, name, steps, *arguments, ranks=1):
        return self.run_to_end("-o", self.directory / name, "--max_steps", steps, *self.BASE, *arguments, ranks=ranks)

    def manifest(self, name, entry):
        step = runs.checkpoint_steps(self.directory / name)[-1]
        with h5py.File(self.directory / name / f"checkpoint_{step}.h5") as file:
            return file.attrs.get(entry)

    def losses(self, name):
        return runs.metrics(self.directory / name)["loss"]

    def check_trains_like(self, losses, expected):
        """Single steps go apart: a unit near 0 is on in one precision and off in the other. Their mean does not."""
        self.assertLess(abs(losses.mean() / expected.mean() - 1), 0.01)
        self.assertFalse(np.array_equal(losses, expected))


class Runs(Mixed):
    def test_train_what_float32_trains(self):
        self.train("float32", 60)
        self.assertEqual(self.manifest("float32", "precision"), "float32")
        for name, arguments, unit_roundoff in (("bfloat16", BFLOAT16, 2**-8), ("float16", FLOAT16, 2**-11)):
            log = self.train(name, 60, *arguments, ranks=2).output
            self.assertIn(f"precision: {name} with float32 master weights", log)
            self.assertEqual(self.manifest(name, "precision"), name)
            self.assertTrue(self.manifest(name, "half_products"))
            losses, expected = self.losses(name), self.losses("float32")
            self.assertLess(abs(losses[0] / expected[0] - 1), unit_roundoff)
            self.check_trains_like(losses, expected)
            weights = next(iter(runs.weights(self.directory / name).values()))
            self.assertEqual(weights.dtype, np.float32)
            self.assertTrue(np.any(weights.view(np.uint32) & 0xffff), "master weights are not rounded")

    def test_a_wire_that_nothing_travels_on_is_named(self):
        log = self.train("run", 2, "runconfig.wire_type", "bfloat16", ranks=2).output
        self.assertIn("runconfig.wire_type: there is one node, so no gradient travels", log)

    def test_loss_scaling_that_changes_nothing_is_named(self):
        static = settings(model__mixed_precision=True, model__half_type="float16", optimizer__loss_scaling_factor=16)
        initial, unused = settings(optimizer__initial_loss_scale=8), "optimizer.loss_scaling_factor dynamic they change nothing"
        self.assertIn(unused, self.train("unused", 2, *static, *initial).output)
        self.assertNotIn(unused, self.train("static", 2, *static).output)
        self.assertNotIn(unused, self.train("dynamic", 2, *FLOAT16).output)
        self.assertIn("float32 needs no loss scaling", self.train("float32_unused", 2, *initial).output)
        self.assertNotIn("loss scaling", self.train("float32", 2).output)

    def test_have_the_same_bits_in_any_world(self):
        for name, arguments in (("bfloat16", BFLOAT16), ("float16", FLOAT16)):
            for ranks in (1, 3):
                self.train(f"{name}_{ranks}", 30, *arguments, *settings(
                    runconfig__reproducible=True, runconfig__microbatch=16, model__dropout=0.2), ranks=ranks)
            one, three = (self.directory / f"{name}_{ranks}" for ranks in (1, 3))
            self.assertTrue(runs.same_arrays(runs.weights(one), runs.weights(three)), name)
            self.assertTrue(runs.same_arrays(runs.momentum_buffer(one), runs.momentum_buffer(three)), name)


class Resumes(Mixed):
    # An overflow at the beginning, and then a larger scale every 7 steps.
    RESTLESS = settings(optimizer__initial_loss_scale=2.0**24, optimizer__max_loss_scale=2.0**30,
                        optimizer__steps_per_increase=7)

    def train_plain(self, name, steps, *arguments, **options):
        """With a -p that says nothing of precision; without, it would be the params.yaml of the model_dir."""
        plain = self.directory / "plain.yaml"
        plain.write_text("model: {dropout: 0.0}\n")
        return self.run_to_end("-p", plain, "-o", self.directory / name, "--max_steps", steps, *self.BASE, *arguments,
                               **options)

    def test_keep_the_precision_and_the_bits(self):
        for name, arguments in (("bfloat16", BFLOAT16), ("float16", FLOAT16 + self.RESTLESS)):
            self.train_plain(f"{name}_whole", 40, *arguments)
            self.train_plain(f"{name}_twice", 17, *arguments)
            log = self.train_plain(f"{name}_twice", 40).output
            self.assertNotRegex(log, "(optimizer|model).*from here on")
            self.assertIn(f"precision: {name}", log)
            self.assertEqual(self.manifest(f"{name}_twice", "precision"), name)
            whole, twice = (self.directory / f"{name}_{kind}" for kind in ("whole", "twice"))
            self.assertTrue(runs.same_arrays(runs.weights(whole), runs.weights(twice)), name)
            scales = runs.metrics(whole)["loss_scale"]
            self.assertEqual(len(set(scales)) > 2, name == "float16", scales)
            np.testing.assert_array_equal(scales, runs.metrics(twice)["loss_scale"])

    def test_what_true_means_stays_what_it_was(self):
        mixed = settings(model__mixed_precision=True)
        self.train_plain("run", 10, *mixed, env={"ONEDNN_MAX_CPU_ISA": "AVX2"})
        self.train_plain("run", 20, *mixed)
        self.assertEqual(self.manifest("run", "precision"), "float32")
        self.train_plain("run", 30, *BFLOAT16)
        self.assertEqual(self.manifest("run", "precision"), "bfloat16")
        self.train_plain("run", 40, *mixed)
        self.assertEqual(self.manifest("run", "precision"), "bfloat16")
        self.train_plain("run", 50, "model.half_type", "float16")
        self.assertEqual(self.manifest("run", "precision"), "float16")
        self.train_plain("run", 60, *FLOAT32)
        self.assertEqual(self.manifest("run", "precision"), "float32")

    def test_begin_with_the_initial_loss_scale(self):
        self.train_plain("run", 10)
        self.train_plain("run", 20, *FLOAT16)
        self.train_plain("run", 30, *FLOAT32)
        self.train_plain("run", 40, "model.mixed_precision", "True", "model.half_type", "float16")
        np.testing.assert_array_equal(runs.metrics(self.directory / "run")["loss_scale"],
                                      np.repeat([1.0, 1024.0, 1.0, 1024.0], 10))

    def test_in_any_other_precision(self):
        self.train("run", 20)
        for steps, precision, arguments in ((40, "bfloat16", BFLOAT16), (60, "float16", FLOAT16),
                                            (80, "float32", FLOAT32)):
            log = self.train("run", steps, *arguments, ranks=2).output
            self.assertIn(f"to {precision}", log)
            self.assertEqual(self.manifest("run", "precision"), precision)
        self.train("float32", 80)
        self.check_trains_like(self.losses("run"), self.losses("float32"))


class Evaluations(Mixed):
    EVALUATED = settings(runconfig__mode="train_and_eval", eval_input__use_fake_data=True)

    def evaluate(self, name, *arguments, mode="eval", ranks=2):
        done = self.run_to_end("-o", self.directory / name, "-m", mode, *arguments, ranks=ranks)
        with h5py.File(done.lines("info: files: ")[0].split("files: ")[1].split()[0]) as file:
            return done, file["eval/loss"][()], file.attrs["precision"]

    def test_are_in_the_precision_of_the_checkpoint(self):
        for name, arguments in (("bfloat16", BFLOAT16), ("float16", FLOAT16)):
            self.train(name, 20, *arguments, *self.EVALUATED, ranks=2)
            expected = runs.metrics(self.directory / name, "eval")["loss"][-1:]
            for forgetful in ([], ["-p", self.settings_without_precision(name)]):
                done, losses, precision = self.evaluate(name, *forgetful)
                self.assertEqual(len(done.lines(f"precision: {name} with float32 master weights")), 1, str(done))
                self.assertEqual(done.lines("warning:"), [], str(done))
                np.testing.assert_array_equal(losses, expected)
                self.assertEqual(precision, name)
            done, losses, precision = self.evaluate(name, *FLOAT32)
            self.assertEqual(len(done.lines(f"since the checkpoint: precision from {name} to float32")), 1, str(done))
            self.assertNotEqual(losses, expected)
            np.testing.assert_allclose(losses, expected, rtol=1e-2)
            self.assertEqual(precision, "float32")

    def settings_without_precision(self, name):
        text = (self.directory / name / "params.yaml").read_text()
        kept = [line for line in text.splitlines() if "mixed_precision" not in line and "half_type" not in line]
        self.assertLess(len(kept), len(text.splitlines()))
        path = self.directory / f"{name}_forgotten.yaml"
        path.write_text("\n".join(kept))
        return path

    def test_of_all_checkpoints_are_each_in_its_own(self):
        evaluated = [*self.EVALUATED, *settings(runconfig__eval_frequency=20)]
        for steps, arguments in ((20, FLOAT32), (40, BFLOAT16), (60, FLOAT32)):
            self.train("run", steps, *arguments, *evaluated)
        done, losses, _ = self.evaluate("run", "-p", self.settings_without_precision("run"), mode="eval_all", ranks=1)
        np.testing.assert_array_equal(losses, runs.metrics(self.directory / "run", "eval")["loss"])
        self.assertEqual([line.split("precision: ")[1] for line in done.lines("precision: ")],
                         ["bfloat16 from here on", "float32 from here on"])


class InstructionSets(Mixed):
    """oneDNN can be kept from using what the processor has."""

    def train_limited(self, name, limit, *arguments):
        environment = {"ONEDNN_MAX_CPU_ISA": limit} if limit else {}
        return self.run_to_end("-o", self.directory / name, "--max_steps", 20, *self.BASE, *arguments,
                               env=environment).output

    def test_mean_the_same_numbers(self):
        words = {}
        for limit in ("AVX2", "AVX512_CORE_BF16", ""):
            log = self.train_limited(f"run_{limit}", limit, *BFLOAT16)
            words[limit] = self.manifest(f"run_{limit}", "half_products")
            self.assertIn("emulated" if words[limit] == "emulated" else f"products by {words[limit]}", log)
            # Sums in another order differ in float32, and some of them are rounded to the next bfloat16.
            losses, expected = self.losses(f"run_{limit}"), self.losses("run_AVX2")
            self.assertLess(abs(losses[0] / expected[0] - 1), 2**-8)
            self.assertLess(abs(losses.mean() / expected.mean() - 1), 0.01)
        self.assertEqual(words["AVX2"], "emulated")
        flags = set(re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split())
        if not runs.HAS_ONEDNN or os.environ.get("ONEDNN_MAX_CPU_ISA"):
            return
        self.assertEqual(words["AVX512_CORE_BF16"], "AVX512-BF16" if "avx512_bf16" in flags else "emulated")
        self.assertIn(words[""], {words["AVX512_CORE_BF16"], "AMX" if "amx_bf16" in flags else words["AVX512_CORE_BF16"]},
                      "the kernel may keep AMX from a process")

    def test_that_differ_between_ranks_are_named(self):
        self.train("best", 1, *BFLOAT16)
        best = self.manifest("best", "half_products")
        arguments = [runs.PROGRAM, "-o", self.directory / "run", "--max_steps", 3, *self.BASE, *BFLOAT16]
        finished = runs.execute([*runs.MPIRUN, "-n", 1, "-x", "ONEDNN_MAX_CPU_ISA=AVX2", *arguments,
                                 ":", "-n", 1, *arguments])
        self.assertEqual(finished.code, 0, str(finished))
        same = best == "emulated"
        self.assertEqual(self.manifest("run", "half_products"), best if same else f"emulated, {best}")
        self.assertEqual(len(finished.lines("ranks multiply 16-bit numbers differently")), 0 if same else 1, str(finished))

    def test_decide_what_nobody_has_asked_for(self):
        log = self.train_limited("run", "AVX2", *settings(model__mixed_precision=True))
        self.assertIn("precision: float32: this processor has no bfloat16 instructions", log)
        self.assertEqual(self.manifest("run", "precision"), "float32")


class Underflow(Mixed):
    """In a deep network with small weights and a large batch, gradients of the first layer are below 6e-8."""
    NETWORK = settings(model__hidden_sizes="[50,50,50,50,50,50,50,50,50,50]", model__initializer="pytorch",
                       train_input__batch_size=8192, train_input__use_fake_data=True, optimizer__momentum=0.9,
                       optimizer__learning_rate=0.03)

    def first_gradient(self, name, *arguments):
        """That of the first layer in the first step: after it the momentum buffer is the gradient."""
        self.run_to_end("-o", self.directory / name, "--max_steps", 1, *self.NETWORK, *arguments, ranks=2)
        return runs.momentum_buffer(self.directory / name)["fc_layers.0.weight"]

    def test_is_what_loss_scaling_prevents(self):
        expected = self.first_gradient("float32")
        unscaled = self.first_gradient("unscaled", *settings(model__mixed_precision=True, model__half_type="float16"))
        scaled = self.first_gradient("scaled", *settings(
            model__mixed_precision=True, model__half_type="float16", optimizer__loss_scaling_factor="dynamic"))

        def error(gradient):
            return np.linalg.norm(gradient - expected) / np.linalg.norm(expected)
        self.assertLess(error(scaled), 0.01)
        self.assertGreater(error(unscaled), 10 * error(scaled))


class LossScale(Mixed):
    def test_an_overflow_skips_the_step_and_halves_it(self):
        self.train("run", 60, *FLOAT16, *settings(optimizer__initial_loss_scale=2.0**30, optimizer__max_loss_scale=2.0**30),
                   ranks=2)
        metrics = runs.metrics(self.directory / "run")
        skipped, scale = metrics["skipped"], metrics["loss_scale"]
        self.assertEqual(scale[0], 2.0**30)
        self.assertGreater(skipped.sum(), 0)
        np.testing.assert_array_equal(scale[1:], np.where(skipped[:-1], scale[:-1] / 2, scale[:-1]))
        self.assertLess(metrics["loss"][-1], metrics["loss"][0])


if __name__ == "__main__":
    runs.main()
