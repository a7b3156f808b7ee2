"""Jobs in a real Slurm with two nodes, which scripts/slurm_lab.sh starts on this machine.

    slurm_test.py PROGRAM SOURCE_DIRECTORY       exit code 77: not root, or Slurm or h5py is not installed: skipped
"""
import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

PROGRAM, SOURCE = (os.path.abspath(path) for path in sys.argv[1:3])
LAB = os.path.join(SOURCE, "scripts", "slurm_lab.sh")
SMOKE = os.path.join(SOURCE, "configs", "smoke.yaml")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, "scripts"))
try:
    import fcmnist_files
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

DIRECTORY = tempfile.mkdtemp(prefix="fcmnist_slurm_test_")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "OMPI_", "PMIX_"))}


def run(*command, **environment):
    return subprocess.run(command, cwd=SOURCE, env={**ENVIRONMENT, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=90)


def free_port():
    """The first of three ports that were free a moment ago."""
    for port in range(17300, 30000, 10):
        with socket.socket() as a, socket.socket() as b, socket.socket() as c:
            try:
                for offset, each in enumerate((a, b, c)):
                    each.bind(("127.0.0.1", port + offset))
                return port
            except OSError:
                continue
    raise RuntimeError("no free ports")


def setUpModule():
    started = run(LAB, "up", os.path.join(DIRECTORY, "lab"), SLURM_LAB_PORT=str(free_port()))
    if started.returncode != 0:
        raise RuntimeError(started.stderr)
    # The job finds the program by FCMNIST_MPI, as in an installation of one's own.
    ENVIRONMENT["FCMNIST_MPI"] = PROGRAM
    ENVIRONMENT.update(re.findall(r"^export (\w+)=(.*)$", started.stdout, re.MULTILINE))


def tearDownModule():
    run(LAB, "down", os.path.join(DIRECTORY, "lab"))
    shutil.rmtree(DIRECTORY)


class Job:
    """A finished job of slurm/train.sh: its exit code, its output and what it left in its model_dir."""

    def __init__(self, name, slurm_options, *arguments, **environment):
        self.model_dir = os.path.join(DIRECTORY, name)
        output = self.model_dir + ".out"
        sbatch = run("sbatch", "--wait", f"--output={output}", *slurm_options, "slurm/train.sh", SMOKE,
                     "-o", self.model_dir, *arguments, **environment)
        self.exit_code = sbatch.returncode
        self.output = sbatch.stderr
        if os.path.exists(output):
            with open(output) as file:
                self.output += file.read()


def losses(model_dir):
    return fcmnist_files.metrics(os.path.join(model_dir, "metrics.h5"))["train"]["loss"].to_numpy()


class SlurmTest(unittest.TestCase):
    def check_trained(self, job, world):
        self.assertEqual(job.exit_code, 0, job.output)
        self.assertIn(world, job.output)
        accuracies = re.findall(r"test accuracy (0\.\d+)", job.output)
        self.assertEqual(len(accuracies), 1, job.output)
        self.assertGreater(float(accuracies[0]), 0.95)
        self.assertEqual(len(glob.glob(job.model_dir + "/metrics*.h5")), 1)
        self.assertEqual(len(losses(job.model_dir)), 200)

    def check_two_nodes(self, launcher):
        job = Job(f"two_nodes_{launcher}", ("--nodes=2", "--ntasks-per-node=2"), LAUNCHER=launcher)
        self.check_trained(job, "4 ranks on 2 nodes (2 per node)")
        model_dir = os.path.join(DIRECTORY, f"plain_{launcher}")
        plain = run("mpirun", "-n", "4", "--oversubscribe", PROGRAM, "-p", SMOKE, "-o", model_dir)
        self.assertIn("4 ranks on 1 node", plain.stdout, plain.stderr)
        # Two nodes add in another order than one; the difference grows with the steps.
        difference = abs(losses(job.model_dir) - losses(model_dir))[:100].max()
        self.assertLess(difference, 1e-4)

    def test_one_node_as_it_is(self):
        self.check_trained(Job("one_node", ()), "4 ranks on 1 node")

    def test_two_nodes_with_srun(self):
        self.check_two_nodes("srun")

    def test_two_nodes_with_mpirun(self):
        self.check_two_nodes("mpirun")

    def test_resumes_in_a_second_job_on_another_world(self):
        Job("two_jobs", (), "--max_steps", "100")
        job = Job("two_jobs", ("--nodes=2", "--ntasks-per-node=1"))
        self.assertIn("resuming at step 100", job.output)
        self.check_trained(job, "2 ranks on 2 nodes")

    def test_a_failing_job_reports_its_exit_code(self):
        job = Job("failing", (), "model.depht", "3")
        self.assertEqual(job.exit_code, 2, job.output)
        self.assertIn("did you mean", job.output)

    def test_a_missing_program_is_named(self):
        job = Job("missing", (), FCMNIST_MPI="/nonexistent")
        self.assertEqual(job.exit_code, 2, job.output)
        self.assertIn("FCMNIST_MPI=/nonexistent: not a program", job.output)

    def test_submitted_from_elsewhere_is_explained(self):
        job = Job("elsewhere", ("--chdir=/", "--export=ALL,FCMNIST_ROOT=/"))
        self.assertEqual(job.exit_code, 2, job.output)
        self.assertIn("no jobs/train.sh in /", job.output)

    def test_tasks_without_a_common_mpi_are_refused(self):
        model_dir = os.path.join(DIRECTORY, "no_mpi")
        step = run("srun", "-n", "2", "--mpi=none", PROGRAM, "-p", SMOKE, "-o", model_dir)
        self.assertEqual(step.returncode, 2, step.stdout + step.stderr)
        self.assertEqual(step.stderr.count("this Slurm step has 2 tasks, but MPI sees a world of 1"), 1, step.stderr)
        self.assertIn("HINT: start with `srun --mpi=pmix` or mpirun", step.stderr)
        self.assertFalse(os.path.exists(model_dir))


if __name__ == "__main__":
    missing = run(LAB, "check")
    if missing.returncode != 0:
        print(f"skipped: {missing.stderr}")
        shutil.rmtree(DIRECTORY)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1], verbosity=2)
