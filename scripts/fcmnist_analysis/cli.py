"""The command line: fcmnist COMMAND ..."""
import argparse
import importlib
import signal
import sys

from .errors import AnalysisError, explained
from .files import DamagedFile

# Each is a module of this package with add_arguments(parser) and run(arguments), which returns the exit code. They are
# loaded only when they are asked for: matplotlib takes a second.
COMMANDS = {
    "report": "what came of one or more runs, as one HTML file; for papers as PNG, Markdown and CSV",
    "table": "runs side by side: results, and what their configurations differ in",
    "watch": "running jobs, live from their files",
    "show": "verifies files and says what is in them",
    "plot": "curves and confusion matrix of a run, as a picture",
    "compare": "which of two runs is better, and is that noise? --bits: do they have the same bits?",
    "scaling": "speed-up and efficiency of runs on different numbers of ranks",
    "predict": "names the digits in pictures that people have drawn or photographed",
    "export": "the network for other programs: NumPy, PyTorch, safetensors, ONNX",
    "import": "a network of PyTorch, NumPy or safetensors, as a checkpoint to train on or to score",
    "augment": "training images as the network sees them, distorted, as a picture",
    "trace": "where the time of a step went; timelines for Perfetto and OTF2",
}

MODULES = {"import": "import_network"}  # where the name of a command is a word of Python

PACKAGES = ("on Debian: apt install python3-h5py python3-pandas python3-matplotlib python3-jinja2 python3-pil, and run this "
            "with /usr/bin/python3")


def print_to_anybody():
    """Prints names that the terminal's encoding lacks as \\xfc, and ends quietly when a reader such as head has seen
    enough."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def usage():
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: fcmnist COMMAND ...", "", "What there is to see after a run of fcmnist_mpi. A model_dir may be named "
                      "wherever a file may.", "", *lines, "", "fcmnist COMMAND --help says more."])


def main(arguments=None):
    print_to_anybody()
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0 if words else 2
    name, *rest = words
    if name not in COMMANDS:
        print(f"fcmnist: error: {name}: no such command\n  HINT: one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        module = importlib.import_module(f".{MODULES.get(name, name)}", __package__)
    except ImportError as error:
        print(f"fcmnist {name}: error: {error}\n  HINT: {PACKAGES}", file=sys.stderr)
        return 2
    parser = argparse.ArgumentParser(prog=f"fcmnist {name}", description=module.__doc__.split(": ", 1)[1],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    try:
        return module.run(parser.parse_args(rest))
    except (AnalysisError, OSError, DamagedFile, KeyError) as error:
        print(f"fcmnist {name}: error: {explained(error, ' '.join(rest))}", file=sys.stderr)
        return 2
