#!/usr/bin/python3
"""Trains the reference's PyTorch module beside fcmnist_mpi, on the same batches, and compares losses and weights.

    torch_parity.py                          both shipped networks on 1 rank, 200 steps
    torch_parity.py --ranks 1,2 runconfig.gemm=onednn

PyTorch begins with fcmnist_mpi's initial checkpoint and from then on goes its own way: in float64, so that what is
seen is fcmnist_mpi's rounding and no other. What follows the options goes to fcmnist_mpi alone and wins over what
this script sets there: with optimizer.learning_rate=0.0011 the two must differ.

The gradient of ReLU jumps at 0. Where an input of a ReLU is so close to 0 that float32 cannot tell its sign, two
correct programs may take different gradients, and the difference grows with every step. So this compares on the
first seed for which PyTorch, which decides this alone, meets no such input in all steps and samples. With 16
samples a step about one seed in ten is of this kind, with 128 none.

Data: --data-dir, else FCMNIST_MNIST_DIR, else Debian's Fashion-MNIST. The program is found as jobs/launch.sh says.
Exit codes: 0 they agree, 1 they do not, 2 wrong arguments, or PyTorch, the program or such a seed is missing, 3 no
data; others are those of fcmnist_mpi.
"""
import argparse
import gzip
import hashlib
import itertools
import json
import math
import os
import pathlib
import shlex
import struct
import subprocess
import sys
import tempfile

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy and PyTorch load it
sys.dont_write_bytecode = True
try:
    import fcmnist_files
    from fcmnist_files import h5py, np
    import sample_order
except ImportError as missing:
    if __name__ != "__main__":
        raise
    print(f"torch_parity.py: error: {missing}", file=sys.stderr)
    sys.exit(2)
from torch_peer import CLASSES, FEATURES, MODELS, PIXEL_DEVIATION, PIXEL_MEAN

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = {"500_300": "configs/fcmnist_500_300.yaml", "10x50": "configs/params.yaml"}
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
MOMENTUM = 0.9
# An input of a ReLU nearer to 0 than this, relative to the root mean square of its layer's, has no certain sign in
# float32: 16 units in the last place.
UNCERTAIN = 2.0**-20


class Failure(Exception):
    """Something is missing: what, what helps, exit code."""

    def __init__(self, message, hint, code=2):
        super().__init__(message)
        self.hint, self.code = hint, code


# --- data ---


def made_up(samples=1000):
    """Images (samples x 28 x 28) and labels that need no files, and that a network learns only in part. NumPy keeps
    the numbers of RandomState as they are for ever."""
    random = np.random.RandomState(1)
    side = math.isqrt(FEATURES)
    patterns = random.randint(0, 160, (CLASSES, side, side))
    labels = random.randint(0, CLASSES, samples)
    images = (patterns[labels] + random.randint(0, 96, (samples, side, side))).astype(np.uint8)
    wrong = random.randint(0, 5, samples) == 0  # a fifth: otherwise the loss would fall to 0
    return images, np.where(wrong, random.randint(0, CLASSES, samples), labels).astype(np.uint8)


def write_idx(directory, images, labels):
    """Both splits of a data set: what is trained on serves as test set, too."""
    directory.mkdir()
    for split, (kind, array) in itertools.product(("train", "t10k"), (("images-idx3", images), ("labels-idx1", labels))):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (directory / f"{split}-{kind}-ubyte").write_bytes(header + array.tobytes())
    return directory


def read_idx(directory, name):
    for folder, suffix in itertools.product((directory, directory / "MNIST/raw"), ("", ".gz")):
        path = folder / (name + suffix)
        if path.is_file():
            content = gzip.decompress(path.read_bytes()) if suffix else path.read_bytes()
            shape = struct.unpack_from(f">{content[3]}I", content, 4)
            return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)
    raise Failure(f"no {name} or {name}.gz in {directory}",
                  "--data-dir DIR or FCMNIST_MNIST_DIR=DIR names the four files of MNIST; or apt install "
                  "dataset-fashion-mnist; or --made-up", 3)


