"""Holds the source to its plan: who may include what, files of a readable length, every header compiles alone.

    layering_test.py SOURCE BINARY [IncludeGraph | Headers]
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE, BINARY = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])

GROUND_FLOORS = {"core", "kernels", "data", "model", "optim", "comm", "store", "config"}
# Whose headers a module may include, besides its own.
MAY_INCLUDE = {
    "core": set(),
    "kernels": {"core"},
    "data": {"core"},
    "model": {"core", "kernels"},
    "optim": {"core"},
    "comm": {"core"},
    "store": {"core"},
    "config": {"core"},
    "train": GROUND_FLOORS,
    "plan": GROUND_FLOORS | {"train"},
    "setup": GROUND_FLOORS | {"train"},
    "run": GROUND_FLOORS | {"train", "plan", "setup"},
    "main": {"core", "comm", "config", "run"},
}
# Option structs are what a configuration is made of.
MAY_INCLUDE_OPTIONS = {"config": {"kernels", "data", "model", "optim", "comm", "store"}}
# Libraries that are seen by one module only, by the beginnings of their headers' names.
OWNERS = {"mpi.h": "comm", "cblas.h": "kernels", "openblas": "kernels", "dnnl": "kernels", "omp.h": "kernels",
          "hdf5": "store", "H5": "store", "yaml-cpp/": "config", "CLI/": "config", "zlib.h": "data", "curl/": "data",
          "openssl/": "core", "spdlog/": "core"}
GENERATED = {"git_revision.hpp"}
MOST_LINES = 400
INCLUDE = re.compile(r"^\s*#\s*include\s*([<\"])([^>\"]+)[>\"]", re.MULTILINE)


def module_of(path):
    """First folder of a path below src; "main" for the file main.cpp."""
    return path.split("/")[0] if "/" in path else path.removesuffix(".cpp")


def read_sources(root):
    """Texts by path below root/src."""
    source = root / "src"
    return {str(path.relative_to(source)): path.read_text() for path in sorted(source.rglob("*"))
            if path.suffix in (".cpp", ".hpp")}


def libraries_seen(path, includes, seen):
    """Headers in angle brackets that a file includes, by itself or through our own headers."""
    if path in seen:
        return set()
    seen.add(path)
    found = set()
    for kind, name in includes.get(path, []):
        found |= {name} if kind == "<" else libraries_seen(name, includes, seen)
    return found


def check_own_include(path, name, texts):
    module, other = module_of(path), module_of(name)
    if name in GENERATED:
        return []
    if name not in texts:
        return [f"{path} includes \"{name}\", which is not in src"]
    options = name == f"{other}/options.hpp" and other in MAY_INCLUDE_OPTIONS.get(module, set())
    if other == module or other in MAY_INCLUDE[module] or options:
        return []
    return [f"{path} includes {name}: {module} may not know {other}"]


def violations(root):
    """Everything in root/src that breaks the plan, one line of text each."""
    texts = read_sources(root)
    includes = {path: INCLUDE.findall(text) for path, text in texts.items()}
    found = []
    for path, text in texts.items():
        module = module_of(path)
        if module not in MAY_INCLUDE:
            found.append(f"{path}: {module} is not a module of the plan")
            continue
        for kind, name in includes[path]:
            if kind == "\"":
                found += check_own_include(path, name, texts)
        for name in sorted(libraries_seen(path, includes, set())):
            for beginning, owner in OWNERS.items():
                if name.startswith(beginning) and owner != module:
                    found.append(f"{path} sees <{name}>, which only {owner} may see")
        if re.search(r"\bMPI_COMM_WORLD\b", text) and path != "comm/session.cpp":
            found.append(f"{path} uses MPI_COMM_WORLD; only comm/session.cpp may")
        if (lines := text.count("\n")) > MOST_LINES:
            found.append(f"{path} has {lines} lines, more than {MOST_LINES}")
    return found


class IncludeGraph(unittest.TestCase):
    def test_the_source_follows_the_plan(self):
        self.assertGreater(len(read_sources(SOURCE)), 50)
        self.assertEqual(violations(SOURCE), [])

    def check_planted(self, files, *expected):
        """The checker finds exactly these violations in a tree of these files."""
        with tempfile.TemporaryDirectory() as directory:
            root = pathlib.Path(directory)
            for path, text in files.items():
                file = root / "src" / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            self.assertEqual(violations(root), list(expected))

    def test_a_clean_tree_has_no_violation(self):
        self.check_planted({
            "core/a.hpp": "#include <vector>\n", "comm/b.cpp": "#include <mpi.h>\n#include \"core/a.hpp\"\n",
            "data/options.hpp": "", "config/c.cpp": "#include \"data/options.hpp\"\n#include <yaml-cpp/parser.h>\n",
            "train/d.hpp": "#include \"core/a.hpp\"\n", "plan/e.hpp": "#include \"train/d.hpp\"\n",
            "setup/f.hpp": "#include \"train/d.hpp\"\n",
            "run/g.hpp": "#include \"plan/e.hpp\"\n#include \"setup/f.hpp\"\n", "main.cpp": "#include \"run/g.hpp\"\n",
            "comm/h.cpp": "getenv(\"OMPI_COMM_WORLD_RANK\");\n"})

    def test_planted_edges_are_found(self):
        self.check_planted({
            "core/a.hpp": "", "data/b.hpp": "", "train/t.hpp": "", "model/c.cpp": "#include \"data/b.hpp\"\n",
            "core/d.cpp": "#include \"train/t.hpp\"\n", "config/e.cpp": "# include \"data/b.hpp\"\n",
            "optim/f.cpp": "#include \"absent.hpp\"\n", "main.cpp": "#include \"data/b.hpp\"\n",
            "plan/p.hpp": "#include \"setup/s.hpp\"\n", "setup/s.hpp": "#include \"plan/p.hpp\"\n",
            "train/u.hpp": "#include \"plan/p.hpp\"\n"},
            "config/e.cpp includes data/b.hpp: config may not know data",
            "core/d.cpp includes train/t.hpp: core may not know train",
            "main.cpp includes data/b.hpp: main may not know data",
            "model/c.cpp includes data/b.hpp: model may not know data",
            "optim/f.cpp includes \"absent.hpp\", which is not in src",
            "plan/p.hpp includes setup/s.hpp: plan may not know setup",
            "setup/s.hpp includes plan/p.hpp: setup may not know plan",
            "train/u.hpp includes plan/p.hpp: train may not know plan")

    def test_planted_libraries_are_found_also_behind_a_header(self):
        self.check_planted({
            "comm/handle.hpp": "#include <mpi.h>\n", "train/a.cpp": "#include \"comm/handle.hpp\"\n",
            "store/b.cpp": "#include <hdf5.h>\n#include <zlib.h>\n", "model/c.cpp": "#include <cblas.h>\n",
            "optim/d.cpp": "#include <dnnl.h>\n"},
            "model/c.cpp sees <cblas.h>, which only kernels may see",
            "optim/d.cpp sees <dnnl.h>, which only kernels may see",
            "store/b.cpp sees <zlib.h>, which only data may see",
            "train/a.cpp sees <mpi.h>, which only comm may see")

    def test_planted_world_length_and_module_are_found(self):
        self.check_planted({
            "comm/session.cpp": "MPI_COMM_WORLD\n", "comm/other.cpp": "MPI_COMM_WORLD\n",
            "core/long.cpp": "\n" * (MOST_LINES + 1), "utils/a.hpp": ""},
            "comm/other.cpp uses MPI_COMM_WORLD; only comm/session.cpp may",
            f"core/long.cpp has {MOST_LINES + 1} lines, more than {MOST_LINES}",
            "utils/a.hpp: utils is not a module of the plan")


def module_commands():
    """The command that compiles the sources of a module, without its source and output, by module."""
    commands = {}
    for entry in json.loads((BINARY / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if not path.is_relative_to(SOURCE / "src"):
            continue
        words = entry["arguments"] if "arguments" in entry else shlex.split(entry["command"])
        dropped = ("-c", "-o")
        kept = [word for word, before in zip(words, ["", *words]) if word not in dropped and before not in dropped]
        commands[module_of(str(path.relative_to(SOURCE / "src")))] = (entry["directory"], kept)
    return commands


def compile_alone(command, text):
    """What the compiler says about a source text; "" if nothing."""
    directory, words = command
    done = subprocess.run([*words, "-fsyntax-only", "-x", "c++", "-"], input=text, cwd=directory, capture_output=True,
                          text=True)
    return done.stderr or ("" if done.returncode == 0 else f"exit code {done.returncode}")


def begins_with(path, header, sources):
    """Whether the first #include of a source file is this header."""
    first = INCLUDE.search(sources.get(path, ""))
    return first is not None and first[2] == header


class Headers(unittest.TestCase):
    def test_every_header_compiles_alone(self):
        """The build has proved it of a header that x.cpp includes first."""
        commands, sources = module_commands(), read_sources(SOURCE)
        headers = [path for path in sources if path.endswith(".hpp")]
        self.assertGreater(len(headers), 30)
        self.assertEqual([path for path in headers if not sources[path].startswith("#pragma once\n")], [])
        unproved = [path for path in headers if not begins_with(path.replace(".hpp", ".cpp"), path, sources)]
        self.assertLess(len(unproved), len(headers) / 2)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            said = pool.map(lambda path: compile_alone(commands[module_of(path)], f"#include \"{path}\"\n"), unproved)
        self.assertEqual({path: text for path, text in zip(unproved, said) if text}, {})

    def test_a_header_that_does_not_compile_alone_is_found(self):
        said = compile_alone(module_commands()["core"], "inline std::string text() { return {}; }\n")
        self.assertIn("std", said)


if __name__ == "__main__":
    os.environ["LC_ALL"] = "C"
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
