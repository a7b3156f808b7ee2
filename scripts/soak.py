#!/usr/bin/python3
"""Kills a training again and again, starts it again, and checks after each kill that nothing is lost.

A run that nothing disturbs is the reference. The same run then begins in a second model_dir and is killed by
SIGKILL at random moments: while it starts, steps, saves, ends, shuts down; one rank, all ranks, or mpirun and all
ranks. It is started again until it has finished, and must then have written the reference's weights, momentum and
metrics, bit for bit; then it begins anew, until there were enough kills. With --sweep the run is a sweep with
successive halving, whose sweep.h5 must be that of the reference, but for times, and of whose trials none may be trained
to its end twice. Exit code 0 only if nothing was lost, no
run hung and nothing was left behind. jobs/soak.sh finds the program and calls this.

It ends only processes that it started: it gives them a mark in their environment and knows them by it.
"""
import argparse
import collections
import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid

sys.dont_write_bytecode = True
from fcmnist_analysis import bits, files as run_files  # noqa: E402 (sets HDF5_USE_FILE_LOCKING before h5py is loaded)
from fcmnist_analysis.files import h5py, np  # noqa: E402

KINDS = ("one rank", "all ranks", "mpirun and all ranks")
PHASES = ("start-up", "steps", "save", "end", "shutdown")
MARK = "FCMNIST_SOAK"
SILENCE_S = 60.0  # a run that neither ends nor prints for so long hangs
STEPS = 400
TRIALS = 9
CONFIG = f"""\
train_input: {{use_fake_data: True, batch_size: 64}}
model: {{hidden_sizes: [128, 64], dropout: 0.1}}
optimizer: {{learning_rate: 0.02, momentum: 0.9}}
runconfig:
  max_steps: {STEPS}
  eval_frequency: 40
  checkpoint_steps: 30
  keep_checkpoints: 3
  log_steps: 10
  stall_timeout: 30
"""
SWEEP = CONFIG.replace("batch_size: 64", "batch_size: 64, validation_size: 200") + """\
sweep:
  method: successive_halving
  rungs: [120]
  parameters: {optimizer.learning_rate: [0.005, 0.02, 0.05], runconfig.seed: 1..3}
"""


class Attempt:
    """One start of the run: its processes, its output, its temporary directory."""

    def __init__(self, command, log, directory):
        self.log = log
        self.mark = str(uuid.uuid4())
        # Short, since Open MPI's sockets are in it; its own, since mpiruns that come and go stumble over a common one.
        self.temporary = pathlib.Path(tempfile.mkdtemp(prefix="s", dir=directory))
        environment = {MARK: self.mark, "TMPDIR": str(self.temporary), "OPENBLAS_NUM_THREADS": "1",
                       "OMPI_MCA_mpi_yield_when_idle": "1"}
        if os.geteuid() == 0:
            environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        with open(log, "wb") as output:
            self.mpirun = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                           env={**os.environ, **environment}, start_new_session=True)
        self.begin_s = self.heard_s = time.monotonic()
        self.text = ""
        self.pids = []  # of the last look at all processes
        self.jobs = set()

    def ended(self):
        return self.mpirun.poll() is not None

    def listen(self):
        """Reads what is new in the output; False if there was nothing for too long."""
        text = self.log.read_text(errors="replace")
        if text != self.text:
            self.text, self.heard_s = text, time.monotonic()
        return time.monotonic() - self.heard_s < SILENCE_S

    def last_step(self):
        """Of the last log line, 0 if there is none."""
        return max((int(step) for step in re.findall(r"\| Train .*?Step=(\d+) ", self.text)), default=0)

    def first_step(self):
        """Where it began."""
        return max((int(step) for step in re.findall(r"(?:resuming at step|is finished:) (\d+)", self.text)), default=0)

    def look_at_all_processes(self):
        self.pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
        self.pids = list(self.processes())

    def processes(self):
        """Those of self.pids that are of this attempt and live: {pid: rank, or None for mpirun}."""
        found = {}
        for pid in self.pids:
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
                variables = dict(variable.split("=", 1) for variable in text.split("\0") if "=" in variable)
                if variables.get(MARK) == self.mark:
                    rank = variables.get("OMPI_COMM_WORLD_RANK")
                    found[pid] = None if rank is None else int(rank)
        return found

    def kill(self, pids):
        self.note_jobs()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def note_jobs(self):
        """Open MPI's number of the job is in the names of its files: decimal in TMPDIR, hexadecimal in /dev/shm."""
        for _, _, names in os.walk(self.temporary):  # which does not mind that folders vanish
            for name in names:
                if name.startswith("smlockseg-"):
                    self.jobs.add(int(name.rpartition("-")[2]))

    def wait_until_gone(self):
        """Waits for the end of mpirun. Returns the ranks that live while it hangs, None if it does not hang, and how many
        processes outlived it; all are killed."""
        while not self.ended() and self.listen():
            time.sleep(0.005)
        hung = None
        if not self.ended():
            self.look_at_all_processes()
            hung = sorted(rank for rank in self.processes().values() if rank is not None)
            self.kill(self.pids)
            self.mpirun.wait()
        deadline_s = time.monotonic() + 5.0
        self.look_at_all_processes()
        while self.processes() and time.monotonic() < deadline_s:
            time.sleep(0.01)
        left = self.processes()
        self.kill(left)
        self.listen()
        return hung, len(left)

    def remove_leftovers(self):
        """Removes what killed processes leave in TMPDIR and /dev/shm; returns how many files that were."""
        self.note_jobs()
        files = [path for path in self.temporary.rglob("*") if not path.is_dir()]
        for job in self.jobs:
            for path in pathlib.Path("/dev/shm").glob(f"*.{job:x}.*"):
                path.unlink(missing_ok=True)
                files.append(path)
        shutil.rmtree(self.temporary)
        return len(files)