# --- fcmnist_mpi ---


def settings(model, data_dir, options, seed):
    """Arguments of fcmnist_mpi for the training that PyTorch repeats, but for the model_dir."""
    values = {"train_input.data_dir": data_dir, "train_input.download": False, "eval_input.data_dir": data_dir,
              "eval_input.download": False, "train_input.batch_size": options.batch, "train_input.shuffle": True,
              "train_input.drop_last_batch": False, "model.dropout": 0.0,
              "optimizer.learning_rate": options.learning_rate, "optimizer.momentum": MOMENTUM,
              "optimizer.weight_decay_rate": 0.0, "runconfig.seed": seed, "runconfig.save_initial_checkpoint": True,
              "runconfig.save_losses": True, "runconfig.checkpoint_steps": 0, "runconfig.eval_frequency": 0}
    return ["-p", ROOT / CONFIGS[model], "-m", "train", "--max_steps", options.steps,
            *(f"{key}={value}" for key, value in values.items())]


class Run:
    """What fcmnist_mpi wrote: losses (steps), weights before the first and after the last step."""

    def __init__(self, model_dir, steps):
        self.initial = fcmnist_files.state_dict(model_dir / "checkpoint_0.h5")
        self.weights = fcmnist_files.state_dict(model_dir / f"checkpoint_{steps}.h5")
        with h5py.File(model_dir / "metrics.h5") as file:
            self.losses = file["train/loss"][...]


