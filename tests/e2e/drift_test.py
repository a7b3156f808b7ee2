"""Replicas that drift apart: a bit is flipped in the memory of a rank, and the run ends with an error that names it.

The learning rate is 0, so that weights stay what they are: their bytes are in the checkpoint of step 0 and can be
searched in the memory of each process.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.run_under_way import RunUnderWay, eventually  # noqa: E402
from support.runs import np, settings  # noqa: E402

COMMUNICATION = 5
SLOTS = ("fc_layers.0.weight", "fc_layers.0.bias", "last_layer.weight", "last_layer.bias")
CACHE_LINE = 64
PAGE = os.sysconf("SC_PAGE_SIZE")
# Starts a daemon of mpirun under the name of another host: to MPI, its ranks are on a node of their own.
AGENT = """\
#!/bin/sh
host=$1; shift
exec unshare {options} --uts sh -c 'hostname "$1" && shift && exec sh -c "$*"' sh "$host" "$@"
"""


def flat_weights(model_dir):
    """The weights as they lie in memory: one array after the other, each on a cache line of its own."""
    arrays = runs.weights(model_dir, 0)
    assert sorted(arrays) == sorted(SLOTS)
    return b"".join(arrays[name].tobytes().ljust(-(-arrays[name].nbytes // CACHE_LINE) * CACHE_LINE, b"\0")
                    for name in SLOTS)


class Memory:
    """The memory of a process that nobody else writes to."""

    def __init__(self, test, pid):
        self.maps = pathlib.Path(f"/proc/{pid}/maps")
        try:
            self.file = open(f"/proc/{pid}/mem", "r+b", buffering=0)
            test.addCleanup(self.file.close)
            self.pages = open(f"/proc/{pid}/pagemap", "rb", buffering=0)
            test.addCleanup(self.pages.close)
        except PermissionError as error:
            test.skipTest(str(error))

    def touched(self, begin, end):
        """The parts of a mapping that have pages, which is little of a library's large buffers: proc_pid_pagemap(5)."""
        self.pages.seek(begin // PAGE * 8)
        entries = np.frombuffer(self.pages.read((end - begin) // PAGE * 8), np.uint64)
        has_page = np.concatenate(([False], entries >= np.uint64(1 << 62), [False]))  # in memory, or swapped out
        return (begin + PAGE * np.flatnonzero(np.diff(has_page))).reshape(-1, 2).tolist()

    def find(self, content):
        """Addresses of cache lines at which this begins, in private memory."""
        found = []
        for line in self.maps.read_text().splitlines():
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw-p ", line)
            if not match:
                continue
            for begin, end in self.touched(*(int(number, 16) for number in match.groups())):
                try:
                    self.file.seek(begin)
                    data = self.file.read(end - begin)
                except OSError:
                    continue  # a device
                at = data.find(content)
                while at >= 0:
                    found += [begin + at] if (begin + at) % CACHE_LINE == 0 else []
                    at = data.find(content, at + 1)
        return found

    def flip(self, address, bit):
        self.file.seek(address)
        byte = self.file.read(1)[0]
        self.file.seek(address)
        self.file.write(bytes([byte ^ bit]))


class Drift(runs.TestCase):
    def start(self, command, **values):
        """A run in which the weights of every rank have been found: self.memory and self.address by rank."""
        run = RunUnderWay(self, command, *settings(**{
            "model__hidden_sizes": "[16]", "optimizer__learning_rate": 0.0, "train_input__batch_size": 16,
            "runconfig__max_steps": 10_000_000, "runconfig__log_steps": 10, "runconfig__save_initial_checkpoint": True,
            "runconfig__keep_checkpoints": 1_000_000, **values}))
        run.wait_for_line("Step=10 ")
        first = run.directory / "run" / "checkpoint_0.h5"  # written behind the steps
        self.assertTrue(eventually(first.exists), str(run))
        content = flat_weights(run.directory / "run")
        self.memory = {rank: Memory(self, pid) for rank, pid in run.pids.items()}
        run.send(signal.SIGSTOP, *run.pids)  # the cores are for the search
        self.address = {rank: memory.find(content) for rank, memory in self.memory.items()}
        run.send(signal.SIGCONT, *run.pids)
        self.assertEqual([len(found) for found in self.address.values()], [1] * len(run.pids), str(run))
        return run

    def flip(self, rank, number):
        """The lowest bit of a weight."""
        self.memory[rank].flip(self.address[rank][0] + 4 * number, 1)

    def check_error(self, run, what):
        self.assertEqual(run.wait(), COMMUNICATION, str(run))
        errors = run.read("errors")
        self.assertEqual(errors.count(runs.ERROR_MARK), 1, str(run))
        self.assertRegex(errors, rf"error: after step \d+: {what}\n  HINT: ", str(run))


class OneHost(Drift):
    """Within a node a flip lasts until the next step, which copies all weights from the ranks that own them: it is found
    if it comes in the evaluation before a checkpoint. So evaluations are long here, and flips come until one is found."""

    def flip_until_found(self, ranks, rank):
        run = self.start(runs.mpi_command(ranks), runconfig__eval_frequency=1, runconfig__checkpoint_steps=1,
                         runconfig__check_replicas_steps=0, eval_input__split="train")
        number = 0

        def evaluations():
            return run.read("output").count("| Eval ")

        while run.mpirun.poll() is None:  # not too soon again: a run that ends has freed its weights
            self.assertLess(number, 500, str(run))
            before = evaluations()
            self.flip(rank, number)
            number += 1
            eventually(lambda: run.mpirun.poll() is not None or evaluations() > before + 2)
        return run

    def test_each_of_three_ranks_is_named(self):
        host = os.uname().nodename
        for rank in range(3):
            with self.subTest(rank=rank):
                run = self.flip_until_found(3, rank)
                self.check_error(run, rf"rank {rank} \(node {host}\): its weights differ from those of the other 2 "
                                 "ranks")

    def test_of_two_ranks_both_are_named(self):
        host = os.uname().nodename
        for rank in range(2):
            with self.subTest(rank=rank):
                run = self.flip_until_found(2, rank)
                self.check_error(run, rf"weights differ, and no majority says which are right: rank 0 \(node {host}\) "
                                 rf"against rank 1 \(node {host}\)")


class SeveralHosts(Drift):
    """Between nodes a difference stays for good: one flip, and the next check finds it."""

    def mpi_command(self, hosts):
        if not hasattr(self, "agent"):
            options = "" if os.geteuid() == 0 else "--map-root-user"
            if subprocess.run(f"unshare {options} --uts hostname fcmnist-h0", shell=True, capture_output=True).returncode:
                self.skipTest("no host names of our own: unshare --uts is not allowed")
            self.agent = self.directory / "agent"
            self.agent.write_text(AGENT.format(options=options))
            self.agent.chmod(0o755)
        names = [f"fcmnist-h{host}" for host in range(hosts)]
        return [*runs.MPIRUN, "--mca", "plm", "rsh", "--mca", "plm_rsh_agent", self.agent, "--leave-session-attached",
                "--mca", "oob_tcp_if_include", "lo", "--mca", "btl_tcp_if_include", "lo", "--host", ",".join(names),
                "-n", hosts, runs.PROGRAM]

    def drift(self, hosts, rank, **values):
        """A run that has ended because of one flip. Its checkpoints are good."""
        run = self.start(self.mpi_command(hosts), runconfig__checkpoint_steps=77, **values)
        self.flip(rank, 1000)
        run.wait()
        model_dir = run.directory / "run"
        expected = runs.weights(model_dir, 0)
        for step in runs.checkpoint_steps(model_dir):
            self.assertTrue(runs.same_arrays(runs.weights(model_dir, step), expected), f"checkpoint of step {step}")
        return run

    def test_each_of_three_hosts_is_named(self):
        for rank in range(3):
            with self.subTest(rank=rank):
                run = self.drift(3, rank, runconfig__check_replicas_steps=10)
                self.check_error(run, rf"rank {rank} \(node fcmnist-h{rank}\): its weights differ from those of the other 2 "
                                 "ranks")

    def test_of_two_hosts_both_are_named(self):
        for rank in range(2):
            with self.subTest(rank=rank):
                run = self.drift(2, rank, runconfig__check_replicas_steps=10)
                self.check_error(run, r"weights differ, and no majority says which are right: rank 0 \(node fcmnist-h0\) "
                                 r"against rank 1 \(node fcmnist-h1\)")

    def test_a_drifted_replica_is_not_saved_and_the_run_goes_on_from_before(self):
        run = self.drift(2, 0, runconfig__check_replicas_steps=0)  # found before the next checkpoint is taken
        self.check_error(run, "weights differ, .*")
        step = int(re.search(r"after step (\d+):", run.read("errors"))[1])
        self.assertEqual(step % 77, 0)
        newest = runs.checkpoint_steps(run.directory / "run")[-1]
        self.assertEqual(newest, step - 77, str(run))
        again = self.run_to_end("-o", run.directory / "run", "--max_steps", step)
        self.assertEqual(len(again.lines(f"resuming at step {newest}")), 1, str(again))


if __name__ == "__main__":
    runs.main()
