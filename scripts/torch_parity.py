#!/usr/bin/python3
"""Trains the reference's PyTorch module beside fcmnist_mpi, on the same batches; compares losses and weights.

    torch_parity.py                          both shipped networks on 1 rank, 200 steps
    torch_parity.py --ranks 1,2 runconfig.gemm=onednn

PyTorch begins with fcmnist_mpi's initial checkpoint and from then on goes its own way: in float64, so that
what is seen is fcmnist_mpi's rounding and no other. What follows the options goes to fcmnist_mpi alone and
wins over what this script sets there: with optimizer.learning_rate=0.0011 the two must differ.

The gradient of ReLU jumps at 0. Where an input of a ReLU is so close to 0 that float32 cannot tell its sign,
two correct programs may take different gradients, and the difference grows with every step. So this compares
on the first seed for which PyTorch, which decides this alone, meets no such input in any step and sample.
With 8 samples a step about one seed in six is of this kind, with 128 none (--any-seed compares nevertheless).

Data: --data-dir, else FCMNIST_MNIST_DIR, else Debian's Fashion-MNIST. The program: --program, else as
jobs/launch.sh finds it. Exit codes: 0 they agree; 1 they do not; 2 wrong arguments, or PyTorch, the program
or such a seed is missing; 3 no data; others are those of fcmnist_mpi.
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
    from fcmnist_analysis import files as run_files
    from fcmnist_analysis.files import h5py, np
    import sample_order
except ImportError as missing:
    if __name__ != "__main__":
        raise
    print(f"torch_parity.py: error: {missing}", file=sys.stderr)
    sys.exit(2)
from torch_peer import CLASSES, FEATURES, MODELS, PIXEL_DEVIATION, PIXEL_MEAN

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIGS = {"500_300": "configs/fcmnist_500_300_plain.yaml", "10x50": "configs/params.yaml"}
FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
MOMENTUM = 0.9
# An input of a ReLU nearer to 0 than this, relative to the root mean square of its layer's, has no certain
# sign in float32: 32 roundings; programs were seen to differ up to 12.
UNCERTAIN = 2.0**-19


class Failure(Exception):
    """Something is missing: what, what helps, exit code."""

    def __init__(self, message, hint, code=2):
        super().__init__(message)
        self.hint, self.code = hint, code


# --- data ---


def made_up(samples=1003):
    """Images (samples x 28 x 28) and labels that need no files and that can be learnt only in part. NumPy
    keeps the numbers of RandomState as they are for ever."""
    random = np.random.RandomState(1)
    side = math.isqrt(FEATURES)
    patterns = random.randint(0, 160, (CLASSES, side, side))
    labels = random.randint(0, CLASSES, samples)
    images = patterns[labels] + random.randint(0, 96, (samples, side, side))
    wrong = random.randint(0, 5, samples) == 0  # a fifth: otherwise the loss would fall to 0
    labels = np.where(wrong, random.randint(0, CLASSES, samples), labels)
    return images.astype(np.uint8), labels.astype(np.uint8)


def write_idx(directory, images, labels):
    """Both splits of a data set: what is trained on serves as test set, too."""
    directory.mkdir()
    for array, kind in ((images, "images-idx3"), (labels, "labels-idx1")):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        for split in ("train", "t10k"):
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
                  "--data-dir DIR or FCMNIST_MNIST_DIR=DIR names the four files of MNIST; "
                  "or apt install dataset-fashion-mnist; or --made-up", 3)


def digest(arrays):
    """SHA-256 of the bytes of arrays."""
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


# --- fcmnist_mpi ---


def settings(model, data_dir, options, seed):
    """Arguments of fcmnist_mpi for the training that PyTorch repeats, but for the model_dir."""
    values = {
        "train_input.data_dir": data_dir, "train_input.download": False, "eval_input.data_dir": data_dir,
        "eval_input.download": False, "train_input.batch_size": options.batch, "train_input.shuffle": True,
        "train_input.drop_last_batch": False, "model.input_dropout": 0.0, "model.dropout": 0.0,
        "optimizer.momentum": MOMENTUM,
        "optimizer.learning_rate": options.learning_rate, "optimizer.weight_decay_rate": 0.0,
        "runconfig.seed": seed, "runconfig.save_initial_checkpoint": True, "runconfig.save_losses": True,
        "runconfig.checkpoint_steps": 0, "runconfig.eval_frequency": 0,
    }
    return ["-p", ROOT / CONFIGS[model], "-m", "train", "--max_steps", options.steps,
            *(f"{key}={value}" for key, value in values.items())]


class Run:
    """What fcmnist_mpi wrote: losses (steps), weights before the first and after the last step."""

    def __init__(self, model_dir, steps):
        with h5py.File(model_dir / "metrics.h5") as file:
            self.losses = file["train/loss"][...]
        if len(self.losses) != steps:
            raise Failure(f"fcmnist_mpi wrote the losses of {len(self.losses)} steps, expected {steps}",
                          "leave out the settings that change that")
        self.initial = run_files.state_dict(model_dir / "checkpoint_0.h5")
        self.weights = run_files.state_dict(model_dir / f"checkpoint_{steps}.h5")

    def initial_digest(self):
        return digest(self.initial[name] for name in sorted(self.initial))


def run_program(arguments, ranks, options):
    environment = {**os.environ, **({"FCMNIST_MPI": options.program} if options.program else {})}
    with tempfile.TemporaryDirectory(prefix="parity_") as directory:
        model_dir = pathlib.Path(directory) / "run"
        arguments = list(map(str, ["-o", model_dir, *arguments, *options.overrides]))
        finished = subprocess.run(
            ["bash", "-c", 'source "$0" && launch "$@"', ROOT / "jobs/launch.sh", str(ranks), *arguments],
            env=environment, text=True, errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if finished.returncode != 0:
            raise Failure(f"fcmnist_mpi ended with {finished.returncode}:\n{finished.stdout.rstrip()}",
                          f"its arguments, on {ranks} rank(s): {shlex.join(arguments)}", finished.returncode)
        return Run(model_dir, options.steps)


# --- PyTorch ---


class Uncertain(Exception):
    """Rounding decides which gradient a ReLU has."""


def reference_module(torch, hidden):
    """The reference's network: Linear, ReLU, Dropout for each hidden layer; then Linear and log-softmax."""
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
    """Training of the reference's module from initial weights: losses, weights after the last step, and how
    near to 0 an input of a ReLU came, relative to the root mean square of its layer's."""

    def __init__(self, torch, model, initial, data, options, seed):
        self.losses, self.nearest, self.any_seed = [], math.inf, options.any_seed
        dtype = getattr(torch, options.dtype)
        pixels, labels = torch.tensor(data[0]).flatten(1), torch.tensor(data[1]).long()
        module = reference_module(torch, MODELS[model]).to(dtype)
        weights = {name: torch.from_numpy(array) for name, array in initial.items()}
        module.load_state_dict(weights, strict=True)
        for index, layer in enumerate(module.fc_layers):
            layer.register_forward_hook(lambda _, __, output, i=index: self.look_at(i, output.detach()))
        optimizer = torch.optim.SGD(module.parameters(), lr=options.learning_rate, momentum=MOMENTUM)
        order = sample_order.batches(len(labels), options.batch, seed)
        for ids in itertools.islice(order, options.steps):
            features = (pixels[ids].to(dtype) / 255 - PIXEL_MEAN) / PIXEL_DEVIATION
            optimizer.zero_grad()
            loss = torch.nn.functional.nll_loss(module(features), labels[ids])
            loss.backward()
            optimizer.step()
            self.losses.append(loss.item())
        self.losses = np.array(self.losses)
        self.weights = {name: tensor.numpy().astype(float) for name, tensor in module.state_dict().items()}

    def look_at(self, layer, inputs):
        """inputs of the ReLU behind a layer (batch x units)"""
        distance = (inputs.abs().min() / inputs.square().mean().sqrt()).item()
        self.nearest = min(self.nearest, distance)
        if distance < UNCERTAIN and not self.any_seed:
            raise Uncertain(f"step {len(self.losses) + 1}, fc_layers.{layer}: the input of a ReLU is "
                            f"{distance:.0e} of their size")


