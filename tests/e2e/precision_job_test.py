"""jobs/precision.sh: runs of every precision and seed, and the table of their differences."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import settings  # noqa: E402

TINY = settings(train_input__use_fake_data=True, eval_input__use_fake_data=True, train_input__batch_size=128,
                model__hidden_sizes="[16]", runconfig__max_steps=30)


class PrecisionJob(runs.TestCase):
    def run_job(self, *arguments, **environment):
        return runs.execute([runs.SOURCE / "jobs/precision.sh", *arguments], cwd=self.directory,
                            env={"FCMNIST_MPI": runs.PROGRAM, **environment})

    def accuracy(self, precision, seed):
        path = self.directory / "model_dir/precision/smoke" / f"{precision}_{seed}"
        return 100 * float(runs.metrics(path, "eval")["accuracy"][-1])

    def test_compares_the_precisions_seed_by_seed(self):
        finished = self.run_job(runs.SOURCE / "configs/smoke.yaml", 1, *TINY, SEEDS="2")
        self.assertEqual(finished.code, 0, str(finished))
        rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in finished.lines("|")}
        self.assertEqual(list(rows), ["precision", "---", "float32", "bfloat16", "float16"])
        for precision in ("bfloat16", "float16"):
            first, second = (self.accuracy(precision, seed) - self.accuracy("float32", seed) for seed in (1, 2))
            self.assertEqual(int(rows[precision][0]), 2)
            self.assertAlmostEqual(float(rows[precision][2]), (first + second) / 2, delta=0.0006)
            self.assertAlmostEqual(float(rows[precision][3]), abs(first - second), delta=0.0006)

    def test_a_run_that_fails_ends_it(self):
        finished = self.run_job(runs.SOURCE / "configs/smoke.yaml", 1, *TINY, "model.depht", "3", SEEDS="1")
        self.assertEqual(finished.code, 1, str(finished))
        self.assertIn("did you mean", finished.errors)


if __name__ == "__main__":
    runs.main()
