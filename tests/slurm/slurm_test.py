"""Jobs in a real Slurm with two nodes, which scripts/slurm_lab.sh starts on this machine.

    slurm_test.py PROGRAM SOURCE_DIRECTORY [TEST...]

Exit code 77: not root, or Slurm or h5py is not installed: skipped.

Jobs that are stopped, preempted, requeued, or lose a node must end by themselves with the bits of the job that nothing
disturbed; for each the test prints what it has cost. Trainings are frozen in the midst of their steps until what
disturbs them is there: no machine is too fast for it.
"""
import concurrent.futures
import contextlib
import datetime
import functools
import glob
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM, SOURCE = (os.path.abspath(path) for path in sys.argv[1:3])
LAB = os.path.join(SOURCE, "scripts", "slurm_lab.sh")
SMOKE = os.path.join(SOURCE, "configs", "smoke.yaml")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(SOURCE, "scripts"))
try:
    from fcmnist_analysis import files as run_files
    import soak
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

FINISHED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED")
SOAK_KILLS = int(os.environ.get("FCMNIST_SOAK_KILLS", "0"))
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


def status(pid):
    """What the kernel says of a process: State, ShdPnd, ...; nothing if there is none."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    return dict(re.findall(r"^(\w+):\t(.*)$", text, re.MULTILINE))


def state(pid):
    """T: frozen; Z: ended; other letters: it goes on."""
    return status(pid).get("State", "Z")[0]


def is_signalled(pid):
    """Whether it will stop as soon as it goes on."""
    pending = int(status(pid).get("ShdPnd", "0"), 16)
    return any(pending >> (number - 1) & 1 for number in (signal.SIGUSR1, signal.SIGTERM))


class Job:
    """A job of a batch script, or a task of a job array."""

    def __init__(self, id, name, model_dir):
        self.id = id
        self.name = name
        self.model_dir = model_dir
        self.refusal = ""

    @property
    def output(self):
        path = os.path.join(DIRECTORY, self.name + ".out")
        if not os.path.exists(path):
            return self.refusal
        with open(path) as file:
            return self.refusal + file.read()

    def field(self, name):
        """What Slurm says of the job: JobState, Restarts, ..."""
        fields = dict(re.findall(r"(\w+)=(\S*)", run("scontrol", "show", "job", "-o", self.id).stdout))
        return fields.get(name, "")

    @property
    def exit_code(self):
        return int(self.field("ExitCode").partition(":")[0])

    def wait_until(self, what, holds, timeout_s=150, poll_s=0.2):
        deadline_s = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline_s:
                raise AssertionError(f"job {self.id} ({self.name}): not {what} after {timeout_s} s\n{self.output}")
            time.sleep(poll_s)
        return self

    def wait(self):
        """Until it has ended for good."""
        return self.wait_until("finished", lambda: self.field("JobState") in FINISHED)

    def ranks(self):
        """Process ids, on all nodes: they are this machine."""
        found = []
        for directory in glob.glob("/proc/[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended
                if os.readlink(directory + "/exe") == os.path.realpath(PROGRAM):
                    if os.fsencode(self.model_dir) in pathlib.Path(directory, "cmdline").read_bytes().split(b"\0"):
                        found.append(int(os.path.basename(directory)))
        return found

    @contextlib.contextmanager
    def frozen(self):
        """Two ranks that train LONG, by process id: until the end of the context they do nothing, unless Slurm itself
        makes them go on."""
        def under_way():
            return f"Step={FROZEN_AFTER} " in self.output and glob.glob(self.model_dir + "/checkpoint_*.h5")

        self.wait_until("under way", under_way, poll_s=0.02)
        ranks = self.ranks()
        try:
            for rank in ranks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGSTOP)
            self.wait_until("frozen", lambda: all(state(rank) in "TZ" for rank in ranks), 10, 0.01)
            there = sum(state(rank) == "T" for rank in ranks)
            if there != 2:
                raise AssertionError(f"job {self.id} ({self.name}): {there} of 2 ranks could be frozen; the others "
                                     f"had already ended\n{self.output}")
            yield ranks
        finally:
            for rank in ranks:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGCONT)

    def wait_for_a_signal(self, ranks):
        """Until one of the frozen ranks has a signal, which all will stop for, or Slurm has made it go on or killed it.
        Not until all have: a second after the first mpirun kills those that are still there."""
        self.wait_until("reached by a signal", lambda: any(state(r) != "T" or is_signalled(r) for r in ranks),
                        poll_s=0.02)

    def cost(self):
        """How often it was started again, how many steps were done twice, and how long no step was done."""
        restarts = steps = lost_s = 0
        last = last_time = begin = None
        for line in self.output.splitlines():
            match = re.match(r"(\S+ \S+) info: (?:\| Train Device=cpu Step=(\d+) |resuming at step (\d+))", line)
            if match and match[2]:
                now = datetime.datetime.fromisoformat(match[1])
                if begin is not None:
                    lost_s += (now - last_time).seconds if last_time else 0
                    begin = None
                last, last_time = int(match[2]), now
            elif match:
                begin = int(match[3])
                restarts += 1
                steps += max(0, (last or 0) - begin)
        return f"{restarts} restart(s), {steps} steps repeated, {lost_s} s without a step"


def sbatch(name, script, options, arguments, model_dir=None, **environment):
    temporary = os.path.join(DIRECTORY, name + ".tmp")  # Open MPI stumbles where jobs share one
    os.mkdir(temporary)
    submitted = run("sbatch", "--parsable", f"--output={DIRECTORY}/{name}.out", *options, script, *arguments,
                    TMPDIR=temporary, **environment)
    job = Job(submitted.stdout.strip(), name, model_dir)
    job.refusal = submitted.stderr
    return job


def train(name, options, *arguments, model_dir=None, **environment):
    """Submits slurm/train.sh with the smoke configuration; results go to a model_dir of this name."""
    model_dir = model_dir or os.path.join(DIRECTORY, name)
    return sbatch(name, "slurm/train.sh", options, (SMOKE, "-o", model_dir, *arguments), model_dir, **environment)


def losses(model_dir):
    return run_files.metrics(os.path.join(model_dir, "metrics.h5"))["train"]["loss"].to_numpy()


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
        job = train(f"two_nodes_{launcher}", ("--nodes=2", "--ntasks-per-node=2"), LAUNCHER=launcher).wait()
        self.check_trained(job, "4 ranks on 2 nodes (2 per node)")
        model_dir = os.path.join(DIRECTORY, f"plain_{launcher}")
        plain = run("mpirun", "-n", "4", "--oversubscribe", PROGRAM, "-p", SMOKE, "-o", model_dir)
        self.assertIn("4 ranks on 1 node", plain.stdout, plain.stderr)
        # Two nodes add in another order than one; the difference grows with the steps.
        difference = abs(losses(job.model_dir) - losses(model_dir))[:100].max()
        self.assertLess(difference, 1e-4)

    def test_one_node_as_it_is(self):
        self.check_trained(train("one_node", ()).wait(), "4 ranks on 1 node")

    def test_two_nodes_with_srun(self):
        self.check_two_nodes("srun")

    def test_two_nodes_with_mpirun(self):
        self.check_two_nodes("mpirun")

    def test_reproducible_has_the_bits_of_another_world(self):
        setting = ("runconfig.reproducible=True", "runconfig.microbatch=16")
        model_dir = os.path.join(DIRECTORY, "reproducible_plain")
        plain = run("mpirun", "-n", "3", "--oversubscribe", PROGRAM, "-p", SMOKE, "-o", model_dir, *setting)
        self.assertIn("3 ranks on 1 node", plain.stdout, plain.stderr)
        for execution, says in (("data_parallel", "2 ranks on 2 nodes"), ("layer_pipelined", "2 stages x 1 replica")):
            with self.subTest(execution=execution):
                job = train(execution, TWO_NODES, *setting, f"runconfig.execution={execution}").wait()
                self.check_trained(job, says)
                same = run(sys.executable, "scripts/fcmnist", "compare", "--bits", job.model_dir, model_dir)
                self.assertEqual(same.returncode, 0, same.stdout + same.stderr)

    def test_resumes_in_a_second_job_on_another_world(self):
        first = train("first", (), "--max_steps", "100").wait()
        job = train("second", ("--nodes=2", "--ntasks-per-node=1"), model_dir=first.model_dir).wait()
        self.assertIn("resuming at step 100", job.output)
        self.check_trained(job, "2 ranks on 2 nodes")

    def test_a_failing_job_reports_its_exit_code(self):
        job = train("failing", (), "model.depht", "3").wait()
        self.assertEqual(job.exit_code, 2, job.output)
        self.assertIn("did you mean", job.output)

    def test_a_missing_program_is_named(self):
        jobs = {place: train(f"missing_{n}", (), FCMNIST_MPI=place) for n, place in enumerate(("/nonexistent", "/usr"))}
        for place, job in jobs.items():  # a directory may be "executed" too
            job.wait()
            self.assertEqual(job.exit_code, 2, job.output)
            self.assertIn(f"FCMNIST_MPI={place}: not a program", job.output)

    def test_submitted_from_elsewhere_is_explained(self):
        job = train("elsewhere", ("--chdir=/", "--export=ALL,FCMNIST_ROOT=/")).wait()
        self.assertEqual(job.exit_code, 2, job.output)
        self.assertIn("no slurm/job.sh in /", job.output)

    def test_tasks_without_a_common_mpi_are_refused(self):
        model_dir = os.path.join(DIRECTORY, "no_mpi")
        step = run("srun", "-n", "2", "--mpi=none", PROGRAM, "-p", SMOKE, "-o", model_dir)
        self.assertEqual(step.returncode, 2, step.stdout + step.stderr)
        self.assertEqual(step.stderr.count("this Slurm step has 2 tasks, but MPI sees a world of 1"), 1, step.stderr)
        self.assertIn("HINT: start with `srun --mpi=pmix` or mpirun", step.stderr)
        self.assertFalse(os.path.exists(model_dir))


# A second or more on two ranks; it is disturbed some steps behind a first checkpoint.
LONG = ("--max_steps", "8000", "runconfig.checkpoint_steps=500", "runconfig.eval_frequency=2000",
        "runconfig.log_steps=100")
FROZEN_AFTER = 600
TWO_NODES = ("--nodes=2", "--ntasks-per-node=1")
MAX_TIME_AUTO_LEAVES_S = 15  # the margin in src/train/time_limit.cpp


def signal_the_batch_shell(job):  # as Slurm does before the end of the job's time: --signal=B:USR1@90
    run("scancel", "--batch", "--signal=USR1", job.id)


def signal_the_ranks(job):
    run("scancel", "--signal=USR1", job.id)


def requeue(job):
    run("scontrol", "requeue", job.id)


def cancel(job):
    run("scancel", job.id)


def disturb(name, launcher, happens, *arguments):
    job = train(name, TWO_NODES, *LONG, *arguments, LAUNCHER=launcher)
    with job.frozen() as ranks:
        happens(job)
        job.wait_for_a_signal(ranks)
    return job.wait()


def outlast(name):
    """A job that does not go on before the moment at which runconfig.max_time=auto stops, and 2 s, since Slurm gives
    the program whole seconds. The script's own signal would come a minute early."""
    job = train(name, (*TWO_NODES, "--time=1", "--signal=B:CONT@1"), *LONG)
    with job.frozen():
        end = datetime.datetime.fromisoformat(job.field("EndTime"))
        left_s = (end - datetime.datetime.now()).total_seconds()
        time.sleep(max(0, left_s - MAX_TIME_AUTO_LEAVES_S + 2))
    return job.wait()