def well_posed_training(torch, model, data, data_dir, options):
    """The first seed for which no rounding decides, and PyTorch's training."""
    for seed in range(options.seed, options.seed + options.tries):
        run = run_program(settings(model, data_dir, options, seed), 1, options)
        try:
            return seed, TorchTraining(torch, model, run.initial, data, options, seed)
        except Uncertain as reason:
            print(f"{model}, seed {seed}: {reason}: next seed", flush=True)
    raise Failure(f"{model}: with each of {options.tries} seeds the sign of an input of a ReLU is uncertain",
                  "--batch or --steps smaller, --tries larger, or --any-seed")


# --- comparison ---


def compare(run, training):
    """Prints both tables. The largest relative difference of a loss; the largest difference of a weight,
    relative to the largest weight of its array."""
    ours, theirs = run.losses, training.losses
    loss_differences = np.abs(ours - theirs) / theirs
    steps = len(ours)
    print(f"{'step':>8}{'fcmnist_mpi':>16}{'PyTorch':>16}{'relative':>12}")
    for row in (row for row in range(steps) if row in (0, 1, 4, 9, steps - 1) or row % 20 == 19):
        print(f"{row + 1:8}{ours[row]:16.9f}{theirs[row]:16.9f}{loss_differences[row]:12.1e}")
    print(f"{'weights':>18}{'largest':>10}{'trained by':>12}"
          f"{'difference':>12}{'of largest':>12}{'of trained':>12}")
    weight_differences = []
    for name, expected in training.weights.items():
        largest = np.abs(expected).max()
        trained = np.abs(expected - run.initial[name]).max()
        apart = np.abs(run.weights[name] - expected).max()
        print(f"{name:>18}{largest:10.4f}{trained:12.1e}"
              f"{apart:12.1e}{apart / largest:12.1e}{apart / trained:12.1e}")
        weight_differences.append(apart / largest)
    return loss_differences.max(), np.max(weight_differences)


