"""Bad input of every kind, on 1 and 4 ranks: the documented exit code, one message that says what is wrong, quickly, and
nothing of an earlier run in the model_dir is touched."""
import concurrent.futures
import dataclasses
import gzip
import hashlib
import os
import pathlib
import shutil
import socket
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import runs  # noqa: E402 (exits with 77 when a module is missing)
from support.runs import h5py, np, settings  # noqa: E402

SLOWEST_S = 15  # the promise is 5 s on a machine that does nothing else
WORLDS = (1, 4)
WORKERS = 7
USAGE, DATA, STORAGE = 2, 3, 4
CLASSES, SIDE = 4, 8
TRAIN = runs.patterns(60, SIDE, CLASSES, seed=1)
TEST = runs.patterns(30, SIDE, CLASSES, seed=2)
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@dataclasses.dataclass
class Case:
    """Arguments are given in a directory that holds run/, a finished run of 6 steps. `prepare` changes that directory."""
    name: str
    arguments: list
    code: int
    parts: list  # of the message
    prepare: object = None
    ranks: tuple = WORLDS
    wrapper: list = dataclasses.field(default_factory=list)  # command before mpirun


class BadInput(runs.TestCase):
    def setUp(self):
        super().setUp()
        self.good = runs.write_set(self.directory / "good", TRAIN, TEST, gzipped=False)
        self.template = self.directory / "template"
        self.run_to_end("-o", self.template, *runs.data_settings(self.good), *settings(
            model__hidden_sizes="[6]", model__num_classes=CLASSES, train_input__batch_size=20, runconfig__max_steps=6,
            runconfig__checkpoint_steps=3, optimizer__learning_rate=0.01, optimizer__momentum=0.9))
        # What MPI puts into shared memory and its session directory, apart from that of other jobs.
        self.shared = pathlib.Path(tempfile.mkdtemp(prefix="fcmnist_e2e_", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, self.shared, ignore_errors=True)
        names = ("btl_vader_backing_directory", "osc_sm_backing_directory", "osc_rdma_backing_directory",
                 "shmem_mmap_backing_file_base_dir")
        self.environment = {f"OMPI_MCA_{name}": str(self.shared) for name in names}

    def run_case(self, case, ranks):
        """What is wrong with the program's answer: a list of texts, and the run."""
        work = self.directory / f"{case.name}_{ranks}".replace(" ", "_").replace("/", "_")
        work.mkdir()
        model_dir = work / "run"
        shutil.copytree(self.template, model_dir)
        if case.prepare:
            case.prepare(work)
        before = runs.snapshot(model_dir) if model_dir.is_dir() else None
        command = [*case.wrapper, *runs.mpi_command(ranks, *case.arguments)]
        finished = runs.execute(command, timeout_s=3 * SLOWEST_S, cwd=work, env=self.environment)
        text = finished.output + finished.errors
        wrong = [f"lacks: {part}" for part in case.parts if part not in finished.errors]
        if finished.code != case.code:
            wrong.append(f"exit code {finished.code}, expected {case.code}")
        if text.count(runs.ERROR_MARK) != 1:
            wrong.append(f"{text.count(runs.ERROR_MARK)} messages, expected 1")
        if finished.elapsed_s > SLOWEST_S:
            wrong.append(f"took {finished.elapsed_s:.1f} s")
        if before is not None and (not model_dir.is_dir() or runs.snapshot(model_dir) != before):
            wrong.append("the earlier run was changed")
        return wrong, finished

    def check(self, cases):
        self.assertEqual(len({case.name for case in cases}), len(cases))
        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            jobs = [(case, ranks, pool.submit(self.run_case, case, ranks)) for case in cases for ranks in case.ranks]
        for case, ranks, job in jobs:
            with self.subTest(case.name, ranks=ranks):
                wrong, finished = job.result()
                self.assertFalse(wrong, f"{wrong}\n{finished}")
        self.assertEqual(os.listdir(self.shared), [], "left in shared memory")


def write(name, content):
    """A preparation that writes one file."""
    def prepare(work):
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content)
    return prepare