class ModelDir:
    """What a run has written, and what of it must never get lost."""

    def __init__(self, path):
        self.path = path
        self.newest = 0  # step of the newest checkpoint seen
        self.stale = set()  # temporary files that killed runs have left

    def steps(self):
        matches = (re.fullmatch(r"checkpoint_(\d+)\.h5", path.name) for path in self.path.glob("checkpoint_*"))
        return sorted(int(match[1]) for match in matches if match)

    def temporaries(self):
        with contextlib.suppress(FileNotFoundError):
            return {entry.name for entry in os.scandir(self.path) if entry.name.startswith(".checkpoint_")}
        return set()

    def is_saving(self):
        return bool(self.temporaries() - self.stale)

    def lost_checkpoints(self):
        """Sentences: checkpoints that are damaged, and whether the newest one is older than before."""
        lost, intact = [], [0]
        for step in self.steps():
            try:
                run_files.verify(self.path / f"checkpoint_{step}.h5")
                intact.append(step)
            except FileNotFoundError:
                pass  # a run that goes on has deleted it meanwhile
            except (run_files.DamagedFile, OSError) as error:
                lost.append(str(error))
        if max(intact) < self.newest:
            lost.append(f"the newest checkpoint was of step {self.newest}, now of step {max(intact)}")
        self.newest = max(self.newest, *intact)
        return lost

    def metrics(self):
        """{"train": ..., "eval": ...}, those of the journal included; nothing if no row was ever written."""
        if not (self.path / "metrics.h5").exists() and not (self.path / "metrics.journal").exists():
            return None
        return run_files.metrics(self.path / "metrics.h5")

    def unreadable_metrics(self, needed_step):
        """Sentences: what is wrong with the metrics, which must reach this step; and the last step that they hold."""
        wrong, last = [], 0
        try:
            if (self.path / "metrics.h5").exists():
                with h5py.File(self.path / "metrics.h5", "r") as file:
                    file["train/step"][...], file["eval/step"][...]
            tables = self.metrics()
            steps = tables["train"].index.to_numpy() if tables else np.arange(0)
            last = int(steps[-1]) if len(steps) else 0
            if not np.array_equal(steps, np.arange(1, last + 1)):
                wrong.append(f"{len(steps)} rows, the last one of step {last}: steps are missing or there twice")
            if tables and (np.diff(tables["eval"].index) <= 0).any():
                wrong.append(f"evaluations at steps {list(tables['eval'].index)}")
        except Exception as error:  # whatever a reader may throw at a damaged file
            wrong.append(f"{type(error).__name__}: {error}")
        if last < needed_step:
            wrong.append(f"the metrics end at step {last}, but step {needed_step} was logged or is in a checkpoint")
        return wrong, last

    def content(self):
        """Every array of the finished run that must be equal in every run: {name: bytes}."""
        found = bits.checkpoint_content(self.path / f"checkpoint_{self.steps()[-1]}.h5")
        for table, columns in bits.metrics_content(self.path / "metrics.h5").items():
            found.update({f"{table}/{name}": values for name, values in columns.items()})
        return {name: values.tobytes() for name, values in found.items()}

    def left_files(self):
        """Names that a finished run must not leave."""
        return [path.name for path in self.path.iterdir() if ".tmp." in path.name or path.name == "STOPPED"]