def train_to_the_end(name, options, environment):
    return train(name, (*TWO_NODES, *options), *LONG, **environment).wait()


def stand_in(name, text):
    """A program in the place of fcmnist_mpi."""
    path = os.path.join(DIRECTORY, "program_" + name)
    with open(path, "w") as file:
        file.write("#!/bin/bash\n" + text)
    os.chmod(path, 0o755)
    return path


@functools.cache
def undisturbed():
    """What all trainings of LONG on TWO_NODES must have written in the end."""
    job = train("undisturbed", TWO_NODES, *LONG).wait()
    return soak.ModelDir(pathlib.Path(job.model_dir)).content()


class SideBySide(unittest.TestCase):
    """The jobs of a class run at the same time, since most of it is waiting for Slurm."""

    @classmethod
    def begin(cls, jobs):
        """{name: (function, arguments...)}; the function gets the name as well and returns the finished job."""
        pool = concurrent.futures.ThreadPoolExecutor(len(jobs))
        cls.jobs = {name: pool.submit(function, name, *arguments) for name, (function, *arguments) in jobs.items()}

    def job(self, name):
        return self.jobs[name].result()

    def check_same_bits(self, job):
        self.assertEqual(job.exit_code, 0, job.output)
        found = soak.ModelDir(pathlib.Path(job.model_dir)).content()
        self.assertEqual([name for name, bits in undisturbed().items() if bits != found.get(name)], [], job.output)
        print(f"\n    {job.name}: {job.cost()} ", end="", flush=True)

    def check_goes_on(self, name):
        job = self.job(name)
        self.check_same_bits(job)
        self.assertEqual(job.field("Restarts"), "1", job.output)
        self.assertEqual(job.output.count("resuming at step"), 1, job.output)
        self.assertIn("done after 1 restart(s)", job.output)


