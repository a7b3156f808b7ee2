"""fcmnist scaling: series of worlds, with speed-up and efficiency of throughputs that were put into the files."""
import csv
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import analysis, runs  # noqa: E402 (exit with 77 when a module is missing)
from support.analysis import change  # noqa: E402
from support.runs import np, settings  # noqa: E402
from PIL import Image  # noqa: E402

STEPS, WARM_UP = 30, 10
RATES = {(1, 32): 1000.0, (2, 32): 1600.0, (2, 64): 1900.0}  # samples/s by ranks and global batch
SERIES = ("strong, 32 samples a step", "weak, 32 samples a rank")


def train(model_dir, ranks, batch, **values):
    return analysis.train(model_dir, *settings(**{
        "train_input__use_fake_data": True, "eval_input__use_fake_data": True, "model__hidden_sizes": "[16]",
        "train_input__batch_size": batch, "runconfig__max_steps": STEPS, "runconfig__log_steps": WARM_UP, **values}), ranks=ranks)


def measured(rate):
    """Rates of steps whose median, without those before the first log line, is this one."""
    def function(array):
        array[:WARM_UP] = 1e9
        array[WARM_UP:] = rate * np.linspace(0.5, 1.5, STEPS - WARM_UP)
    return function


class Scaling(analysis.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.all = cls.place / "all"
        cls.all.mkdir()
        for (ranks, batch), rate in RATES.items():
            model_dir = train(cls.all / f"ranks_{ranks}_batch_{batch}", ranks, batch)
            change(model_dir / "metrics.h5", "train/samples_per_s", measured(rate))

    def scaling(self, *paths):
        """Rows of the CSV, and the output."""
        output = self.succeed("scaling", *paths, "--csv", self.directory / "scaling.csv")
        with open(self.directory / "scaling.csv", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file)), output

    def test_strong_and_weak_series(self):
        rows, output = self.scaling(self.all)
        self.assertEqual([(row["series"], row["ranks"], row["nodes"], row["global_batch"], row["runs"]) for row in rows],
                         [(SERIES[0], "1", "1", "32", "1"), (SERIES[0], "2", "1", "32", "1"),
                          (SERIES[1], "1", "1", "32", "1"), (SERIES[1], "2", "1", "64", "1")])
        for column, expected in (("throughput_samples_per_s", [1000, 1600, 1000, 1900]), ("speed_up", [1, 1.6, 1, 1.9]),
                                 ("efficiency_percent", [100, 80, 100, 95])):
            np.testing.assert_allclose([float(row[column]) for row in rows], expected, err_msg=column)
        self.assertRegex(output, rf"\n{SERIES[1]} +2 +1 +64 +1 +1,900 +1.90 +95\n")
        self.assertNotIn("warning", output)

    def test_several_runs_of_a_world_are_one_row(self):
        everything = shutil.copytree(self.all, self.directory / "all")
        for number, rate in enumerate((1400.0, 1650.0)):
            again = shutil.copytree(everything / "ranks_2_batch_32", everything / f"again_{number}")
            change(again / "metrics.h5", "train/samples_per_s", measured(rate))
        rows, _ = self.scaling(everything)
        self.assertEqual(rows[1]["runs"], "3")
        self.assertAlmostEqual(float(rows[1]["throughput_samples_per_s"]), 1600)

    def test_other_settings_are_warned_of_and_other_networks_are_apart(self):
        other = train(self.directory / "other", 2, 32, optimizer__learning_rate=0.02)
        small = train(self.directory / "small", None, 32, model__hidden_sizes="[8]")
        rows, output = self.scaling(self.all / "ranks_1_batch_32", other, small)
        self.assertEqual([row["series"] for row in rows], [f"{SERIES[0]}, hidden_sizes [16]"] * 2)
        self.assertIn(f"\nwarning: {SERIES[0]}, hidden_sizes [16]: the runs also differ in optimizer.learning_rate, ", output)

    def test_traced_runs_do_not_count_where_there_are_others(self):
        one, two = self.all / "ranks_1_batch_32", self.all / "ranks_2_batch_32"
        traced = train(self.directory / "traced", 2, 32, runconfig__trace_steps=2)
        change(traced / "metrics.h5", "train/samples_per_s", measured(10.0))
        rows, output = self.scaling(one, two, traced)
        self.assertEqual([(row["runs"], float(row["throughput_samples_per_s"])) for row in rows], [("1", 1000.0), ("1", 1600.0)])
        self.assertIn(f"\nnote: {SERIES[0]}: left out, since runconfig.trace_steps slows a run: {traced}.\n", output)
        self.assertNotIn("warning", output)
        rows, output = self.scaling(one, traced)
        self.assertAlmostEqual(float(rows[1]["throughput_samples_per_s"]), 10)
        self.assertIn(f"\nwarning: {SERIES[0]}: runconfig.trace_steps has slowed {traced}; ", output)

    def test_more_than_ranks_can_give(self):
        fast = shutil.copytree(self.all / "ranks_2_batch_32", self.directory / "fast")
        for rate, is_said in ((2190.0, False), (2500.0, True)):
            change(fast / "metrics.h5", "train/samples_per_s", measured(rate))
            _, output = self.scaling(self.all / "ranks_1_batch_32", fast)
            self.assertEqual(f"\nwarning: {SERIES[0]}: an efficiency of 125 % is more than ranks give. " in output, is_said)

    def test_outputs_are_checked_first(self):
        metrics = shutil.copy(self.all / "ranks_1_batch_32/metrics.h5", self.directory / "metrics.csv")
        before = runs.snapshot(self.directory)
        for arguments, part in ((("--csv", metrics), "metrics.csv: a file of a run"), (("--png", "absent/x.png"), "its directory does not exist"),
                                (("--csv", self.directory / "new.csv", "--png", "x.xyz"), "not the name of a picture")):
            done = analysis.fcmnist("scaling", self.all, *arguments)
            self.assertEqual((done.code, done.output), (2, ""), str(done))
            self.assertIn(part, done.errors)
        self.assertEqual(runs.snapshot(self.directory), before)

    def test_picture(self):
        path = self.directory / "scaling.png"
        self.succeed("scaling", self.all, "--png", path)
        with Image.open(path) as image:
            self.assertGreater(image.width, 800)
            self.assertGreater((np.asarray(image.convert("L")) < 200).mean(), 0.002)

    def test_the_report_shows_the_same(self):
        rows, _ = self.scaling(self.all)
        self.succeed("report", self.all, "--csv", self.directory)
        with open(self.directory / "scaling.csv", encoding="utf-8", newline="") as file:
            self.assertEqual(list(csv.DictReader(file)), rows)

    def test_what_is_no_series(self):
        one = self.all / "ranks_1_batch_32"
        self.refuse("scaling", one, parts=["1 run(s), but no two of different worlds"])
        self.refuse("scaling", one, one, parts=["1 run(s), but no two of different worlds"])
        self.refuse("scaling", self.directory, parts=["neither a model_dir nor a directory of them"])
        self.refuse("scaling", self.all, "--png", self.directory / "scaling.xyz", parts=["scaling.xyz: not the name of a picture"])


if __name__ == "__main__":
    runs.main()