class CommandLine(BadInput):
    def test_refused(self):
        def case(name, arguments, *parts, **options):
            return Case(name, [*arguments.split(), "-o", "run"], USAGE, parts, **options)

        self.check([
            case("unknown flag with a near one", "--max_step 5", "unknown flag --max_step", "did you mean --max_steps?"),
            case("one dash", "-max_steps 5", "unknown flag -max_steps", "did you mean --max_steps?"),
            case("unknown flag", "--frobnicate", "unknown flag --frobnicate", "--help lists the flags"),
            case("setting as a flag", "--optimizer.momentum 0.5", "settings are written without dashes"),
            case("stray word", "hello", "unexpected argument 'hello'", "section.key value"),
            case("unknown key", "optimzer.momentum 0.5", "unknown key optimzer.momentum", "did you mean optimizer.momentum?"),
            case("unknown mode", "--mode tarin", "runconfig.mode", "found 'tarin'", "did you mean train?"),
            case("no steps", "--max_steps 0", "runconfig.max_steps: expected a whole number", "found '0'"),
            case("negative steps", "--max_steps=-5", "runconfig.max_steps: expected a whole number", "found '-5'"),
            case("steps of letters", "--max_steps many", "--max_steps: runconfig.max_steps", "found 'many'"),
            case("too many steps", "--max_steps 99999999999999999999999", "runconfig.max_steps: expected a whole number"),
            case("unknown log level", "--logging loud", "--logging loud: unknown level", "debug, info, warning, error"),
            case("config without file", "--config small", "--config without -p/--params", "HINT"),
            case("pretrained without file", "--is_pretrained_checkpoint", "without --checkpoint_path", "HINT"),
            case("a setting twice", "--max_steps 7 runconfig.max_steps 8", "runconfig.max_steps is given twice", "keep one"),
            case("dropout of 1", "model.dropout 1.0", "model.dropout: expected", "found '1.0'"),
            case("negative learning rate", "optimizer.learning_rate=-0.1", "optimizer.learning_rate: expected", "'-0.1'"),
            case("learning rate nan", "optimizer.learning_rate nan", "optimizer.learning_rate: expected", "'nan'"),
            case("both kinds of clipping", "optimizer.max_gradient_norm 1 optimizer.max_gradient_value 1",
                 "max_gradient_norm 1", "max_gradient_value 1 are both given", "HINT: clip by one of them"),
            case("optimizer of later", "optimizer.optimizer_type Adafactor", "comes in a later release", "there are SGD, Adam"),
            case("unknown gemm", "runconfig.gemm mkl", "runconfig.gemm: expected one of openblas, onednn", "found 'mkl'"),
            case("feature of later", "optimizer.eps1 0.9", "comes in a later release"),
            case("a variable that is not set", "--checkpoint_path $FCMNIST_NOTHING/c.h5",
                 "--checkpoint_path: $FCMNIST_NOTHING/c.h5: the variable FCMNIST_NOTHING is not set", "HINT: export"),
            case("a path of another user", "train_input.data_dir=~nobody/mnist", "homes of other users", "HINT"),
            case("a device", "CPU", "unexpected argument 'CPU'", "no choice of device", ranks=(1,)),
            case("planned ranks that would run", "--plan_ranks 4", "--plan_ranks without --validate_only"),
            case("planned nodes without ranks", "--validate_only --plan_nodes 2", "--plan_nodes without --plan_ranks"),
            case("more planned nodes than ranks", "--validate_only --plan_ranks 2 --plan_nodes 3",
                 "--plan_nodes 3: expected 1 to 2"),
            case("planned ranks on ranks", "--validate_only --plan_ranks 8", "one process plans", "found 4", ranks=(4,)),
            case("a planned world that has no samples", "--validate_only --plan_ranks 8 train_input.batch_size 7",
                 "train_input.batch_size 7 is divided among 8", ranks=(1,)),
            case("a planned world that is no grid", "--validate_only --plan_ranks 7 runconfig.execution layer_pipelined "
                 "runconfig.pipeline_stages 2", "pipeline_stages 2 does not divide the 7 ranks", ranks=(1,)),
            case("images without labels as data", "-m prepare_data eval_input.images=x", "eval_input.images x in the mode prepare_data"),
            case("validation of nothing", "--validate_only -m prepare_data", "the mode prepare_data"),
            case("stages without pipelining", "runconfig.pipeline_stages 2", "pipeline_stages 2 without runconfig.execution"),
            case("number of replicas", "runconfig.num_replicas 3", "runconfig.num_replicas is 3, but there are",
                 "HINT: mpirun -n 3"),
            case("more replicas than samples", "train_input.batch_size 3", "train_input.batch_size 3 is divided among 4",
                 "HINT: mpirun -n 3 or fewer", ranks=(4,)),
            case("an epoch without a step", "train_input.batch_size 61 train_input.drop_last_batch True --restart",
                 "an epoch has no step", "60 samples / 61", "HINT"),
            Case("value missing", ["-o", "run", "optimizer.momentum"], USAGE, ["optimizer.momentum: no value"]),
            Case("value of a flag missing", ["-o", "run", "-m"], USAGE, ["--mode", "HINT"]),
            Case("params name too long", ["-o", "run", "-p", "p" * 300], USAGE, ["-p/--params", "File name too long"]),
        ])

    @unittest.skipIf(runs.HAS_ONEDNN, "built with oneDNN")
    def test_gemm_that_is_not_built(self):
        self.check([Case("onednn", ["-o", "run", "runconfig.gemm", "onednn"], USAGE,
                         ["runconfig.gemm onednn: this program was built without oneDNN", "HINT: runconfig.gemm openblas"])])

    def test_several_tasks_that_do_not_know_each_other(self):
        """srun with another MPI starts N worlds of one rank."""
        finished = runs.execute([runs.PROGRAM, "-o", self.directory / "slurm"], env={
            "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", "OMPI_MCA_ess": "singleton"})
        self.assertEqual(finished.code, USAGE, str(finished))
        self.assertIn("this Slurm step has 4 tasks, but MPI sees a world of 1", finished.errors)
        self.assertIn("HINT: start with `srun --mpi=pmix` or mpirun", finished.errors)
        self.assertFalse((self.directory / "slurm").exists())

    def test_one_process_in_the_script_of_a_job_of_several_tasks(self):
        """It is no broken step, though the variables of the job are set."""
        finished = runs.execute([runs.PROGRAM, "-o", self.directory / "slurm", "--validate_only", "--plan_ranks", "8",
                                 *settings(train_input__use_fake_data=True, eval_input__use_fake_data=True)], env={
            "SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_NPROCS": "8", "SLURM_PROCID": "0", "OMPI_MCA_ess": "singleton"})
        self.assertEqual(finished.code, 0, str(finished))