class Disturbed(SideBySide):
    """Trainings that Slurm or their user ends."""

    @classmethod
    def setUpClass(cls):
        cls.begin({
            "time": (outlast,),
            "signal_srun": (disturb, "srun", signal_the_batch_shell),
            "signal_mpirun": (disturb, "mpirun", signal_the_batch_shell),
            "ranks_srun": (disturb, "srun", signal_the_ranks, "--restart"),  # over again only in the first start
            "requeue_srun": (disturb, "srun", requeue),
            "requeue_mpirun": (disturb, "mpirun", requeue),
            "cancel_srun": (disturb, "srun", cancel),
            "cancel_mpirun": (disturb, "mpirun", cancel),
        })

    def check_is_over(self, name):
        job = self.job(name)
        self.assertEqual(job.field("JobState"), "CANCELLED", job.output)
        self.assertIn("where Slurm does not start it again, sbatch does", job.output)
        self.assertTrue(os.path.exists(job.model_dir + "/STOPPED"), job.output)
        launcher = name.split("_")[1]
        again = train(name + "_again", TWO_NODES, *LONG, model_dir=job.model_dir, LAUNCHER=launcher).wait()
        self.assertIn("resuming at step", again.output)
        self.check_same_bits(again)
        self.assertFalse(os.path.exists(job.model_dir + "/STOPPED"))

    def test_end_of_its_time(self):
        self.check_goes_on("time")
        self.assertIn("runconfig.max_time is over", self.job("time").output)

    def test_signal_before_the_end_of_its_time(self):
        self.check_goes_on("signal_srun")
        self.check_goes_on("signal_mpirun")

    def test_signal_to_the_ranks(self):
        self.check_goes_on("ranks_srun")

    def test_requeued(self):
        self.check_goes_on("requeue_srun")
        self.check_goes_on("requeue_mpirun")

    def test_cancelled_by_the_user_does_not_come_back(self):
        self.check_is_over("cancel_srun")
        self.check_is_over("cancel_mpirun")


