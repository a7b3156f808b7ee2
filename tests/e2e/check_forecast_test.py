"""scripts/check_forecast.py runs, and judges. Its verdict on this machine is no test: others use the cores too."""
import os
import pathlib
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def check(*arguments):
    command = [sys.executable, "-B", SOURCE / "scripts/check_forecast.py", "--program", os.environ["FCMNIST_PROGRAM"],
               "--data_dir=", "--rounds=1", "--seconds=0.2", *arguments]
    return subprocess.run(list(map(str, command)), text=True, capture_output=True, timeout=150)


class CheckForecast(unittest.TestCase):
    def test_prints_a_line_for_each_case(self):
        done = check("--within=1000", "--cases=10x50,10x50 pipelined", "--ranks=1,2")
        self.assertEqual(done.returncode, 0, done)
        lines = done.stdout.splitlines()
        for line, case in zip(lines[2:], ("| 10x50 | 1 |", "| 10x50 | 2 |", "| 10x50 pipelined | 2 |")):
            self.assertTrue(line.startswith(case), done)
            self.assertTrue(all(float(cell) > 0.0 for cell in line.strip("|").split("|")[2:]), done)
        self.assertEqual(lines[5:], ["further than 100000% from the run: 0"], done)

    def test_a_prediction_that_is_far_off_fails(self):
        done = check("--within=-1", "--cases=10x50", "--ranks=1")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("from the run: 1", done.stdout)

    def test_what_cannot_run_is_said(self):
        self.assertEqual(check("--cases=frob").returncode, 2)
        done = check("--launch=false", "--cases=10x50", "--ranks=1")
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("check_forecast.py: false", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[1:]], verbosity=2)