def check_model(torch, model, data, data_dir, options):
    """Compares on every number of ranks. Whether all agree, and what a golden file says."""
    seed, training = well_posed_training(torch, model, data, data_dir, options)
    agree = True
    for ranks in options.ranks:
        run = run_program(settings(model, data_dir, options, seed), ranks, options)
        print(f"\n{model} on {ranks} rank(s), seed {seed}: {options.steps} steps of {options.batch} samples, "
              f"learning rate {options.learning_rate}, momentum {MOMENTUM};\n"
              f"PyTorch {torch.__version__}, {options.dtype}; inputs of ReLUs are at least "
              f"{training.nearest:.1e} of their size")
        loss, weight = compare(run, training)
        agrees = loss <= options.loss_bound and weight <= options.weight_bound
        agree = agree and agrees
        print(f"{model} on {ranks} rank(s): losses within {loss:.1e} (bound {options.loss_bound:.0e}), "
              f"weights within {weight:.1e} of the largest (bound {options.weight_bound:.0e}): "
              f"{'agree' if agrees else 'DIFFER'}", flush=True)
    return agree, golden_numbers(seed, run, training, options)


def change_norms(initial, weights):
    """2-norm of what training changed in each array of weights."""
    return {name: float(np.linalg.norm(weights[name] - initial[name].astype(float))) for name in initial}