class LostNodes(SideBySide):
    """Nodes that are taken from all jobs which run on them."""

    def check_both(self, what, happens, then):
        jobs = [train(f"{what}_{launcher}", TWO_NODES, *LONG, LAUNCHER=launcher) for launcher in ("srun", "mpirun")]
        with contextlib.ExitStack() as stack:
            with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:  # one may be done before the other begins
                frozen = list(pool.map(stack.enter_context, [job.frozen() for job in jobs]))
            happens()
            for job, ranks in zip(jobs, frozen):
                job.wait_for_a_signal(ranks)
        then()
        for job in jobs:
            self.check_same_bits(job.wait())
            self.assertEqual(job.field("Restarts"), "1", job.output)
            self.assertIn("resuming at step", job.output)

    def test_a_node_fails(self):
        def fail():
            run("scontrol", "update", "nodename=n1", "state=down", "reason=test")

        def come_back():
            time.sleep(1)
            run("scontrol", "update", "nodename=n1", "state=resume")  # fails where the node is back by itself

        self.check_both("failure", fail, come_back)

    def test_a_more_urgent_job_comes(self):
        urgent = Job("", "urgent", None)

        def come():
            urgent.id = run("sbatch", "--parsable", "--partition=urgent", "--exclusive", "--nodes=2",
                            "--output=/dev/null", "--wrap=sleep 1").stdout.strip()

        self.check_both("urgent", come, urgent.wait)