def run_program(arguments, ranks, options):
    with tempfile.TemporaryDirectory(prefix="parity_") as directory:
        command = ["bash", "-c", 'source "$0" && launch "$@"', ROOT / "jobs/launch.sh", ranks, "-o", f"{directory}/run",
                   *arguments, *options.overrides]
        environment = {"FCMNIST_MPI": options.program} if options.program else {}
        finished = subprocess.run([str(part) for part in command], env={**os.environ, **environment}, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if finished.returncode != 0:
            raise Failure(f"fcmnist_mpi ended with {finished.returncode}:\n{finished.stdout.rstrip()}",
                          "see above; it was called with " + shlex.join(map(str, command[4:])), finished.returncode)
        return Run(pathlib.Path(directory) / "run", options.steps)


def digest(initial):
    """SHA-256 of the weights before the first step, in the order of the names."""
    return hashlib.sha256(b"".join(initial[name].tobytes() for name in sorted(initial))).hexdigest()


# --- PyTorch ---


class Uncertain(Exception):
    """Rounding decides which gradient a ReLU has."""


def reference_module(torch, hidden):
    """The reference's network: Linear, ReLU, Dropout for each hidden layer, then Linear; log-probabilities."""
    sizes = [FEATURES, *hidden]

    class FcMnist(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc_layers = torch.nn.ModuleList(torch.nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
            self.last_layer = torch.nn.Linear(sizes[-1], CLASSES)
            self.dropout = torch.nn.Dropout(0.0)

        def forward(self, x):
            for layer in self.fc_layers:
                x = self.dropout(torch.nn.functional.relu(layer(x)))
            return torch.nn.functional.log_softmax(self.last_layer(x), dim=1)

    return FcMnist()


class TorchTraining:
    """Training of the reference's module from an initial checkpoint: losses and weights, and how near to 0 the inputs
    of its ReLUs came, relative to the root mean square of their layer's."""

    def __init__(self, torch, model, run, data, options, seed):
        images, labels = data
        dtype = getattr(torch, options.dtype)
        inputs = (torch.from_numpy(images.reshape(len(images), -1).copy()).to(dtype) / 255 - PIXEL_MEAN) / PIXEL_DEVIATION
        targets = torch.from_numpy(labels.astype(np.int64))
        module = reference_module(torch, MODELS[model]).to(dtype)
        module.load_state_dict({name: torch.from_numpy(array) for name, array in run.initial.items()}, strict=True)
        optimizer = torch.optim.SGD(module.parameters(), lr=options.learning_rate, momentum=MOMENTUM)
        self.losses, self.nearest = [], math.inf
        for index, layer in enumerate(module.fc_layers):
            layer.register_forward_hook(lambda _, __, output, name=f"fc_layers.{index}": self.look_at(name, output))
        order = sample_order.batches(len(labels), options.batch, seed)
        for ids in itertools.islice(order, options.steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.nll_loss(module(inputs[ids]), targets[ids])
            loss.backward()
            optimizer.step()
            self.losses.append(loss.item())
        self.losses = np.array(self.losses)
        self.weights = {name: tensor.numpy().astype(float) for name, tensor in module.state_dict().items()}

    def look_at(self, layer, output):
        output = output.detach()
        distance = (output.abs().min() / output.square().mean().sqrt()).item()
        if distance < UNCERTAIN:
            raise Uncertain(f"step {len(self.losses) + 1}: an input of a ReLU of {layer} is {distance:.0e} of their size")
        self.nearest = min(self.nearest, distance)


def well_posed_training(torch, model, data, data_dir, options):
    """The first seed for which no rounding decides: seed, training of PyTorch."""
    for seed in range(options.seed, options.seed + options.tries):
        run = run_program(settings(model, data_dir, options, seed), 1, options)
        try:
            return seed, TorchTraining(torch, model, run, data, options, seed)
        except Uncertain as reason:
            print(f"{model}, seed {seed}: {reason}: next seed", flush=True)
    raise Failure(f"{model}: no seed in {options.tries} from {options.seed} on without an input of a ReLU whose sign is "
                  "uncertain in float32", "--batch or --steps smaller, or --tries larger")


# --- comparison ---


def compare(run, torch_training, options):
    """Prints both tables; the largest relative differences of the losses and of the weights."""
    ours, theirs = run.losses, torch_training.losses
    if len(ours) != len(theirs):
        raise Failure(f"fcmnist_mpi made {len(ours)} steps, not {len(theirs)}", "leave out the settings that shorten it")
    difference = np.abs(ours - theirs) / theirs
    print(f"{'step':>8}{'fcmnist_mpi':>16}{'PyTorch':>16}{'relative':>12}")
    for row in sorted({*range(5), *range(9, len(ours), max(10, len(ours) // 10)), len(ours) - 1}):
        if row < len(ours):
            print(f"{row + 1:8}{ours[row]:16.9f}{theirs[row]:16.9f}{difference[row]:12.1e}")
    print(f"{'weights':>18}{'largest':>10}{'trained by':>12}{'difference':>12}{'of largest':>12}{'of trained':>12}")
    worst = 0.0
    for name, expected in torch_training.weights.items():
        largest = np.abs(expected).max()
        trained = np.abs(expected - run.initial[name]).max()
        apart = np.abs(run.weights[name] - expected).max()
        print(f"{name:>18}{largest:10.4f}{trained:12.1e}{apart:12.1e}{apart / largest:12.1e}{apart / trained:12.1e}")
        worst = max(worst, apart / largest)
    return difference.max(), worst


def check_model(torch, model, data, data_dir, options):
    """Compares on every number of ranks. Whether all agree, and what a golden file says."""
    seed, training = well_posed_training(torch, model, data, data_dir, options)
    agree = True
    for ranks in options.ranks:
        run = run_program(settings(model, data_dir, options, seed), ranks, options)
        print(f"\n{model} on {ranks} rank(s), seed {seed}: {options.steps} steps of {options.batch} samples, learning rate "
              f"{options.learning_rate}, momentum {MOMENTUM}; PyTorch {torch.__version__}, {options.dtype}; inputs of "
              f"ReLUs from {training.nearest:.1e} of their size up")
        loss, weights = compare(run, training, options)
        agrees = loss <= options.loss_bound and weights <= options.weight_bound
        print(f"{model} on {ranks} rank(s): losses within {loss:.1e} (bound {options.loss_bound:.0e}), weights within "
              f"{weights:.1e} of the largest (bound {options.weight_bound:.0e}): {'agree' if agrees else 'DIFFER'}",
              flush=True)
        agree = agree and agrees
    return agree, golden_entry(seed, run, training, options)


def change_norms(initial, weights):
    """2-norm of what training changed in each array of weights."""
    return {name: float(np.linalg.norm(weights[name] - initial[name].astype(float))) for name in initial}


def golden_entry(seed, run, training, options):
    steps = sorted({*range(1, 11), *range(20, options.steps, 20), options.steps})
    return {"seed": seed, "steps": options.steps, "batch": options.batch, "learning_rate": options.learning_rate,
            "nearest_to_0": training.nearest, "initial_sha256": digest(run.initial),
            "losses": {str(step): training.losses[step - 1] for step in steps if step <= options.steps},
            "change_norms": change_norms(run.initial, training.weights)}


def rank_counts(text):
    return [int(part) for part in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, help="one of the networks only")
    parser.add_argument("--ranks", type=rank_counts, default=[1], metavar="N,...", help="ranks of fcmnist_mpi (1)")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="(200)")
    parser.add_argument("--batch", type=int, default=16, metavar="B", help="samples of a step, of all ranks (16)")
    parser.add_argument("--learning-rate", type=float, default=0.001, metavar="R", help="(0.001, the reference's)")
    parser.add_argument("--seed", type=int, default=1, help="the first to try (1)")
    parser.add_argument("--tries", type=int, default=100, metavar="N", help="how many seeds to try (100)")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="of PyTorch (float64)")
    parser.add_argument("--loss-bound", type=float, default=1e-5, metavar="X",
                        help="largest relative difference of the loss of any step (1e-5)")
    parser.add_argument("--weight-bound", type=float, default=1e-4, metavar="X",
                        help="largest difference of a weight after the last step, relative to the largest weight of its "
                        "array (1e-4)")
    parser.add_argument("--program", metavar="FILE", help="fcmnist_mpi")
    parser.add_argument("--data-dir", type=pathlib.Path, metavar="DIR", help="four files as MNIST's")
    parser.add_argument("--made-up", action="store_true", help="instead of files: patterns under noise")
    parser.add_argument("--write-golden", type=pathlib.Path, metavar="FILE",
                        help="also writes PyTorch's numbers, as JSON, if both agree")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="for fcmnist_mpi alone")
    options = parser.parse_args()
    if min(*options.ranks, options.steps, options.batch, options.tries, options.seed + 1) < 1:
        parser.error("--ranks, --steps, --batch and --tries are positive")
    return options


def check(options):
    """Exit code."""
    try:
        import torch
    except ImportError as error:
        raise Failure(f"no PyTorch: {error}", "apt install python3-torch, and run this with /usr/bin/python3") from None
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="parity_") as directory:
        if options.made_up:
            data_dir = write_idx(pathlib.Path(directory) / "data", *made_up())
        else:
            data_dir = (options.data_dir or pathlib.Path(os.environ.get("FCMNIST_MNIST_DIR") or FASHION_MNIST)).absolute()
        data = read_idx(data_dir, "train-images-idx3-ubyte"), read_idx(data_dir, "train-labels-idx1-ubyte")
        print(f"data: {'made up' if options.made_up else data_dir}, {len(data[1])} samples", flush=True)
        models = [options.model] if options.model else list(MODELS)
        results = {model: check_model(torch, model, data, data_dir, options) for model in models}
    if not all(agree for agree, _ in results.values()):
        return 1
    if options.write_golden:
        golden = {"made_by": "scripts/torch_parity.py " + shlex.join(sys.argv[1:]),
                  "pytorch": f"{torch.__version__}, {options.dtype}",
                  "models": {model: entry for model, (_, entry) in results.items()}}
        options.write_golden.write_text(json.dumps(golden, indent=1) + "\n")
    return 0


def main():
    options = parse_arguments()
    try:
        return check(options)
    except Failure as error:
        print(f"torch_parity.py: error: {error}\nHINT: {error.hint}", file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
