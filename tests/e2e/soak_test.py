"""jobs/soak.sh: a few kills that must cost nothing; and losses of every kind, which it must notice."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py  # noqa: E402

sys.path.insert(0, str(runs.SOURCE / "scripts"))
import soak  # noqa: E402


class Kills(runs.TestCase):
    def soak(self, program, kills, *more):
        return runs.execute([runs.SOURCE / "jobs/soak.sh", "--kills", kills, "--workdir", self.directory, *more],
                            env={"FCMNIST_MPI": str(program)}, timeout_s=150)

    def number(self, finished, name):
        return int(re.search(rf"^{name}: +(\d+)$", finished.output, re.MULTILINE)[1])

    def test_nothing_is_lost(self):
        finished = self.soak(runs.PROGRAM, 6)
        self.assertEqual(finished.code, 0, str(finished))
        self.assertEqual(len(finished.lines("kill ")), 6, str(finished))
        self.assertGreaterEqual(self.number(finished, "finished runs"), 1)
        self.assertGreaterEqual(self.number(finished, "restarts"), 1)
        self.assertEqual(os.listdir(self.directory), [])

    def test_nothing_of_a_sweep_is_lost(self):
        finished = self.soak(runs.PROGRAM, 3, "--sweep")
        self.assertEqual(finished.code, 0, str(finished))
        self.assertEqual(len(finished.lines("kill ")), 3, str(finished))

    def test_another_result_is_noticed(self):
        program = self.directory / "program"  # that trains otherwise after the first run, which is the reference
        program.write_text(f'#!/bin/bash\n[[ $* == */reference* ]] || more=optimizer.momentum=0.8\n'
                           f'exec {runs.PROGRAM} "$@" $more\n')
        program.chmod(0o755)
        for more in ((), ("--sweep",)):
            with self.subTest(more):
                self.check_another_result(self.soak(program, 1, *more))

    def check_another_result(self, finished):
        self.assertEqual(finished.code, 1, str(finished))
        self.assertGreaterEqual(self.number(finished, "differences"), 1, str(finished))
        self.assertEqual(self.number(finished, "lost checkpoints"), 0, str(finished))


class Losses(runs.TestCase):
    """What soak.py says of a model_dir in which something is missing."""

    def setUp(self):
        super().setUp()
        self.path = self.directory / "run"
        self.run_to_end("-p", runs.SOURCE / "configs/smoke.yaml", "-o", self.path, "--max_steps", 60,
                        "runconfig.checkpoint_steps=20", "runconfig.keep_checkpoints=9")
        self.model_dir = soak.ModelDir(self.path)

    def test_none(self):
        self.assertEqual(self.model_dir.lost_checkpoints(), [])
        self.assertEqual(self.model_dir.newest, 60)
        self.assertEqual(self.model_dir.unreadable_metrics(60), ([], 60))
        self.assertEqual(self.model_dir.left_files(), [])

    def test_damaged_checkpoint(self):
        with open(self.path / "checkpoint_20.h5", "ab") as file:
            file.write(b"x")
        self.assertRegex("".join(self.model_dir.lost_checkpoints()), "checkpoint_20.h5: damaged")

    def test_missing_checkpoint(self):
        self.model_dir.lost_checkpoints()
        (self.path / "checkpoint_60.h5").unlink()
        self.assertEqual(self.model_dir.lost_checkpoints(), ["the newest checkpoint was of step 60, now of step 40"])

    def test_metrics_that_end_too_early(self):
        wrong, last = self.model_dir.unreadable_metrics(61)
        self.assertEqual((len(wrong), last), (1, 60))

    def test_a_step_that_is_there_twice(self):
        with h5py.File(self.path / "metrics.h5", "r+") as file:
            file["train/step"][30] = 30
        self.assertRegex("".join(self.model_dir.unreadable_metrics(60)[0]), "missing or there twice")

    def test_metrics_that_cannot_be_opened(self):
        os.truncate(self.path / "metrics.h5", 3000)
        self.assertRegex("".join(self.model_dir.unreadable_metrics(0)[0]), "Error")

    def test_files_that_are_left(self):
        for name in ("STOPPED", ".checkpoint_60.h5.tmp.host.77"):
            (self.path / name).touch()
        self.assertCountEqual(self.model_dir.left_files(), ["STOPPED", ".checkpoint_60.h5.tmp.host.77"])


if __name__ == "__main__":
    runs.main()
