#!/usr/bin/python3
"""Throughput of training the same network in PyTorch on this machine's processor: the peer of fcmnist_mpi.

    torch_peer.py --ranks 2 --model 500_300 --batches 16,64,128,256

One process trains alone, several under DistributedDataParallel with gloo: one thread each, each on one core.
Images are made up and lie in memory as normalised float32, so that reading and normalising cost the peer
nothing. Prints CSV: peer, model, precision, ranks, batch_per_rank, samples_per_s (of all processes together).
Needs Debian's python3-torch. Exit codes: 0 done, 1 a process failed, 2 wrong arguments or no PyTorch.
"""
import argparse
import importlib.util
import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import sys
import tempfile
import time

MODELS = {"500_300": [500, 300], "10x50": [50] * 10, "2500_500": [2500, 2000, 1500, 1000, 500]}  # hidden units
SAMPLES, FEATURES, CLASSES = 60000, 784, 10  # MNIST
PIXEL_MEAN, PIXEL_DEVIATION = 0.1307, 0.3081
COLUMNS = ("peer", "model", "precision", "ranks", "batch_per_rank", "samples_per_s")
WARM_UP_STEPS, TRIAL_STEPS = 10, 20


class Trainer:
    """One process's replica and its share of the samples. Every call of step() trains on the next batch."""

    def __init__(self, torch, images, labels, options, batch):
        self.torch, self.images, self.labels, self.batch = torch, images, labels, batch
        sizes = [FEATURES, *MODELS[options.model], CLASSES]
        layers = []
        for inputs, outputs in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*layers[:-1])
        if options.ranks > 1:
            # What PyTorch recommends for a model of this kind: against the defaults, 7 % faster on 500_300, equal
            # within the noise on 10x50. bucket_cap_mb of 1 and 100, and foreach=True below, gained nothing.
            self.model = torch.nn.parallel.DistributedDataParallel(
                self.model, gradient_as_bucket_view=True, static_graph=True)
        # Alone, foreach=True, a scripted model and in-place ReLU gained nothing beyond the noise.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.001, momentum=0.9)
        self.loss = torch.nn.CrossEntropyLoss()
        self.bf16 = options.bf16
        self.order = iter(())

    def next_samples(self):
        """Indices of the next batch. Each pass has a new order, whose last, partial batch is left out."""
        indices = next(self.order, None)
        if indices is None:
            count = len(self.images) // self.batch * self.batch
            self.order = iter(self.torch.randperm(len(self.images))[:count].split(self.batch))
            indices = next(self.order)
        return indices

    def step(self):
        indices = self.next_samples()
        self.optimizer.zero_grad(set_to_none=True)  # filling with zeros was up to a third slower
        with self.torch.autocast("cpu", dtype=self.torch.bfloat16, enabled=self.bf16):
            loss = self.loss(self.model(self.images[indices]), self.labels[indices])
        loss.backward()
        self.optimizer.step()


def elapsed_s(trainer, steps, wait_for_all):
    """Time of so many steps on the slowest process, from a common start."""
    wait_for_all()
    start_s = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    wait_for_all()
    return time.perf_counter() - start_s


def measure(trainer, seconds, wait_for_all, largest):
    """Steps per second, timed for about so many seconds, after a warm-up."""
    elapsed_s(trainer, WARM_UP_STEPS, wait_for_all)
    # All processes must take the same number of steps, or the last all-reduce would wait for ever.
    step_s = largest(elapsed_s(trainer, TRIAL_STEPS, wait_for_all) / TRIAL_STEPS)
    steps = max(TRIAL_STEPS, round(seconds / step_s))
    return steps / elapsed_s(trainer, steps, wait_for_all)


