"""Draws the metrics of store_write_example, and those of a run without any row yet.

    plot_test.py WRITE_EXAMPLE SCRIPTS_DIRECTORY       exit code 77: a module is missing, skipped
"""
import os
import shutil
import subprocess
import sys
import tempfile

WRITE_EXAMPLE, SCRIPTS = sys.argv[1:]
try:
    import h5py  # noqa: F401
    import matplotlib  # noqa: F401
    import pandas  # noqa: F401
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)


def script(*arguments, environment=None):
    return subprocess.run([sys.executable, "-B", os.path.join(SCRIPTS, "fcmnist"), *arguments], capture_output=True, text=True,
                          env={**os.environ, **(environment or {})})


def plot(*arguments):
    return script("plot", *arguments)


def check(condition, result):
    assert condition, f"exit code {result.returncode}\n{result.stdout}{result.stderr}"


with tempfile.TemporaryDirectory() as directory:
    subprocess.run([WRITE_EXAMPLE, directory], check=True)
    done = plot(directory)
    png = os.path.join(directory, "metrics.png")
    check(done.returncode == 0 and done.stdout.strip() == png and not done.stderr, done)
    with open(png, "rb") as file:
        check(file.read(4) == b"\x89PNG", done)

    subprocess.run([WRITE_EXAMPLE, directory, "journal"], check=True)
    done = plot(directory)
    check(done.returncode == 0 and not done.stderr, done)

    # A picture has the name of its file, and takes the place of no other.
    with open(png, "rb") as file:
        before = file.read()
    shutil.copy(os.path.join(directory, "metrics.h5"), os.path.join(directory, "evaluation_1.h5"))
    done = plot(os.path.join(directory, "evaluation_1.h5"))
    check(done.returncode == 0 and done.stdout.strip() == os.path.join(directory, "evaluation_1.png"), done)
    with open(png, "rb") as file:
        check(file.read() == before, done)
    pictures = os.path.join(directory, "pictures")
    os.mkdir(pictures)
    done = plot(directory, "-o", os.path.join(directory, "metrics.h5"))
    check(done.returncode == 2 and "not the name of a picture" in done.stderr, done)

    # The files of a directory, in the order of their numbers; none is an error.
    done = script("show", directory)
    names = [os.path.basename(line.split(":")[0]) for line in done.stdout.splitlines() if not line.startswith(" ")]
    check(done.returncode == 0 and names == ["checkpoint_1234.h5", "evaluation_1.h5", "metrics.h5",
                                         "predictions.h5"], done)
    umlaut = shutil.copy(os.path.join(directory, "metrics.h5"), os.path.join(pictures, "\u00fc.h5"))
    done = script("show", umlaut, environment={"PYTHONIOENCODING": "ascii"})
    check(done.returncode == 0 and "\\xfc.h5: metrics, intact" in done.stdout and not done.stderr, done)
    os.remove(umlaut)
    done = script("show", pictures)
    check(done.returncode == 2 and f"{pictures}: no .h5 file in this directory" in done.stderr, done)

    subprocess.run([WRITE_EXAMPLE, directory, "no-rows"], check=True)
    done = plot(directory, "-o", pictures)
    check(done.returncode == 0 and not done.stderr and os.path.getsize(os.path.join(pictures, "metrics.png")) > 0, done)

    wrong = plot(os.path.join(directory, "checkpoint_1234.h5"))
    check(wrong.returncode == 2 and "curves are drawn from metrics.h5" in wrong.stderr, wrong)
    absent = plot(os.path.join(directory, "absent"))
    check(absent.returncode == 2 and "No such file" in absent.stderr and "Traceback" not in absent.stderr, absent)