class Configuration(BadInput):
    def test_refused(self):
        def yaml(name, text, *parts, arguments=()):
            return Case(name, ["-p", "bad.yaml", "-o", "run", *arguments], USAGE, parts, write("bad.yaml", text))

        bomb = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30))
        self.check([
            yaml("unknown key", "model:\n  depht: 3\n", "bad.yaml:2: unknown key model.depht", "did you mean model.depth?"),
            yaml("unknown section", "modle:\n  depth: 3\n", "bad.yaml:1: unknown section 'modle'", "did you mean model?"),
            yaml("duplicate key", "model:\n  dropout: 0.1\n  dropout: 0.2\n", "bad.yaml:3: duplicate key 'dropout'",
                 "bad.yaml:2"),
            yaml("open bracket", "model:\n  hidden_sizes: [5, 6\n", "bad.yaml:", "not valid YAML"),
            yaml("open quotes", "model:\n  name: \"fc_mnist\n", "bad.yaml:", "never closed"),
            yaml("tabs", "model:\n\tdropout: 0.1\n", "bad.yaml:", "not valid YAML"),
            yaml("section without keys", "model:\n", "bad.yaml:1: section model", "found no value"),
            yaml("a list", "- model\n- optimizer\n", "bad.yaml:1: expected sections"),
            yaml("empty file", "", "bad.yaml: no settings in this file"),
            yaml("two documents", "model: {dropout: 0.1}\n---\nmodel: {dropout: 0.2}\n", "more than one YAML document"),
            yaml("alias bomb", bomb, "bad.yaml:", "more than 10000 values"),
            yaml("deep nesting", "model: " + "[" * 100 + "]" * 100, "nested deeper than 32"),
            yaml("tag", "model: {dropout: !!float 0.1}\n", "YAML tags are not supported"),
            yaml("binary file", bytes(range(256)), "bad.yaml:1: not text"),
            yaml("large file", "# " + "x" * (1 << 20) + "\n", "bad.yaml", "larger than 1 MiB"),
            yaml("word for a number", "train_input:\n  batch_size: many\n",
                 "bad.yaml:2: train_input.batch_size: expected a whole number", "found 'many'"),
            yaml("fraction for a whole number", "train_input:\n  batch_size: 12.5\n", "bad.yaml:2", "found '12.5'"),
            yaml("number for a truth value", "train_input:\n  shuffle: 7\n", "bad.yaml:2", "expected True or False"),
            yaml("infinite", "optimizer:\n  learning_rate: .inf\n", "bad.yaml:2: optimizer.learning_rate"),
            yaml("empty value", "optimizer:\n  momentum:\n", "bad.yaml:2: optimizer.momentum", "leave the key out"),
            yaml("unknown schedule", "optimizer:\n  learning_rate: {scheduler: Linaer, initial_learning_rate: 1}\n",
                 "bad.yaml:2", "did you mean Linear?"),
            yaml("schedule that is a program", "optimizer:\n  learning_rate: {scheduler: LambdaLR, initial_learning_rate: 1}\n",
                 "there is no schedule LambdaLR here"),
            yaml("schedule that never begins", "optimizer:\n  learning_rate:\n"
                 "    - {scheduler: Constant, initial_learning_rate: 1}\n"
                 "    - {scheduler: Constant, initial_learning_rate: 2}\n", "bad.yaml:4", "would never begin"),
            yaml("depth without width", "model:\n  depth: 3\n", "bad.yaml:2: model.depth without model.hidden_size"),
            yaml("validation by a file", "runconfig:\n  validate_only: True\n", "bad.yaml:2: runconfig.validate_only True",
                 "HINT: fcmnist_mpi --validate_only"),
            yaml("both batch sizes", "train_input:\n  batch_size: 8\n  batch_size_per_replica: 2\n", "are both given"),
            yaml("mirror of no known kind", "train_input:\n  mirrors: [\"ftp://127.0.0.1/\"]\n", "bad.yaml:2", "https://"),
            yaml("part that is not there", "small:\n  model: {dropout: 0.1}\n", "--config large", "it has small",
                 arguments=["--config", "large"]),
            yaml("parts without a choice", "small:\n  model: {dropout: 0.1}\n", "unknown section 'small'", "--config small"),
            Case("no such file", ["-p", "absent.yaml", "-o", "run"], USAGE, ["absent.yaml: No such file"]),
            Case("a directory", ["-p", "run", "-o", "run"], USAGE, ["run: is a directory, expected a YAML file"]),
            Case("a pipe without a writer", ["-p", "pipe.yaml", "-o", "run"], USAGE, ["pipe.yaml: is a pipe or device"],
                 lambda directory: os.mkfifo(directory / "pipe.yaml")),
            Case("settings of the run are damaged", ["-o", "run", "--max_steps", "9"], USAGE,
                 ["run/params.yaml:1: unknown section 'oops'"], write("run/params.yaml", "oops: 1\n")),
        ])