def golden_numbers(seed, run, training, options):
    """What a golden file says of a model: PyTorch's numbers, and what they were made from."""
    steps = [step for step in range(1, options.steps + 1) if step <= 10 or step % 20 == 0]
    return {"seed": seed, "steps": options.steps, "batch": options.batch,
            "learning_rate": options.learning_rate, "initial_sha256": run.initial_digest(),
            "losses": {step: training.losses[step - 1] for step in steps},
            "change_norms": change_norms(run.initial, training.weights)}


def check(options):
    """Exit code."""
    try:
        import torch
    except ImportError as error:
        raise Failure(f"no PyTorch: {error}",
                      "apt install python3-torch, and run this with /usr/bin/python3") from None
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="parity_") as directory:
        if options.made_up:
            data_dir = write_idx(pathlib.Path(directory) / "data", *made_up())
        else:
            data_dir = options.data_dir or pathlib.Path(os.environ.get("FCMNIST_MNIST_DIR") or FASHION_MNIST)
            data_dir = data_dir.absolute()
        data = [read_idx(data_dir, f"train-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
        print(f"data: {'made up' if options.made_up else data_dir}, {len(data[1])} samples", flush=True)
        models = [options.model] if options.model else CONFIGS
        results = {model: check_model(torch, model, data, data_dir, options) for model in models}
    if not all(agree for agree, _ in results.values()):
        return 1
    if options.write_golden:
        golden = {"made_by": "scripts/torch_parity.py " + shlex.join(sys.argv[1:]),
                  "pytorch": f"{torch.__version__}, {options.dtype}", "data_sha256": digest(data),
                  "models": {model: numbers for model, (_, numbers) in results.items()}}
        options.write_golden.write_text(json.dumps(golden, indent=1) + "\n")
    return 0


def rank_counts(text):
    return [int(part) for part in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=CONFIGS, help="one of the networks only")
    parser.add_argument("--ranks", type=rank_counts, default=[1], metavar="N,...", help="of fcmnist_mpi (1)")
    parser.add_argument("--steps", type=int, default=200, metavar="N", help="(200)")
    parser.add_argument("--batch", type=int, default=8, metavar="B", help="samples of a step, all ranks (8)")
    parser.add_argument("--learning-rate", type=float, default=0.001, metavar="R", help="(0.001)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the first to try (1)")
    parser.add_argument("--tries", type=int, default=100, metavar="N", help="how many seeds to try (100)")
    parser.add_argument("--any-seed", action="store_true", help="compare on the first seed in any case")
    parser.add_argument("--dtype", choices=("float64", "float32"), default="float64",
                        help="PyTorch's (float64)")
    parser.add_argument("--loss-bound", type=float, default=1e-5, metavar="X",
                        help="largest relative difference of the loss of a step (1e-5)")
    parser.add_argument("--weight-bound", type=float, default=1e-4, metavar="X",
                        help="largest difference of a weight after the last step, relative to the largest "
                        "weight of its array (1e-4)")
    parser.add_argument("--program", metavar="FILE", help="fcmnist_mpi")
    parser.add_argument("--data-dir", type=pathlib.Path, metavar="DIR", help="where the four files are")
    parser.add_argument("--made-up", action="store_true", help="instead of files: patterns under noise")
    parser.add_argument("--write-golden", type=pathlib.Path, metavar="FILE",
                        help="also write PyTorch's numbers, as JSON, if all agree")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value", help="for fcmnist_mpi alone")
    options = parser.parse_args()
    if min(*options.ranks, options.steps, options.batch, options.tries) < 1 or options.seed < 0:
        parser.error("--ranks, --steps, --batch and --tries are positive, --seed is not negative")
    return options


def main():
    options = parse_arguments()
    try:
        return check(options)
    except Failure as error:
        print(f"torch_parity.py: error: {error}\nHINT: {error.hint}", file=sys.stderr)
        return error.code


if __name__ == "__main__":
    sys.exit(main())
