"""Prints numbers of an HDF5 file as one reader finds them: a Python module, or a program whose text it takes apart.

    read.py READER FILE PLACE...      PLACE: "train/loss:44", "model/last_layer.weight:1,2"; exit code 77: not installed

"plot:44" is an element of what a viewer draws when it opens the file; only silx knows it.
"""
import importlib
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
NOT_INSTALLED = 77


def h5py(path, places):
    import h5py
    with h5py.File(path, "r") as file:
        for name, index in places:
            yield file[name][index]


def silx(path, places):
    import silx.io
    import silx.io.nxdata
    with silx.io.open(path) as file:
        for name, index in places:
            yield (silx.io.nxdata.get_default(file).signal if name == "plot" else file[name])[index]


def netcdf4_python(path, places):
    import netCDF4
    with netCDF4.Dataset(path) as file:
        for name, index in places:
            yield file[name][index]


def xarray_by(engine, module):
    """engine: None for the one that xarray chooses; module: what it needs to be there."""
    def read(path, places):
        import xarray
        importlib.import_module(module)
        for name, index in places:
            group, _, name = name.rpartition("/")
            with xarray.open_dataset(path, group=group, engine=engine) as table:
                yield table[name].values[index]
    return read


def pandas(path, places):
    """As FORMAT.md says: by our own module."""
    import pandas
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
    from fcmnist_analysis import files as run_files
    kind = run_files.verify(path)
    for name, index in places:
        group, _, name = name.rpartition("/")
        if kind == "predictions":
            yield run_files.predictions(path)[name][index]
        elif kind == "trace":
            yield run_files.trace(path)["spans"][name][index]
        elif group == "model":
            yield pandas.DataFrame(run_files.state_dict(path)[name]).iloc[index]
        elif group in ("ranks", "arrays") or name in ("confusion", "predicted", "grad_norm_by_array"):
            yield run_files.tables(path)[group][name][index]
        else:
            yield run_files.metrics(path)[group].reset_index()[name].iloc[index]


def text_of(*command):
    if not shutil.which(command[0]):
        raise ImportError(f"no program {command[0]}")
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def ncdump(path, places):
    for name, index in places:
        text = text_of("ncdump", "-f", "c", "-p", "9,17", "-v", f"/{name}" if "/" in name else name, path)  # each number with its indices
        last = name.rpartition("/")[2]
        place = rf"{re.escape(last)}\({','.join(map(str, index))}\)"
        yield re.search(rf"([-+.\w]+)[,;]?\s*// (?:\S*/)?{place}$", text, re.MULTILINE)[1]


def h5dump(path, places):
    for name, index in places:
        text = text_of("h5dump", "-y", "-m", "%.17g", "-d", f"/{name}", "-s", ",".join(map(str, index)),
                       "-c", ",".join("1" for _ in index), path)
        yield re.search(r"DATA \{\s*(\S+)\s*\}", text)[1]


READERS = {"h5py": h5py, "xarray": xarray_by(None, "netCDF4"), "xarray_netcdf4": xarray_by("netcdf4", "netCDF4"),
           "xarray_h5netcdf": xarray_by("h5netcdf", "h5netcdf"), "netCDF4": netcdf4_python, "pandas": pandas,
           "silx": silx, "ncdump": ncdump, "h5dump": h5dump}


def main():
    reader, path, *places = sys.argv[1:]
    split = [(name, tuple(map(int, index.split(",")))) for name, index in (place.split(":") for place in places)]
    try:
        for number in READERS[reader](path, split):
            print(f"{float(number):.17g}")
    except ImportError as error:
        print(error, file=sys.stderr)
        return NOT_INSTALLED
    return 0


if __name__ == "__main__":
    sys.exit(main())