def train(rank, cores, options, rendezvous):
    """What one process does: all batch sizes in turn, since importing PyTorch takes seconds."""
    os.sched_setaffinity(0, {cores[rank % len(cores)]})
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # one machine, whatever its name resolves to
    import torch

    torch.set_num_threads(1)
    check_blas()
    generator = torch.Generator().manual_seed(1 + rank)
    share = SAMPLES // options.ranks
    pixels = torch.randint(0, 256, (share, FEATURES), generator=generator, dtype=torch.uint8)
    images = pixels.to(torch.float32).div_(255).sub_(PIXEL_MEAN).div_(PIXEL_DEVIATION)
    labels = torch.randint(0, CLASSES, (share,), generator=generator)

    if options.ranks > 1:
        torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank,
                                             world_size=options.ranks)
        wait_for_all = torch.distributed.barrier

        def largest(value):
            result = torch.tensor(value)
            torch.distributed.all_reduce(result, torch.distributed.ReduceOp.MAX)
            return result.item()
    else:
        wait_for_all, largest = (lambda: None), (lambda value: value)

    for batch in options.batches:
        trainer = Trainer(torch, images, labels, options, batch)
        rate = options.ranks * batch * measure(trainer, options.seconds, wait_for_all, largest)
        if rank == 0:
            print_row("torch_ddp" if options.ranks > 1 else "torch", options.model,
                      "bf16" if options.bf16 else "fp32", options.ranks, batch, f"{rate:.0f}",
                      table=options.format == "table")


def check_blas():
    """Debian's PyTorch takes whatever libblas.so.3 is chosen; with the reference BLAS it is no peer."""
    if "/blas/libblas.so" in pathlib.Path("/proc/self/maps").read_text():
        sys.exit("torch_peer.py: error: PyTorch runs on the reference BLAS, which is many times slower\n"
                 "HINT: install libopenblas0-pthread, or choose it with update-alternatives")


def print_row(*values, table):
    line = "".join(f"{value:>16}" for value in values) if table else ",".join(map(str, values))
    print(line, flush=True)


def run(options):
    """Starts the processes and waits; when one fails, ends the others, which would wait for it. Exit code."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as directory:
        arguments = (cores, options, f"file://{directory}/rendezvous")
        processes = [multiprocessing.Process(target=train, args=(rank, *arguments))
                     for rank in range(options.ranks)]
        try:
            for process in processes:
                process.start()
            running = list(processes)
            while running and not any(process.exitcode for process in processes):
                multiprocessing.connection.wait([process.sentinel for process in running])
                running = [process for process in running if process.exitcode is None]
            for rank, process in enumerate(processes):
                if process.exitcode:
                    print(f"torch_peer.py: error: process {rank} ended with {process.exitcode}",
                          file=sys.stderr)
                    return 1
        finally:
            for process in processes:
                if process.pid is not None:
                    process.kill()
                    process.join()
    return 0


def batch_sizes(text):
    return [int(part) for part in text.split(",")]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=1, metavar="N", help="processes (1)")
    parser.add_argument("--model", choices=MODELS, default="500_300",
                        help="units of the hidden layers (500_300)")
    parser.add_argument("--batches", type=batch_sizes, default=[16, 64, 128, 256], metavar="B,...",
                        help="samples per process and step (16,64,128,256)")
    parser.add_argument("--seconds", type=float, default=1.0, metavar="S",
                        help="time for each batch size (1.0)")
    parser.add_argument("--bf16", action="store_true", help="autocast to bfloat16")
    parser.add_argument("--format", choices=("csv", "table"), default="csv")
    options = parser.parse_args()
    if options.ranks < 1 or options.seconds <= 0:
        parser.error("--ranks and --seconds must be positive")
    if min(options.batches) < 1 or max(options.batches) > SAMPLES // options.ranks:
        parser.error(f"--batches: 1 to {SAMPLES // options.ranks} samples per process")
    return options


def main():
    options = parse_arguments()
    if importlib.util.find_spec("torch") is None:
        print("torch_peer.py: error: no PyTorch\nHINT: apt install python3-torch, or "
              "scripts/install_packages.sh bench; and run this with /usr/bin/python3", file=sys.stderr)
        return 2
    # So that the processes are ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print_row(*COLUMNS, table=options.format == "table")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
