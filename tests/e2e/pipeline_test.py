"""Layer-pipelined runs: what one rank trains, on any grid of replicas x stages."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

# (replicas, stages)
GRIDS = ((1, 2), (2, 2), (3, 2), (4, 2), (1, 3), (2, 3))
COLUMNS = ("step", "epoch", "loss", "accuracy", "learning_rate", "grad_norm", "skipped")


def on_grid(replicas, stages):
    """Arguments and ranks."""
    return settings(runconfig__execution="layer_pipelined", runconfig__pipeline_stages=stages,
                    runconfig__num_replicas=replicas), replicas * stages


class Pipelines(runs.TestCase):
    BASE = settings(train_input__use_fake_data=True, train_input__batch_size=128, model__hidden_sizes="[64,32]",
                    optimizer__learning_rate=0.02, optimizer__momentum=0.9, eval_input__batch_size=500)
    # Every sum, mask and share that a grid could change.
    HARD = settings(model__dropout=0.2, optimizer__grad_accum_steps=2, optimizer__max_gradient_norm=1.0,
                    optimizer__weight_decay_rate=0.001, runconfig__reproducible=True, runconfig__microbatch=16,
                    runconfig__eval_frequency=20, runconfig__eval_steps=1, train_input__mixup=0.2, optimizer__max_weight_norm=2)
    DEEP = settings(model__hidden_sizes="[" + ",".join(["50"] * 10) + "]")

    def train(self, name, steps, grid=None, *arguments, ranks=1):
        """On a grid, or data-parallel on so many ranks."""
        on, ranks = on_grid(*grid) if grid else (settings(runconfig__execution="data_parallel"), ranks)
        return self.run_to_end("-o", self.directory / name, "--max_steps", steps, *self.BASE, *arguments, *on,
                               ranks=ranks)

    def check_same_bits(self, name, expected):
        left, right = self.directory / name, self.directory / expected
        self.assertEqual(runs.checkpoint_steps(left)[-1], runs.checkpoint_steps(right)[-1])
        self.assertTrue(runs.same_arrays(runs.weights(left), runs.weights(right)), name)
        self.assertTrue(runs.same_arrays(runs.momentum_buffer(left), runs.momentum_buffer(right)), name)
        for group, columns in (("train", COLUMNS), ("eval", ("step", "loss", "accuracy", "confusion"))):
            mine, theirs = runs.metrics(left, group), runs.metrics(right, group)
            for column in columns:
                self.assertEqual(mine[column].tobytes(), theirs[column].tobytes(), f"{name}: {group}/{column}")


class SameBits(Pipelines):
    def test_on_every_grid(self):
        self.train("alone", 40, None, *self.HARD)
        for grid in GRIDS:
            self.train(f"grid_{grid}", 40, grid, *self.HARD)
            self.check_same_bits(f"grid_{grid}", "alone")

    def test_of_a_deep_network(self):
        self.train("alone", 30, None, *self.HARD, *self.DEEP)
        for grid in ((1, 4), (2, 2), (2, 3)):
            self.train(f"grid_{grid}", 30, grid, *self.HARD, *self.DEEP)
            self.check_same_bits(f"grid_{grid}", "alone")

    def test_through_resumes_on_other_grids(self):
        self.train("alone", 36, None, *self.HARD, *settings(runconfig__num_epochs=1000))
        for steps, grid, ranks in ((12, (4, 2), 0), (24, None, 3), (36, (1, 3), 0)):
            done = self.train("moved", steps, grid, *self.HARD, *settings(runconfig__num_epochs=1000), ranks=ranks)
            self.assertEqual(len(done.lines("resuming at step")), 0 if steps == 12 else 1, str(done))
        for group in ("model", "optimizer/momentum_buffer"):
            self.assertTrue(runs.same_arrays(runs.weights(self.directory / "moved", 36, group),
                                             runs.weights(self.directory / "alone", 36, group)), group)


class WhatARunSays(Pipelines):
    def test_same_losses_without_the_reproducible_mode(self):
        self.train("alone", 40)
        first = runs.metrics(self.directory / "alone")
        for grid in ((1, 2), (2, 3)):
            self.train(f"grid_{grid}", 40, grid)
            metrics = runs.metrics(self.directory / f"grid_{grid}")
            np.testing.assert_allclose(metrics["loss"][:20], first["loss"][:20], rtol=1e-4, err_msg=str(grid))
            np.testing.assert_allclose(metrics["grad_norm"][:20], first["grad_norm"][:20], rtol=1e-3, err_msg=str(grid))

    def test_log_metrics_and_manifest(self):
        done = self.train("run", 40, (2, 2))
        self.assertEqual(len(done.lines("pipeline: 2 stages x 2 replicas; stage 0: layer 0, 93 % of the work, "
                                        "ranks 0-1; stage 1: layers 1-2, 7 % of the work, ranks 2-3")), 1, str(done))
        busy = done.lines("pipeline: stage 0 busy ")
        self.assertEqual(len(busy), 1, str(done))
        self.assertRegex(busy[0], r"stage 0 busy \d+\.\d % \| stage 1 busy \d+\.\d % \| bubble \d+\.\d %$")
        metrics = runs.metrics(self.directory / "run")
        bubble, busy = metrics["bubble_fraction"], [metrics[f"stage{stage}_busy_s"] for stage in range(2)]
        self.assertTrue(np.all(np.array(busy) > 0))
        self.assertNotIn("stage2_busy_s", metrics)
        self.assertTrue(np.all((0 <= bubble) & (bubble < 1)))
        with h5py.File(self.directory / "run" / "metrics.h5") as file:
            self.assertEqual((file.attrs["world_size"], file.attrs["replicas"]), (4, 2))

    def test_without_stages_there_is_no_such_line_and_the_columns_are_0(self):
        done = self.train("run", 20, ranks=2)
        self.assertEqual(done.lines("pipeline"), [], str(done))
        metrics = runs.metrics(self.directory / "run")
        self.assertEqual(metrics["bubble_fraction"].max(), 0.0)
        self.assertNotIn("stage0_busy_s", metrics)

    def test_auto_and_multireplica(self):
        for arguments, ranks, expected in ((["--multireplica"], 4, "2 stages x 2 replicas"), ([], 3, "3 stages x 1 replica"),
                                           ([], 1, "1 stage x 1 replica")):
            done = self.run_to_end("-o", self.directory / f"ranks_{ranks}", "--max_steps", 3, *self.BASE,
                                   "runconfig.execution=layer_pipelined", *arguments, ranks=ranks)
            self.assertEqual(len(done.lines(f"pipeline: {expected};")), 1, str(done))
            self.assertEqual(len(done.lines("--multireplica: ")), len(arguments), str(done))

    def test_batch_size_per_replica_counts_replicas(self):
        arguments = ["-o", self.directory / "run", *settings(
            train_input__use_fake_data=True, train_input__batch_size_per_replica=32, model__hidden_sizes="[64,32]",
            runconfig__execution="layer_pipelined", optimizer__learning_rate=0.02)]
        self.run_to_end(*arguments, "--max_steps", 10, "runconfig.pipeline_stages=2", ranks=4)
        with h5py.File(self.directory / "run" / "checkpoint_10.h5") as file:
            self.assertEqual(file["state"].attrs["samples_seen"], 10 * 2 * 32)
        again = self.run_to_end(*arguments, "--max_steps", 20, "runconfig.pipeline_stages=3", ranks=6)
        self.assertEqual(len(again.lines("resuming at step 10")), 1, str(again))
        other = runs.run(*arguments, "--max_steps", 30, "runconfig.pipeline_stages=2", ranks=6)
        self.assertEqual(other.code, 2, str(other))
        self.assertIn("with 3 replicas it is", other.errors)
        self.assertIn("(ranks / runconfig.pipeline_stages)", other.errors)

    def test_evaluation_needs_no_stages(self):
        self.train("run", 20, (1, 3))
        trained = runs.metrics(self.directory / "run", "eval")["loss"][-1]
        self.run_to_end("-o", self.directory / "run", "-m", "eval", ranks=2)
        scored = runs.metrics(self.directory / "run", "eval", "evaluation.h5")["loss"][-1]
        np.testing.assert_allclose(scored, trained, rtol=1e-6)


class Refusals(Pipelines):
    def check_refused(self, ranks, values, *parts):
        done = runs.run("-o", self.directory / "run", "--max_steps", 3, *self.BASE,
                        *settings(runconfig__execution="layer_pipelined", **values), ranks=ranks)
        self.assertEqual(done.code, 2, str(done))
        self.assertEqual(done.errors.count(runs.ERROR_MARK), 1, str(done))
        for part in parts:
            self.assertIn(part, done.errors)

    def test_ranks_that_are_no_grid(self):
        self.check_refused(3, {"runconfig__pipeline_stages": 2}, "runconfig.pipeline_stages 2 does not divide the 3 ranks",
                           "replicas x stages", "HINT: mpirun -n 4")
        self.check_refused(4, {"runconfig__pipeline_stages": 2, "runconfig__num_replicas": 3}, "= 6 ranks, but there are 4")
        self.check_refused(4, {"runconfig__pipeline_stages": 4}, "4 stages for 3 layers", "a stage has at least one layer")
        self.check_refused(4, {"runconfig__microbatch": 128}, "microbatches of 128", "there are 2 replicas")
        self.check_refused(2, {"train_input__batch_size": 1, "runconfig__pipeline_stages": 1}, "divided among 2 replicas")


if __name__ == "__main__":
    runs.main()