class SweepFolder:
    """The same of a sweep."""

    newest = 0  # no step stands for all trials

    def __init__(self, path):
        self.path = path
        self.stale = set()
        self.seen = {}  # trials by path, which remember their newest checkpoints

    def trials(self):
        for path in sorted(self.path.glob("trial_*")):
            yield self.seen.setdefault(path, ModelDir(path))

    def temporaries(self):
        return {f"{trial.path.name}/{name}" for trial in self.trials() for name in trial.temporaries()}

    def is_saving(self):
        return bool(self.temporaries() - self.stale)

    def lost_checkpoints(self):
        return [f"{trial.path.name}: {sentence}" for trial in self.trials() for sentence in trial.lost_checkpoints()]

    def unreadable_metrics(self, _):
        """Also those trials that were trained to their ends more than once; and the steps of all trials."""
        wrong, steps = [], 0
        for trial in self.trials():
            sentences, last = trial.unreadable_metrics(trial.newest)
            log = trial.path / "trial.log"
            ends = log.read_text(errors="replace").count("info: done: ") if log.exists() else 0
            if ends > 1:
                sentences.append(f"trained to its end {ends} times")
            wrong += [f"{trial.path.name}: {sentence}" for sentence in sentences]
            steps += last
        return wrong, steps

    def content(self):
        """Of sweep.h5 all but times, and of each trial its arrays."""
        found = {}
        with h5py.File(self.path / "sweep.h5", "r") as file:
            def add(name, item):
                if isinstance(item, h5py.Dataset) and not bits.TIMES.fullmatch(name.rpartition("/")[2]):
                    found[f"sweep.h5/{name}"] = item[...].tobytes() + repr(sorted(
                        (key, np.asarray(value).tolist()) for key, value in item.attrs.items()
                        if key not in ("DIMENSION_LIST", "REFERENCE_LIST"))).encode()
            file.visititems(add)
        for trial in self.trials():
            found.update({f"{trial.path.name}/{name}": data for name, data in trial.content().items()})
        return found

    def left_files(self):
        return [f"{trial.path.name}/{name}" for trial in self.trials() for name in trial.left_files()]


class SingleRun:
    """What is killed: one training. MARKS: what its output has from the beginning of a phase on, the last phase first."""

    CONFIG, ARGUMENTS, FOLDER = CONFIG, (), ModelDir
    WHAT = f"{STEPS} steps"
    MARKS = {"shutdown": "done:", "end": f"Step={STEPS} ", "steps": "| Train "}


class Sweep:
    """The same of many trainings in one job."""

    CONFIG, ARGUMENTS, FOLDER = SWEEP, ("-m", "sweep"), SweepFolder
    WHAT = f"{TRIALS} trials of at most {STEPS} steps"
    MARKS = {"shutdown": "info: files:", "end": f"info: {TRIALS} trials:", "steps": "info: trial_"}


class Report:
    """Counts, and a sentence for everything that went wrong."""

    def __init__(self):
        self.kills = collections.Counter()
        self.numbers = collections.Counter()
        self.wrong = collections.defaultdict(list)

    def add(self, what, where, sentences):
        for sentence in sentences:
            self.wrong[what].append(f"{where}: {sentence}")
            print(f"  WRONG, {what}: {sentence}", flush=True)

    def print(self):
        print(f"\n{'kills':22}" + "".join(f"{phase:>10}" for phase in (*PHASES, "all")))
        for kind in KINDS:
            row = [self.kills[kind, phase] for phase in PHASES]
            print(f"{kind:22}" + "".join(f"{count:10}" for count in (*row, sum(row))))
        for name in ("finished runs", "restarts", "steps repeated", "temporary files removed",
                     "mpirun hung, ranks gone"):
            print(f"{name + ':':32}{self.numbers[name]}")
        for name in ("lost checkpoints", "unreadable metrics", "differences", "failed starts", "hangs",
                     "processes left", "files left"):
            print(f"{name + ':':32}{len(self.wrong[name])}")
        for name, sentences in self.wrong.items():
            for sentence in sentences:
                print(f"{name}: {sentence}")