def data_case(name, change, *parts, more=()):
    """`change` damages the copy of the good data in data/."""
    def prepare(work):
        runs.write_set(work / "data", TRAIN, TEST, gzipped=False)
        change(work / "data")
    arguments = ["-o", "run", "--max_steps", 9, *runs.data_settings("data"), *more]
    return Case(name, arguments, DATA, parts, prepare)


def replace(name, content):
    return lambda data: (data / name).write_bytes(content)


def patched(content, at, patch):
    return content[:at] + patch + content[at + len(patch):]


class Data(BadInput):
    def test_refused(self):
        images, labels = runs.idx_bytes(TRAIN.images), runs.idx_bytes(TRAIN.labels)
        packed = gzip.compress(images, mtime=0)
        length = len(images)

        def zipped(content):
            def change(data):
                (data / IMAGES).unlink()
                (data / (IMAGES + ".gz")).write_bytes(content)
            return change

        def exchanged(data):
            (data / IMAGES).rename(data / "other")
            (data / LABELS).rename(data / IMAGES)
            (data / "other").rename(data / LABELS)

        def second_set(data):
            for name in (IMAGES, LABELS):
                (data / name).rename(data / ("emnist-" + name))
                shutil.copy(data / ("emnist-" + name), data / ("kmnist-" + name))

        def two_folders(data):
            for name in ("MNIST", "KMNIST"):
                shutil.copytree(data, data.parent / "both" / name / "raw")
            shutil.rmtree(data)
            (data.parent / "both").rename(data)

        def only(name):
            def change(data):
                for path in data.iterdir():
                    path.unlink()
                (data / name).write_bytes(b"x")
            return change

        def qmnist(data):
            raw = data / "QMNIST/raw"
            raw.mkdir(parents=True)
            (data / IMAGES).rename(raw / f"qmnist-{IMAGES}")
            numbers = np.zeros((len(TRAIN.labels), 8), ">i4")
            numbers[:, 0] = TRAIN.labels
            (raw / "qmnist-train-labels-idx2-int").write_bytes(struct.pack(">HBBII", 0, 12, 2, *numbers.shape) + numbers.tobytes())
            for path in data.glob("*-ubyte"):
                path.unlink()

        def directory(data):
            (data / IMAGES).unlink()
            (data / IMAGES).mkdir()

        def pipe(data):
            (data / IMAGES).unlink()
            os.mkfifo(data / IMAGES)

        def other_size(data):
            small = runs.patterns(30, SIDE - 1, CLASSES, seed=2)
            (data / "t10k-images-idx3-ubyte").write_bytes(runs.idx_bytes(small.images))

        nowhere = f'["http://127.0.0.1:{dead_port()}"]'
        fetching = settings(train_input__mirrors=nowhere, eval_input__mirrors=nowhere) + ["train_input.download=True"]

        self.check([
            data_case("no data_dir", shutil.rmtree, "no images for train_input: data does not exist",
                      "HINT", "dataset-fashion-mnist"),
            data_case("empty data_dir", lambda data: [path.unlink() for path in data.iterdir()], "no images for train_input: data is empty",
                      "-m prepare_data"),
            data_case("data_dir is a file", lambda data: (shutil.rmtree(data), data.write_text("x")),
                      "data: this data_dir is a file, expected a directory", "HINT: name the directory"),
            data_case("no labels", lambda data: (data / LABELS).unlink(), "no labels for train_input", LABELS),
            data_case("no test set", lambda data: (data / "t10k-images-idx3-ubyte").unlink(), "no images for eval_input"),
            data_case("several sets", second_set, "data_dir holds several sets", "emnist-", "kmnist-"),
            data_case("several folders of torchvision", two_folders, "data_dir holds several sets", "data/MNIST/raw",
                      "data/KMNIST/raw", "HINT: name the one"),
            data_case("NumPy's files", only("mnist.npz"), "data holds mnist.npz", "HINT: mnist.npz: ", "python3 -c"),
            data_case("NumPy's files and download", only("mnist.npz"), "data holds mnist.npz", "absent or empty",
                      more=fetching),
            data_case("an unknown name and download", only("train-images-idx3-ubyte.zip"), "unpack it", more=fetching),
            data_case("labels of QMNIST", qmnist, "qmnist-train-labels-idx2-int", "0x0c (32-bit integer)",
                      "not a damaged one", "of which the first is the class"),
            data_case("little-endian", replace(IMAGES, images[:4] + struct.pack("<III", 60, SIDE, SIDE) + images[16:]), IMAGES,
                      "HINT: the header is little-endian"),
            data_case("letters", replace(LABELS, runs.idx_bytes(TRAIN.labels + np.uint8(1))), "label of sample",
                      f"the labels of this file are 1 to {CLASSES}: set model.num_classes {CLASSES + 1}"),
            data_case("empty file", replace(IMAGES, b""), IMAGES, "found an empty file"),
            data_case("cut header", replace(IMAGES, images[:10]), IMAGES, "header: found 10 bytes, expected 16 bytes"),
            data_case("wrong magic", replace(IMAGES, patched(images, 0, b"\x12")), IMAGES,
                      "magic number: found 12 00 08 03, expected 00 00 08 03"),
            data_case("floats", replace(IMAGES, patched(images, 2, b"\x0d")), IMAGES, "0x0d (float)", "expected 0x08"),
            data_case("wrong dimensions", replace(IMAGES, patched(images, 3, b"\x02")), IMAGES,
                      "number of dimensions: found 2, expected 3"),
            data_case("files exchanged", exchanged, IMAGES, "number of dimensions", "were not exchanged"),
            data_case("no images in it", replace(IMAGES, struct.pack(">HBBIII", 0, 8, 3, 0, SIDE, SIDE)), IMAGES,
                      "number of images: found 0"),
            data_case("huge sides", replace(IMAGES, patched(images, 8, struct.pack(">I", 1 << 31))), IMAGES,
                      "rows of an image: found 2147483648"),
            data_case("more images announced", replace(IMAGES, patched(images, 4, struct.pack(">I", 61))), IMAGES,
                      f"length: found {length} bytes, expected {length + SIDE * SIDE} bytes"),
            data_case("all the images of the world", replace(IMAGES, patched(images, 4, b"\xff\xff\xff\xff")), IMAGES,
                      f"length: found {length} bytes"),
            data_case("cut", replace(IMAGES, images[:-7]), IMAGES, f"length: found {length - 7} bytes, expected {length}"),
            data_case("something behind", replace(IMAGES, images + b"abc"), IMAGES, f"found {length + 3} bytes"),
            data_case("cut gzip", zipped(packed[:-40]), IMAGES + ".gz", "gzip data: found damage", "copy it again"),
            data_case("wrong checksum of gzip", zipped(patched(packed, len(packed) - 8, b"\0\0\0\0")), IMAGES + ".gz",
                      "gzip data: found damage"),
            data_case("fewer images in gzip", zipped(gzip.compress(images[:-SIDE * SIDE])), IMAGES + ".gz",
                      f"length behind the header: found {length - 16 - SIDE * SIDE} bytes, expected {length - 16} bytes"),
            data_case("something behind in gzip", zipped(gzip.compress(images + b"abc")), IMAGES + ".gz", "found more than"),
            data_case("label too large", replace(LABELS, patched(labels, 8 + 17, b"\x09")), LABELS,
                      f"label of sample 17: found 9, expected 0 to {CLASSES - 1}", "model.num_classes is 4"),
            data_case("fewer labels", replace(LABELS, runs.idx_bytes(TRAIN.labels[:-1])), LABELS,
                      "number of labels: found 59, expected 60"),
            data_case("test images of another size", other_size, "30 samples of 7 x 7", "images of one size"),
            data_case("wrong label in the test set",
                      replace("t10k-labels-idx1-ubyte", runs.idx_bytes(TEST.labels + np.uint8(200))),
                      "t10k-labels-idx1-ubyte", "label of sample 0", "expected 0 to 3"),
            data_case("directory for a file", directory, IMAGES, "found a directory"),
            data_case("pipe for a file", pipe, IMAGES, "found a device, pipe or socket"),
            data_case("bad data and --restart", shutil.rmtree, "no images for train_input", more=["--restart"]),
            data_case("bad data and eval", shutil.rmtree, "no images for eval_input", more=["-m", "eval"]),
            data_case("bad data and prepare_data", replace(IMAGES, images[:-7]), IMAGES, "HINT", more=["-m", "prepare_data"]),
        ])

    def test_a_run_says_which_sets_it_trains_and_tests_on(self):
        train = runs.write_set(self.directory / "root/FashionMNIST/raw", TRAIN, TEST)
        test = runs.write_set(self.directory / "other/KMNIST/raw", TRAIN, TEST, gzipped=False)
        finished = self.run_to_end("-o", self.directory / "said", "--max_steps", 3, *settings(
            train_input__data_dir=self.directory / "root", eval_input__data_dir=self.directory / "other",
            model__hidden_sizes="[6]", model__num_classes=CLASSES, train_input__batch_size=20), ranks=2)
        digests = [[hashlib.sha256(runs.idx_bytes(array)).hexdigest() for array in (split.images, split.labels)]
                   for split in (TRAIN, TEST)]
        for role, split, samples, directory, (images, labels), end in (("training", "train", 60, train, digests[0], ".gz"),
                                                                       ("test", "t10k", 30, test, digests[1], "")):
            files = [str(directory / f"{split}-{kind}-ubyte{end}") for kind in ("images-idx3", "labels-idx1")]
            said = finished.lines(f"info: {role} set: ")
            self.assertEqual(len(said), 1, str(finished))
            for part in ("unknown set", images[:12], labels[:12], f"{samples} samples of 8 x 8", "4 classes", ", ".join(files)):
                self.assertIn(part, said[0])
            for name in ("metrics.h5", "checkpoint_3.h5"):
                with h5py.File(self.directory / "said" / name) as file:
                    self.assertEqual(file.attrs[f"{role}_set"], "unknown set")
                    self.assertEqual(file.attrs[f"{role}_set_split"], "test" if split == "t10k" else split)
                    self.assertEqual((file.attrs[f"{role}_set_samples"], file.attrs[f"{role}_set_classes"]), (samples, 4))
                    self.assertEqual(list(file.attrs[f"{role}_set_files"]), files)
                    self.assertEqual(list(file.attrs[f"{role}_set_sha256"]), [images, labels])
        self.assertEqual(len(finished.lines("warning: trained on unknown set")), 1, str(finished))

    def test_unreadable_file(self):
        if os.geteuid() == 0:
            self.skipTest("root reads everything")
        self.check([data_case("unreadable file", lambda data: (data / IMAGES).chmod(0), IMAGES, "Permission denied", "HINT"),
                    data_case("unreadable data_dir", lambda data: data.chmod(0), "cannot list this data_dir", "HINT")])


