"""scripts/torch_peer.py: what it prints, and that no process of it stays behind.

Exit code 77: PyTorch is missing, skipped.
"""
import csv
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "scripts/torch_peer.py"


def command(*arguments, python=(sys.executable, "-B")):
    return [*python, str(PROGRAM), *map(str, arguments)]


def execute(*arguments, **options):
    return subprocess.run(command(*arguments, **options), capture_output=True, text=True, timeout=60)


def children_of(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class TorchPeer(unittest.TestCase):
    def start_endless(self):
        """Two processes that have begun to train, for an hour; returns the parent, and them."""
        batches = ",".join(["16"] * 10000)
        parent = subprocess.Popen(command("--ranks", 2, "--batches", batches, "--seconds", 0.05), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(parent.stdout.close)
        self.addCleanup(parent.stderr.close)
        self.addCleanup(parent.wait)
        self.addCleanup(parent.terminate)
        self.assertTrue(parent.stdout.readline().startswith("peer,"))
        self.assertTrue(parent.stdout.readline().startswith("torch_ddp,"))
        return parent, children_of(parent.pid)

    def test_one_line_for_each_batch_size(self):
        for ranks, peer in ((1, "torch"), (2, "torch_ddp")):
            finished = execute("--ranks", ranks, "--model", "10x50", "--batches", "16,32", "--seconds", 0.05)
            self.assertEqual(finished.returncode, 0, finished.stderr)
            rows = list(csv.DictReader(finished.stdout.splitlines()))
            self.assertEqual([tuple(row.values())[:-1] for row in rows],
                             [(peer, "10x50", "fp32", str(ranks), batch) for batch in ("16", "32")])
            for row in rows:
                self.assertGreater(float(row["samples_per_s"]), 0)

    def test_a_dead_process_ends_the_other(self):
        parent, (first, second) = self.start_endless()
        os.kill(second, signal.SIGKILL)
        _, errors = parent.communicate(timeout=30)
        self.assertEqual(parent.returncode, 1, errors)
        self.assertIn("process 1 ended with -9", errors)
        self.assertFalse(pathlib.Path(f"/proc/{first}").exists())

    def test_an_ended_parent_leaves_no_process(self):
        parent, processes = self.start_endless()
        parent.terminate()
        parent.communicate(timeout=30)
        self.assertEqual(parent.returncode, 128 + signal.SIGTERM)
        self.assertFalse([pid for pid in processes if pathlib.Path(f"/proc/{pid}").exists()])

    def test_wrong_arguments_and_missing_pytorch(self):
        for wrong in (("--batches", "0"), ("--batches", "many"), ("--ranks", 2, "--batches", "30001"),
                      ("--model", "x")):
            self.assertEqual(execute(*wrong).returncode, 2)
        finished = execute(python=(sys.executable, "-BS"))  # -S leaves out Debian's packages
        self.assertEqual(finished.returncode, 2)
        self.assertIn("apt install python3-torch", finished.stderr)


if __name__ == "__main__":
    if importlib.util.find_spec("torch") is None:
        print("skipped: no torch; on Debian: apt install python3-torch")
        sys.exit(77)
    unittest.main()