class Ends(SideBySide):
    """Jobs that must not be queued again for ever, or cannot be."""

    @classmethod
    def setUpClass(cls):
        crashing = {"FCMNIST_MPI": stand_in("crashing", "exit 139\n")}
        hanging = {"FCMNIST_MPI": stand_in("hanging", "echo Step=0 ; sleep 100\n")}
        # A checkpoint of step N in the N-th restart, up to the third. jobs/train.sh gives the model_dir as 4th.
        advancing = {"FCMNIST_MPI": stand_in("advancing", "n=${SLURM_RESTART_COUNT:-0}; touch $4/checkpoint_$n.h5\n"
                                                          "((n == 3)) || exit 75\n")}
        stopping = {"FCMNIST_MPI": stand_in("stopping", "exit 75\n")}
        jobs = {
            "crashing_srun": (train_to_the_end, (), {**crashing, "LAUNCHER": "srun"}),
            "crashing_mpirun": (train_to_the_end, (), {**crashing, "LAUNCHER": "mpirun"}),
            "hanging": (cls.requeue_twice, hanging),
            "advancing": (train_to_the_end, (), advancing),
            "stopping": (train_to_the_end, ("--no-requeue",), stopping),
        }
        for code in (2, 3, 4, 6, 7):
            failing = {"FCMNIST_MPI": stand_in(f"failing_{code}", f"exit {code}\n")}
            jobs[f"failing_{code}"] = (train_to_the_end, (), failing)
        cls.begin(jobs)

    @staticmethod
    def requeue_twice(name, environment):
        job = train(name, TWO_NODES, **environment)
        for start in (1, 2):
            job.wait_until(f"in start {start}", lambda: job.output.count("Step=0\n") == 2 * start)
            requeue(job)
        return job.wait()

    def test_no_progress(self):
        for name in ("crashing_srun", "crashing_mpirun"):
            job = self.job(name)
            self.assertEqual((job.exit_code, job.field("Restarts")), (139, "1"), job.output)  # one is forgiven
            self.assertIn("two starts in a row brought no checkpoint after step none", job.output)

    def test_no_progress_where_slurm_starts_it_again(self):
        job = self.job("hanging")
        self.assertEqual((job.exit_code, job.field("Restarts")), (75, "2"), job.output)
        self.assertIn("two starts in a row brought no checkpoint after step none", job.output)

    def test_progress_is_no_reason_to_give_up(self):
        job = self.job("advancing")
        self.assertEqual((job.exit_code, job.field("Restarts")), (0, "3"), job.output)
        self.assertIn("done after 3 restart(s)", job.output)

    def test_a_site_that_forbids_it(self):
        job = self.job("stopping")
        self.assertEqual(job.exit_code, 75, job.output)
        self.assertIn("cannot be queued again here", job.output)

    def test_errors_that_would_come_again(self):
        for code in (2, 3, 4, 6, 7):
            job = self.job(f"failing_{code}")
            self.assertEqual((job.exit_code, job.field("Restarts")), (code, "0"), job.output)


