"""-m sweep: many trainings in one job or in several, each as a run of its own, and one file of what came of them."""
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import np, settings  # noqa: E402

CLASSES, SIDE = 6, 10
TRAIN = runs.patterns(300, SIDE, CLASSES, seed=1)
TEST = runs.patterns(90, SIDE, CLASSES, seed=2)
GRID = "parameters: {optimizer.learning_rate: [0.01, 0.05], runconfig.seed: 1..3}"


class Sweep(analysis.TestCase):
    def setUp(self):
        super().setUp()
        self.data = runs.write_set(self.directory / "data", TRAIN, TEST)
        self.sweep = self.directory / "s"

    def common(self, **values):
        """With None for a key that the sweep sets."""
        values = {
            "runconfig__max_steps": 20, "runconfig__eval_frequency": 10, "model__hidden_sizes": "[16,12]",
            "model__num_classes": CLASSES, "train_input__batch_size": 37, "train_input__validation_size": 50, **values}
        return [*runs.data_settings(self.data),
                *settings(**{key: value for key, value in values.items() if value is not None})]

    def params(self, section=GRID, more=""):
        path = self.directory / "sweep.yaml"
        path.write_text(f"sweep: {{{section}}}\n{more}")
        return path

    def arguments(self, *more, **values):
        return ["-m", "sweep", "-p", self.directory / "sweep.yaml", "-o", self.sweep, *more, *self.common(**values)]

    def file(self):
        import h5py
        with h5py.File(self.sweep / "sweep.h5") as file:
            states = [str(file["state"].attrs["names"][state]) for state in file["state"]]
            return states, {name: dataset[...] for name, dataset in file.items()}, list(file["trial"].attrs["reason"])

    def trial(self, number):
        return self.sweep / f"trial_{number:04d}"

    def check_equal_to_single_run(self, number, ranks=1, **values):
        """A trial has the bits of a run by itself."""
        single = self.directory / f"single_{number}"
        if not single.exists():
            empty = self.directory / "empty.yaml"
            empty.write_text("runconfig: {seed: 1}\n")
            self.run_to_end("-p", empty, "-o", single, *self.common(**values), ranks=ranks)
        for group in ("model", "optimizer/momentum_buffer"):
            self.assertTrue(runs.same_arrays(runs.weights(single, group=group), runs.weights(self.trial(number), group=group)),
                            f"trial {number}, {group}")

    def test_each_trial_is_a_run_of_its_own(self):
        self.params()
        finished = self.run_to_end(*self.arguments(), ranks=2)
        states, found, _ = self.file()
        self.assertEqual(states, ["done"] * 6, str(finished))
        np.testing.assert_array_equal(found["optimizer.learning_rate"], [0.01] * 3 + [0.05] * 3)
        np.testing.assert_array_equal(found["runconfig.seed"], [1, 2, 3] * 2)
        np.testing.assert_array_equal(found["steps"], [20] * 6)
        np.testing.assert_array_equal(found["ranks"], [1] * 6)
        for number, (rate, seed) in enumerate([(rate, seed) for rate in (0.01, 0.05) for seed in (1, 2, 3)]):
            self.check_equal_to_single_run(number, optimizer__learning_rate=rate, runconfig__seed=seed)
            for table, kind in (("eval", "evaluation"), ("validation", "validation")):
                rows = runs.metrics(self.trial(number), table)
                for column in ("step", "loss", "accuracy"):
                    np.testing.assert_array_equal(found[f"{kind}_{column}"][number], rows[column])
            self.assertEqual(found["test_accuracy"][number], runs.metrics(self.trial(number), "eval")["accuracy"][-1])
            self.assertEqual(found["best_validation_accuracy"][number], runs.metrics(self.trial(number), "validation")["accuracy"].max())
        self.assertEqual(len(finished.lines("training set:")), 1, "the data are read once")
        self.assertEqual(len(finished.lines("6 trials: 6 done")), 1, str(finished))
        self.assertEqual(len(finished.lines("best by validation accuracy: trial_")), 1, str(finished))
        shown = str(analysis.fcmnist("show", self.sweep / "sweep.h5"))
        self.assertIn("6 trials: 6 done", shown)
        self.assertIn("optimizer.learning_rate=0.05 runconfig.seed=3", shown)
        table = str(analysis.fcmnist("table", "--seeds", self.sweep))
        self.assertEqual(table.count("and 2 more"), 2, table)
        before = runs.snapshot(self.trial(0))
        again = self.run_to_end(*self.arguments(), ranks=1)
        self.assertEqual(len(again.lines("6 trials: 6 done")), 1, str(again))
        self.assertEqual({name: digest for name, digest in before.items() if not name.endswith(".log")},
                         {name: digest for name, digest in runs.snapshot(self.trial(0)).items() if not name.endswith(".log")})

    def test_groups_of_ranks_and_random_draws(self):
        self.params("method: random, trials: 5, ranks_per_trial: 2, mode: train, "
                    "parameters: {optimizer.learning_rate: {min: 0.005, max: 0.05, log: True}, model.hidden_sizes: [[16], [20, 8]]}")
        finished = self.run_to_end(*[one for one in self.arguments() if "hidden_sizes" not in str(one)], ranks=4)
        states, found, _ = self.file()
        self.assertEqual(states, ["done"] * 5, str(finished))
        np.testing.assert_array_equal(found["ranks"], [2] * 5)
        self.assertTrue(np.isnan(found["test_accuracy"]).all())
        self.assertFalse(np.isnan(found["last_validation_accuracy"]).any())
        self.assertTrue(((found["optimizer.learning_rate"] >= 0.005) & (found["optimizer.learning_rate"] <= 0.05)).all())
        widths = {found["model.hidden_sizes"][number]: len(runs.weights(self.trial(number))) for number in range(5)}
        self.assertEqual(set(widths.values()), {4, 6})

    def test_trials_that_cannot_be_trained_do_not_stop_the_others(self):
        self.params("parameters: {optimizer.learning_rate: [0.01, 1.0e+9], optimizer.max_gradient_norm: [0, 1]}",
                    "optimizer: {max_gradient_value: 1.0e+9}\n")
        finished = self.run_to_end(*self.arguments(), ranks=2)
        states, _, reasons = self.file()
        self.assertEqual(states, ["done", "refused", "diverged", "refused"], str(finished))
        self.assertIn("are both given", reasons[1])
        self.assertIn("step", reasons[2])
        self.assertEqual(reasons[0], "")
        self.assertIn("are both given", str(analysis.fcmnist("show", self.sweep / "sweep.h5")))

    def start(self, ranks, *more, env=None, **values):
        return subprocess.Popen([*map(str, runs.mpi_command(ranks, *self.arguments(*more, **values)))], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=env)

    def wait_for_checkpoint(self, number, process):
        """Any one: the first is soon deleted."""
        while not list(self.trial(number).glob("checkpoint_[0-9]*.h5")):
            self.assertIsNone(process.poll(), "it ended too early")
            time.sleep(0.01)

    def test_what_is_killed_goes_on_in_another_world(self):
        self.params()
        values = {"runconfig__checkpoint_steps": 100, "runconfig__max_steps": 3000, "runconfig__eval_frequency": 1000}
        process = self.start(2, **values)
        self.wait_for_checkpoint(2, process)
        for pid in subprocess.run(["pgrep", "-P", str(process.pid)], stdout=subprocess.PIPE, text=True).stdout.split():
            subprocess.run(["kill", "-9", pid], check=False)
        process.communicate()
        ended = {number: runs.snapshot(self.trial(number)) for number in range(6) if (self.trial(number) / "OUTCOME").exists()}
        self.assertLess(len(ended), 6)
        self.run_to_end(*self.arguments(**values), ranks=3)
        self.assertEqual(self.file()[0], ["done"] * 6)
        for number, before in ended.items():
            self.assertEqual(before["checkpoint_3000.h5"], runs.snapshot(self.trial(number))["checkpoint_3000.h5"], number)
        self.check_equal_to_single_run(2, optimizer__learning_rate=0.01, runconfig__seed=3, **values)

    def test_a_signal_saves_all_and_the_same_command_goes_on(self):
        self.params()
        values = {"runconfig__max_steps": 4000, "runconfig__eval_frequency": 4000, "runconfig__save_initial_checkpoint": True}
        process = self.start(2, **values)
        self.wait_for_checkpoint(1, process)
        self.wait_for_checkpoint(0, process)
        process.send_signal(signal.SIGUSR1)  # mpirun forwards it
        output, _ = process.communicate()
        if process.returncode != 0:  # unless all had ended before
            self.assertEqual(process.returncode, 75, output)
            self.assertIn("the same command goes on", output)
        self.run_to_end(*self.arguments(**values), ranks=2)
        self.assertEqual(self.file()[0], ["done"] * 6)
        self.check_equal_to_single_run(0, optimizer__learning_rate=0.01, runconfig__seed=1, **values)

    def test_successive_halving_goes_on_with_the_best(self):
        self.params("method: successive_halving, rungs: [6, 14], reduction_factor: 3, "
                    "parameters: {optimizer.learning_rate: [0.002, 0.01, 0.05], runconfig.seed: 1..3}")
        finished = self.run_to_end(*self.arguments(), ranks=2)
        states, found, reasons = self.file()

        def loss_at(number, step):
            return found["validation_loss"][number][list(found["validation_step"][number]).index(step)]

        on_first = sorted(range(9), key=lambda number: loss_at(number, 6))[:3]
        on_second = sorted(on_first, key=lambda number: loss_at(number, 14))[:1]
        for number in range(9):
            steps = 20 if number in on_second else 14 if number in on_first else 6
            self.assertEqual(found["steps"][number], steps, str(finished))
            self.assertEqual(states[number], "done" if number in on_second else "dropped", reasons[number])
        self.assertEqual(len(finished.lines("rung at step 6: 3 of 9 trials go on")), 1, str(finished))
        table = str(analysis.fcmnist("table", "--seeds", self.sweep))
        self.assertIn("dropped", table)
        self.assertRegex(table, rf"(?m)trial_000{on_second[0]}  +1 .* 20 ")
        best, rates = on_second[0], (0.002, 0.01, 0.05)
        self.check_equal_to_single_run(best, optimizer__learning_rate=rates[best // 3], runconfig__seed=best % 3 + 1)
        again = self.run_to_end(*self.arguments(), ranks=3)
        self.assertEqual(len(again.lines("9 trials: ")), 1, str(again))
        np.testing.assert_array_equal(self.file()[1]["steps"], found["steps"])
        # As after a death between a validation at a rung and the checkpoint there: the trial makes up for it.
        dropped = next(number for number in range(9) if number not in on_first)
        before = runs.weights(self.trial(dropped))
        (self.trial(dropped) / "OUTCOME").unlink()
        (self.trial(dropped) / "checkpoint_6.h5").unlink()
        self.run_to_end(*self.arguments(), ranks=2)
        self.assertTrue(runs.same_arrays(before, runs.weights(self.trial(dropped))))
        np.testing.assert_array_equal(self.file()[1]["steps"], found["steps"])

    def test_jobs_of_an_array_share_the_trials(self):
        import os
        self.params()
        jobs = [self.start(1, env=os.environ | {"SLURM_ARRAY_TASK_ID": str(4 + task), "SLURM_ARRAY_TASK_MIN": "4",
                                               "SLURM_ARRAY_TASK_COUNT": "2"}, runconfig__max_steps=200) for task in range(2)]
        for job in jobs:
            output, _ = job.communicate()
            self.assertEqual(job.returncode, 0, output)
        self.assertEqual(self.file()[0], ["done"] * 6)
        for number in range(6):
            log = (self.trial(number) / "trial.log").read_text()
            self.assertEqual(log.count("done: 200 steps"), 1, log)

    def test_what_is_wrong_is_said_before_anything_runs(self):
        self.params()
        self.run_to_end(*self.arguments(), ranks=1)
        before = runs.snapshot(self.sweep)
        self.params("parameters: {runconfig.seed: 1..4}")
        other = runs.run(*self.arguments())
        self.assertEqual(other.code, 2, str(other))
        self.assertIn("another sweep is there", str(other))
        self.params()
        changed = runs.run(*self.arguments(optimizer__momentum=0.5))
        self.assertEqual(changed.code, 2, str(changed))
        self.assertIn("optimizer.momentum", str(changed))
        self.assertEqual(before, runs.snapshot(self.sweep))
        self.params("ranks_per_trial: 3, " + GRID)
        uneven = runs.run(*self.arguments(), ranks=2)
        self.assertEqual(uneven.code, 2, str(uneven))
        self.assertIn("sweep.ranks_per_trial 3 does not divide the 2 ranks", str(uneven))
        self.params("parameters: {optimizer.lerning_rate: [0.1]}")
        unknown = runs.run(*self.arguments(), ranks=2)
        self.assertEqual(unknown.code, 2, str(unknown))
        self.assertIn("did you mean optimizer.learning_rate?", str(unknown))
        self.assertEqual(before, runs.snapshot(self.sweep))

    def test_validate_only_says_what_each_trial_needs_and_how_long_the_whole_takes(self):
        self.params("parameters: {model.hidden_sizes: [[16], [32, 16], [64]], runconfig.seed: 1..2}")
        said = self.run_to_end(*self.arguments("--validate_only", model__hidden_sizes=None), ranks=2)
        need = r"20 steps of \S+ \S+, \S+ \S+ on a rank, \S+ \S+ on a node$"
        rows = re.findall(r"info: (trial_000\d): (.*): " + need, str(said), re.MULTILINE)
        self.assertEqual(len(rows), 6, str(said))
        self.assertEqual(rows[3], ("trial_0003", "model.hidden_sizes=[32, 16] runconfig.seed=2"), str(said))
        self.assertRegex(str(said), "sweep: 6 trials, 2 at once with 1 rank each; 6 to train, predicted to take 0:00:0")
        self.assertFalse(self.sweep.exists())

    def test_validate_only_counts_what_is_left(self):
        self.params("parameters: {optimizer.learning_rate: [0.01, 1.0e+30, 0.05], runconfig.seed: 1..2}")
        self.run_to_end(*self.arguments(), ranks=2)
        shutil.rmtree(self.trial(1))
        (self.trial(4) / "OUTCOME").unlink()
        before = runs.snapshot(self.sweep)
        said = str(self.run_to_end(*self.arguments("--validate_only"), ranks=2))
        self.assertEqual(runs.snapshot(self.sweep), before)
        for row in ("trial_0000: .*: done", "trial_0003: .*: diverged", r"trial_0001: .*: 20 steps of \S+ \S+, ",
                    r"trial_0004: .*: 0 of 20 steps of \S+ \S+, ", "; 2 to train, "):
            self.assertRegex(said, row)

    def test_validate_only_of_a_world_that_is_not_there(self):
        self.params("ranks_per_trial: 4, parameters: {model.hidden_sizes: [[16], [32]]}")
        said = self.run_to_end(*self.arguments("--validate_only", "--plan_ranks", 32, "--plan_nodes", 4, model__hidden_sizes=None))
        self.assertRegex(str(said), "sweep: 2 trials, 8 at once with 4 ranks each; 2 to train, predicted to take 0:00:0")

    def test_validate_only_names_trials_that_would_not_be_trained(self):
        self.params("ranks_per_trial: 2, parameters: {train_input.batch_size: [37, 1]}")
        said = self.run_to_end(*self.arguments("--validate_only", train_input__batch_size=None), ranks=2)
        self.assertRegex(str(said), "warning: trial_0001 would not be trained: .*batch")
        self.assertRegex(str(said), "trial_0001: train_input.batch_size=1: would not be trained")
        self.params("ranks_per_trial: 2, parameters: {train_input.batch_size: [1]}")
        refused = runs.run(*self.arguments("--validate_only", train_input__batch_size=None), ranks=2)
        self.assertEqual(refused.code, 2, str(refused))
        self.assertIn("none of the trials that are left would be trained", str(refused))


if __name__ == "__main__":
    runs.main()