def dead_port():
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Download(BadInput):
    def test_no_mirror_answers(self):
        """Addresses of this machine only: nothing leaves it."""
        mirrors = [f"http://127.0.0.1:{dead_port()}/a", f"http://127.0.0.1:{dead_port()}/b"]
        listed = "[" + ", ".join(f'"{mirror}"' for mirror in mirrors) + "]"
        common = [*settings(train_input__data_dir="data", eval_input__data_dir="data", train_input__download=True,
                            eval_input__download=True, train_input__mirrors=listed, eval_input__mirrors=listed)]
        parts = ["cannot fetch train-images-idx3-ubyte.gz of MNIST into data", *mirrors, "HINT", "dataset-fashion-mnist",
                 "train_input.data_dir"]
        for mode in ("train_and_eval", "prepare_data"):
            self.check([Case(f"{mode} without network", ["-o", "run", "-m", mode, "--max_steps", 9, *common], DATA, parts)])
            self.assertEqual(list(self.directory.glob("*network*/data")), [], "an empty directory is left behind")

    def test_files_of_another_set_are_not_mixed_with_mnist(self):
        mirrors = f'["http://127.0.0.1:{dead_port()}"]'
        self.check([data_case("incomplete set", lambda data: (data / LABELS).unlink(), "-ubyte: content: found SHA-256",
                              "sets are never mixed",
                              more=settings(train_input__mirrors=mirrors, eval_input__mirrors=mirrors)
                              + ["train_input.download=True"])])