class OtherScripts(unittest.TestCase):
    def array(self, name, tasks, *arguments):
        options = (f"--array=1-{tasks}", f"--output={DIRECTORY}/{name}_%a.out", "--ntasks-per-node=2")
        first = sbatch(name, "slurm/array.sh", options, (*arguments, "-o", os.path.join(DIRECTORY, name)))
        return [Job(f"{first.id}_{task}", f"{name}_{task}", None) for task in range(1, tasks + 1)]

    def test_array_of_seeds(self):
        tasks = self.array("seeds", 3, SMOKE, *LONG)
        for task, job in enumerate(tasks, 1):
            job.model_dir = os.path.join(DIRECTORY, "seeds", f"smoke_seed{task}")
        # The last task has the job id of the array: it must be queued again alone.
        with tasks[2].frozen() as ranks:
            signal_the_batch_shell(tasks[2])
            tasks[2].wait_for_a_signal(ranks)
        for task, job in enumerate(tasks, 1):
            self.assertEqual(job.wait().exit_code, 0, job.output)
            self.assertEqual(job.field("Restarts"), "01"[task == 3], job.output)
            self.assertEqual(len(losses(job.model_dir)), 8000)
        self.assertNotEqual(*(losses(job.model_dir)[0] for job in tasks[:2]))

    def test_array_of_configurations(self):
        other = os.path.join(DIRECTORY, "other.yaml")
        with open(SMOKE) as file, open(other, "w") as copy:
            copy.write(file.read().replace("[64, 32]", "[32]"))
        for job in self.array("configurations", 3, SMOKE, other):
            third = job.id.endswith("_3")
            self.assertEqual(job.wait().exit_code, 2 if third else 0, job.output)
            if third:
                self.assertIn("task 3, but 2 configurations", job.output)
        self.assertCountEqual(os.listdir(os.path.join(DIRECTORY, "configurations")), ["smoke", "other"])

    def test_sweep_of_an_array(self):
        config, sweep = os.path.join(DIRECTORY, "sweep.yaml"), os.path.join(DIRECTORY, "sweep")
        with open(SMOKE) as file, open(config, "w") as copy:
            copy.write(file.read() + "sweep: {parameters: {optimizer.learning_rate: [0.05, 0.1], runconfig.seed: 1..3}}\n")
        options = ("--array=0-1", f"--output={DIRECTORY}/sweep_%a.out", "--ntasks-per-node=2")
        first = sbatch("sweep", "slurm/sweep.sh", options, (config, "-o", sweep, *LONG))
        jobs = [Job(f"{first.id}_{task}", f"sweep_{task}", None) for task in range(2)]
        jobs[1].wait_until("training", lambda: "info: trial_" in jobs[1].output, poll_s=0.02)
        signal_the_batch_shell(jobs[1])  # it comes back, unless its trials have ended meanwhile
        for job in jobs:
            self.assertEqual(job.wait().exit_code, 0, job.output)
            self.assertIn(job.field("Restarts"), ("0", "1") if job is jobs[1] else "0", job.output)
        for trial in range(6):
            path = os.path.join(sweep, f"trial_{trial:04d}")
            self.assertEqual(len(losses(path)), 8000)
            with open(os.path.join(path, "trial.log")) as file:
                self.assertEqual(file.read().count("info: done: "), 1, path)
        shown = run("scripts/fcmnist", "show", os.path.join(sweep, "sweep.h5"))
        self.assertIn("6 trials: 6 done", shown.stdout)

    @unittest.skipUnless(SOAK_KILLS, "a soak: FCMNIST_SOAK_KILLS=20 kills so often, in some minutes")
    def test_sweep_of_an_array_whose_ranks_are_killed(self):
        """Ends as the same sweep in one job that nothing disturbs; a task that a killed rank ends comes back."""
        config = os.path.join(DIRECTORY, "soak.yaml")
        pathlib.Path(config).write_text(soak.SWEEP)
        draw, kills, sweeps = random.Random(SOAK_KILLS), 0, 0
        whole = os.path.join(DIRECTORY, "whole")
        job = sbatch("whole", "slurm/sweep.sh", ("--ntasks-per-node=2",), (config, "-o", whole), whole).wait()
        self.assertEqual(job.exit_code, 0, job.output)
        expected = soak.SweepFolder(pathlib.Path(whole)).content()
        while kills < SOAK_KILLS:
            sweeps += 1
            path = os.path.join(DIRECTORY, f"killed_{sweeps}")
            folder = soak.SweepFolder(pathlib.Path(path))
            jobs = []
            for start in range(20):  # a task that gives up after two starts without progress is submitted again
                name = f"killed_{sweeps}_{start}"
                first = sbatch(name, "slurm/sweep.sh", ("--array=0-1", f"--output={DIRECTORY}/{name}_%a.out",
                                                        "--ntasks-per-node=2"), (config, "-o", path), path)
                jobs = [Job(f"{first.id}_{task}", f"{name}_{task}", path) for task in range(2)]
                while not all(job.field("JobState") in FINISHED for job in jobs):
                    time.sleep(draw.random() * 2.0)
                    ranks = jobs[0].ranks()
                    if ranks and kills < SOAK_KILLS:
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(draw.choice(ranks), signal.SIGKILL)
                            kills += 1
                    self.assertEqual(folder.lost_checkpoints(), [])
                if all(job.exit_code == 0 for job in jobs):
                    break
            output = "\n".join(job.output for job in jobs)
            self.assertEqual([job.exit_code for job in jobs], [0, 0], output)
            wrong, _ = folder.unreadable_metrics(0)
            self.assertEqual(wrong, [], output)
            found = folder.content()
            self.assertEqual([name for name in sorted(expected | found) if expected.get(name) != found.get(name)], [])
        print(f"\n{kills} kills in {sweeps} sweeps: nothing lost, nothing trained twice")

    def test_evaluation(self):
        trained = train("scored", ("--ntasks-per-node=2",)).wait()
        job = sbatch("scores", "slurm/eval.sh", (), (trained.model_dir, "--mode", "eval_all")).wait()
        self.assertEqual(job.exit_code, 0, job.output)
        self.assertIn("| Eval Device=cpu Step=200", job.output)


if __name__ == "__main__":
    missing = run(LAB, "check")
    if missing.returncode != 0:
        print(f"skipped: {missing.stderr}")
        shutil.rmtree(DIRECTORY)
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
