"""Limits on memory: a run with too little of it says which limit that is and ends, or it works. It never hangs."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import settings  # noqa: E402

OUT_OF_MEMORY = 5
ARGUMENTS = settings(model__hidden_sizes="[64,32]", train_input__use_fake_data=True, eval_input__use_fake_data=True,
                     train_input__batch_size=60, runconfig__max_steps=3)
LIMITS = {"as": "ulimit -v (RLIMIT_AS) is", "data": "ulimit -d (RLIMIT_DATA) is"}


class Limits(runs.TestCase):
    def setUp(self):
        super().setUp()
        if b"libasan" in pathlib.Path(runs.PROGRAM).read_bytes():
            self.skipTest("the address sanitizer needs all of the address space")

    def run_limited(self, limit, megabytes, *more, ranks=1):
        """The limit is one of the ranks, not of mpirun."""
        return runs.execute([*runs.MPIRUN, "-n", ranks, "prlimit", f"--{limit}={megabytes * 1_000_000}", runs.PROGRAM, "-o",
                             self.directory / limit, *ARGUMENTS, *more])

    def check_refused(self, finished, limit):
        self.assertEqual(finished.code, OUT_OF_MEMORY, str(finished))
        self.assertEqual(finished.errors.count(runs.ERROR_MARK), 1, str(finished))
        self.assertIn(LIMITS[limit], finished.errors)
        self.assertIn("HINT: ", finished.errors)

    def least_that_starts(self, limit):
        """The least limit, in steps of 100 MB, under which MPI starts, so that the program itself has to say what is
        missing; and how that run ended."""
        for megabytes in range(100, 2000, 100):
            finished = self.run_limited(limit, megabytes)
            self.assertNotEqual(finished.code, -1, str(finished))
            if "info: settings: " in finished.output:
                return megabytes, finished
        raise AssertionError(str(finished))

    def test_too_little_for_products(self):
        for limit in LIMITS:
            with self.subTest(limit=limit):
                megabytes, finished = self.least_that_starts(limit)
                self.check_refused(finished, limit)
                self.assertIn("OpenBLAS needs 134.2 MB", finished.errors)
                self.check_refused(self.run_limited(limit, megabytes, "--validate_only", ranks=2), limit)
                self.assertFalse((self.directory / limit).exists())
                enough = self.run_limited(limit, megabytes + 400, ranks=2)
                self.assertEqual(enough.code, 0, str(enough))


if __name__ == "__main__":
    runs.main()