class Soak:
    def __init__(self, options, directory):
        self.options = options
        self.random = random.Random(options.seed)
        self.directory = directory
        self.report = Report()
        self.attempts = 0
        self.subject = Sweep if options.sweep else SingleRun
        (directory / "soak.yaml").write_text(self.subject.CONFIG)

    def start(self, model_dir):
        self.attempts += 1
        model_dir.stale = model_dir.temporaries()
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", self.options.ranks,
                   self.options.program, "-p", self.directory / "soak.yaml", "-o", model_dir.path, *self.subject.ARGUMENTS]
        return Attempt(list(map(str, command)), self.directory / "run.log", self.directory)

    def run_reference(self):
        """Also measures when the phases of an undisturbed run begin, in seconds."""
        reference = self.subject.FOLDER(self.directory / "reference")
        attempt = self.start(reference)
        begin_s = {"start-up": 0.0}
        while not attempt.ended() and attempt.listen():
            begin_s.setdefault(self.phase(attempt), time.monotonic() - attempt.begin_s)
            time.sleep(0.001)
        ends_s = [*begin_s.values(), time.monotonic() - attempt.begin_s][1:]
        attempt.wait_until_gone()
        attempt.remove_leftovers()
        if attempt.mpirun.returncode != 0 or "shutdown" not in begin_s:
            sys.exit(f"soak.py: error: the undisturbed run ended with {attempt.mpirun.returncode}:\n{attempt.text}")
        self.lasts_s = {phase: end_s - begin_s[phase] for phase, end_s in zip(begin_s, ends_s)}
        self.lasts_s["save"] = 0.005
        print(f"undisturbed: {self.subject.WHAT} on {self.options.ranks} ranks; seconds:",
              ", ".join(f"{phase} {lasts_s:.2f}" for phase, lasts_s in self.lasts_s.items()), flush=True)
        return reference.content()

    def phase(self, attempt):
        """Where a run is, by its output. Of PHASES all but "save"."""
        return next((phase for phase, mark in self.subject.MARKS.items() if mark in attempt.text), "start-up")

    def wait_for(self, aim, attempt, model_dir):
        """Waits until a random moment of this phase. False if the run ends, or hangs, before it."""
        skip = self.random.randrange(12) if aim == "save" else 0  # saves to let pass
        delay_s = self.random.random() * self.lasts_s.get(aim, 0.1)
        saving, looked_s, reached_s = False, 0.0, None
        while not attempt.ended() and attempt.listen():
            now_s = time.monotonic()
            # Looking takes long. Where start-up is over, all processes must be known before the moment comes.
            if len(attempt.pids) <= self.options.ranks and now_s - looked_s > 0.05:
                attempt.look_at_all_processes()
                looked_s = now_s
            if aim == "save" and reached_s is None:
                was_saving, saving = saving, model_dir.is_saving()
                skip -= saving and not was_saving
                reached = skip < 0
            else:
                reached = self.phase(attempt) == aim
            if reached and reached_s is None:
                reached_s = now_s
            if reached_s is not None and now_s - reached_s >= delay_s:
                return True
            time.sleep(0.0003)
        return False

    def disturb(self, attempt, model_dir):
        """Kills at a random moment, unless the run ends before; returns whether it did."""
        kind, aim = self.random.choice(KINDS), self.random.choice(PHASES)
        if not self.wait_for(aim, attempt, model_dir):
            return False
        if len(attempt.pids) <= self.options.ranks:
            attempt.look_at_all_processes()
        processes = attempt.processes()
        ranks = sorted((pid for pid, rank in processes.items() if rank is not None), key=processes.get)
        if kind == KINDS[2] or not ranks:
            kind, victims = KINDS[2], list(processes)
        else:
            victims = ranks if kind == KINDS[1] else [self.random.choice(ranks)]
        attempt.listen()
        phase = "save" if model_dir.is_saving() else self.phase(attempt)
        if not victims or attempt.ended():
            return False
        attempt.kill(victims)
        self.report.kills[kind, phase] += 1
        print(f"kill {self.report.kills.total()}: {kind}, {phase}, step {attempt.last_step()}", flush=True)
        return True

    def check(self, attempt, model_dir):
        """What must hold after every attempt. Returns the last step of the metrics."""
        where = f"kill {self.report.kills.total()}"
        hung, left = attempt.wait_until_gone()
        self.report.numbers["temporary files removed"] += attempt.remove_leftovers()
        if hung:
            self.report.add("hangs", where, [f"ranks {hung} print nothing for {SILENCE_S:.0f} s:\n{attempt.text[-2000:]}"])
        elif hung is not None:  # Open MPI 4.1 does so when a rank dies while it connects to mpirun: "PMIX ERROR"
            self.report.numbers["mpirun hung, ranks gone"] += 1
            print(f"  mpirun hangs though its ranks are gone:\n{attempt.text[-500:]}", flush=True)
        if left:
            self.report.add("processes left", where, [f"{left} after mpirun had ended"])
        self.report.add("lost checkpoints", where, model_dir.lost_checkpoints())
        wrong, last = model_dir.unreadable_metrics(max(attempt.last_step(), model_dir.newest))
        self.report.add("unreadable metrics", where, wrong)
        return last

    def finish(self, model_dir, expected):
        """What must hold after a run that has finished."""
        where = model_dir.path.name
        found = model_dir.content()
        different = [name for name in sorted(expected.keys() | found.keys()) if expected.get(name) != found.get(name)]
        if different:
            self.report.add("differences", where, [f"not as in the undisturbed run: {', '.join(different)}"])
        self.report.add("files left", where, model_dir.left_files())
        self.report.numbers["finished runs"] += 1
        if not different:
            shutil.rmtree(model_dir.path)

    def run_until_finished(self, model_dir, expected):
        last = failed = 0
        fresh = True
        while failed < 3:
            attempt = self.start(model_dir)
            killed = self.report.kills.total() < self.options.kills and self.disturb(attempt, model_dir)
            before, last = last, self.check(attempt, model_dir)
            self.report.numbers["restarts"] += not fresh
            if "training on" in attempt.text:  # it has read what was there
                self.report.numbers["steps repeated"] += max(0, before - attempt.first_step())
            fresh = False
            if not killed and attempt.mpirun.returncode == 0:
                return self.finish(model_dir, expected)
            if not killed:
                failed += 1
                self.report.add("failed starts", model_dir.path.name,
                                [f"exit code {attempt.mpirun.returncode}:\n{attempt.text[-2000:]}"])
        shutil.rmtree(model_dir.path)

    def run(self):
        begin_s = time.monotonic()
        expected = self.run_reference()
        runs = 0
        while self.report.kills.total() < self.options.kills and not self.report.wrong["failed starts"]:
            runs += 1
            self.run_until_finished(self.subject.FOLDER(self.directory / f"run_{runs}"), expected)
        self.report.print()
        print(f"seed {self.options.seed}, {self.attempts} starts in {time.monotonic() - begin_s:.0f} s")
        return 1 if any(self.report.wrong.values()) else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="fcmnist_mpi; jobs/soak.sh finds it")
    parser.add_argument("--sweep", action="store_true", help="kill a sweep instead of a single training")
    parser.add_argument("--kills", type=int, default=30, help="how many (30); 300 take a quarter of an hour")
    parser.add_argument("--ranks", type=int, default=2, help="ranks of each run (2)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and the victims (1)")
    parser.add_argument("--workdir", type=pathlib.Path, help="where model_dirs go; default: a temporary directory")
    options = parser.parse_args()
    if options.kills < 1 or options.ranks < 1:
        parser.error("--kills and --ranks are positive numbers")
    if options.workdir:
        options.workdir.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="fcs_", dir=options.workdir))
    code = Soak(options, directory).run()
    if code == 0:
        shutil.rmtree(directory)
    else:
        print(f"kept: {directory}")
    return code


if __name__ == "__main__":
    sys.exit(main())