def mounted(script):
    """A command that does `script` in a mount namespace of its own, then becomes the rest of the line."""
    return ["unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh"]


class Storage(BadInput):
    def test_refused(self):
        def damage(name, change):
            def prepare(work):
                path = work / name
                path.write_bytes(change(path.read_bytes()))
            return prepare

        def foreign(name):
            def prepare(work):
                with h5py.File(work / name, "w") as file:
                    file["data"] = [1, 2, 3]
            return prepare

        def all_damaged(work):
            for step in (3, 6):
                damage(f"run/checkpoint_{step}.h5", lambda content: content[:-1])(work)

        def no_checkpoints(work):
            for path in (work / "run").glob("checkpoint_*"):
                path.unlink()

        def model_dir_is_a_file(work):
            shutil.rmtree(work / "run")
            (work / "run").write_text("x")

        def directory(name):
            def prepare(work):
                (work / name).unlink(missing_ok=True)
                (work / name).mkdir()
            return prepare

        def given(name, prepare, *parts, code=STORAGE, more=()):
            """As --checkpoint_path of a new run."""
            arguments = ["-o", "new", *runs.data_settings(self.good), "model.num_classes=4", "model.hidden_sizes=[6]",
                         "--max_steps", 9, "--checkpoint_path", "given.h5", "--is_pretrained_checkpoint", *more]
            return Case(name, arguments, code, parts, prepare)

        def copied(change):
            return lambda work: (work / "given.h5").write_bytes(change((work / "run/checkpoint_6.h5").read_bytes()))

        go_on = ["-o", "run", "--max_steps", "9"]
        self.check([
            Case("model_dir is a file", ["-o", "run", *runs.data_settings(self.good)], STORAGE,
                 ["model_dir run: found a file, expected a directory", "HINT"], model_dir_is_a_file),
            Case("model_dir below a file", ["-o", "run/metrics.h5/deeper", *runs.data_settings(self.good)], STORAGE,
                 ["create model_dir run/metrics.h5/deeper", "HINT"]),
            Case("model_dir with a long name", ["-o", "m" * 300, *runs.data_settings(self.good)], STORAGE,
                 ["File name too long"]),
            given("no such checkpoint", None, "open given.h5: No such file"),
            given("empty checkpoint", write("given.h5", b""), "given.h5: the file is empty"),
            given("text as checkpoint", write("given.h5", "hello\n"), "given.h5: not a file of fcmnist_mpi"),
            given("zeros as checkpoint", write("given.h5", bytes(4096)), "begins with zeros"),
            given("foreign HDF5 as checkpoint", foreign("given.h5"), "an HDF5 file without its seal at the end"),
            given("metrics as checkpoint", lambda work: shutil.copy(work / "run/metrics.h5", work / "given.h5"),
                  "found a metrics file, expected a checkpoint file"),
            given("directory as checkpoint", directory("given.h5"), "found a directory"),
            given("cut checkpoint", copied(lambda content: content[:-100]), "given.h5: not a file of fcmnist_mpi", "cut off"),
            given("a changed byte", copied(lambda content: patched(content, 3000, bytes([content[3000] ^ 1]))),
                  "given.h5: the file is damaged: found SHA-256"),
            given("checkpoint of later", copied(lambda content: content.replace(b"version 2\n", b"version 9\n", 1)),
                  "format version 9, expected at most 2", "HINT"),
            given("checkpoint of another network", copied(bytes), "given.h5: /model", "fc_layers.0.weight", "expected",
                  more=["model.hidden_sizes=[7]"]),
            Case("all checkpoints damaged", go_on, STORAGE, ["none of its 2 checkpoints is intact", "HINT: --restart"],
                 all_damaged),
            Case("all checkpoints damaged and eval", ["-m", "eval", "-o", "run"], STORAGE,
                 ["none of its 2 checkpoints is intact"], all_damaged),
            Case("all checkpoints damaged and eval_all", ["-m", "eval_all", "-o", "run"], STORAGE,
                 ["checkpoint", "intact"], all_damaged),
            Case("nothing to evaluate", ["-m", "eval", "-o", "run"], STORAGE, ["run: no checkpoint to evaluate", "HINT"],
                 no_checkpoints),
            Case("directory named as a checkpoint", go_on, STORAGE, ["checkpoint_8.h5: found a directory"],
                 directory("run/checkpoint_8.h5")),
            Case("directory named as the metrics", go_on, STORAGE, ["metrics.h5: found a directory"],
                 directory("run/metrics.h5")),
            Case("changed setting", [*go_on, "optimizer.momentum", "0.5"], USAGE,
                 ["optimizer.momentum: 0.9 in the checkpoint, 0.5 now", "HINT", "--restart"]),
            Case("older checkpoint of the same run", [*go_on, "--checkpoint_path", "run/checkpoint_3.h5"], USAGE,
                 ["run/checkpoint_3.h5: step 3, but run has a newer checkpoint_6.h5", "HINT"]),
        ])

    def test_foreign_metrics_are_set_aside_unharmed(self):
        metrics = self.template / "metrics.h5"
        with h5py.File(metrics, "w") as file:
            file["data"] = [1, 2, 3]
        content = metrics.read_bytes()
        finished = self.run_to_end("-o", self.template, "--max_steps", 9, ranks=4)
        self.assertTrue(any("not a file of fcmnist_mpi" in line for line in finished.lines("warning:")), str(finished))
        self.assertEqual((self.template / "metrics.h5.damaged-1").read_bytes(), content)

    def test_places_that_cannot_be_written(self):
        read_only = "mount --bind run run && mount -o remount,ro,bind run"
        full = "mkdir full && mount -t tmpfs -o size=32k none full"
        if os.geteuid() != 0:
            self.check([Case("no permission", ["-o", "run", "--max_steps", 9], STORAGE, ["Permission denied", "HINT"],
                             lambda work: (work / "run").chmod(0o555))])
            return
        if runs.execute(mounted("mount -t tmpfs -o size=32k none /mnt"), cwd=self.directory).code != 0:
            self.skipTest("root, and mounts are not allowed here")
        self.check([
            Case("read-only", ["-o", "run", "--max_steps", 9], STORAGE, ["Read-only file system", "HINT"],
                 wrapper=mounted(read_only)),
            Case("full at once", ["-o", "full", *runs.data_settings(self.good), "model.num_classes=4"], STORAGE,
                 ["No space left on device", "HINT: the file system is full"], wrapper=mounted(full)),
            Case("full at the first checkpoint", ["-o", "full", *runs.data_settings(self.good), "model.num_classes=4",
                                                  "--max_steps", 3], STORAGE,
                 ["write full/checkpoint_3.h5: No space left on device", "HINT: the file system is full"],
                 wrapper=mounted(full.replace("32k", "256k"))),
        ])


if __name__ == "__main__":
    runs.main()
