"""Holds the documents to the program: the README's length, links, flags, quotation, places in the source.
configs_test.cpp holds the keys.

    documents_test.py SOURCE PROGRAM [Documents | Finders]
"""
import html
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
SOURCE = pathlib.Path(sys.argv[1]).resolve()
PROGRAM = sys.argv[2]

MOST_README_LINES = 200
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# The README quotes what stands between these lines of this file.
QUOTED = "tests/bench/allreduce_trainer.cpp"
QUOTATION = re.compile(r"^// \[begin of the step\]\n+(.*?)\n+// \[end of the step\]$", re.MULTILINE | re.DOTALL)



def documents(root):
    """All Markdown files, but for builds and hidden folders."""
    return [path for path in sorted(root.rglob("*.md"))
            if not any(part.startswith((".", "build")) for part in path.relative_to(root).parts)]


def anchor_of(heading):
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", html.unescape(heading).strip().lower()).replace(" ", "-")


def anchors(path):
    text = CODE.sub("", path.read_text())
    return {anchor_of(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def broken_links(root):
    """Links that lead to no file, or to no heading of it: "document: link"."""
    broken = []
    for path in documents(root):
        for link in LINK.findall(CODE.sub("", path.read_text())):
            if link.startswith(("http://", "https://")):
                continue
            file, _, anchor = link.partition("#")
            target = (path.parent / file).resolve() if file else path
            found = target.exists() and (not anchor or anchor in anchors(target))
            if not found:
                broken.append(f"{path.relative_to(root)}: {link}")
    return broken


def first_columns(text):
    """The first column of each row of each table."""
    return re.findall(r"^\| (.*?) \|", text, re.MULTILINE)


def documented_flags(text):
    return [flag for cell in first_columns(text) for flag in re.findall(r"`(-[-\w]+)`", cell)]


def source_files(document, line):
    """The source files that a line of a document links to, each with the other one of header and implementation."""
    for link in LINK.findall(line):
        path = document.parent / link
        if path.suffix in (".cpp", ".hpp"):
            yield from (file for file in (path.with_suffix(".cpp"), path.with_suffix(".hpp")) if file.exists())


def missing_names(root):
    """Names like `Trainer::step`, or `row` where "in [a file]" follows, that are not in the source file to which their line of a document links, or, where it
    links to none, in no source file: "document: name"."""
    everything = "\n".join(path.read_text() for path in (root / "src").rglob("*.?pp"))
    missing = []
    for path in documents(root):
        for line in CODE.sub("", path.read_text()).splitlines():
            files = list(source_files(path, line))
            text = "\n".join(file.read_text() for file in files) if files else everything
            for name in re.findall(r"`((?:\w+::)+\w+|\w+(?=` in \[))`", line):
                *_, owner, member = ["", *name.split("::")]
                if not re.search(rf"\b{member}\b", text) or not re.search(rf"\b{owner}\b", everything):
                    missing.append(f"{path.relative_to(root)}: {name}")
    return missing


class Documents(unittest.TestCase):
    def setUp(self):
        self.readme = (SOURCE / "README.md").read_text()
        self.keys = (SOURCE / "configs/README.md").read_text()

    def test_the_readme_can_be_read_in_one_go(self):
        self.assertLessEqual(self.readme.count("\n"), MOST_README_LINES)

    def test_every_link_leads_somewhere(self):
        self.assertGreater(len(documents(SOURCE)), 8)
        self.assertEqual(broken_links(SOURCE), [])

    def test_each_flag_is_documented_once(self):
        text = subprocess.run([PROGRAM, "--help"], check=True, capture_output=True, text=True).stdout
        flags = re.findall(r"(?:^  |,)(--?[\w-]+)", text[text.index("Flags:"):text.index("Settings:")], re.MULTILINE)
        self.assertGreater(len(flags), 15)
        documented = documented_flags(self.keys)
        self.assertEqual({flag: documented.count(flag) for flag in flags if documented.count(flag) != 1}, {})
        self.assertEqual([flag for flag in documented if flag not in flags], [])

    def test_the_step_that_the_readme_quotes_is_the_one_of_the_benchmark(self):
        step = QUOTATION.search((SOURCE / QUOTED).read_text()).group(1)
        self.assertIn("plain_allreduce(", step)
        self.assertIn(f"```cpp\n{step}\n```", self.readme)

    def test_places_in_the_source_are_there(self):
        self.assertEqual(missing_names(SOURCE), [])


class Finders(unittest.TestCase):
    """What the tests above look with finds what is wrong."""

    def test_a_name_must_be_in_the_file_that_its_line_names(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src").mkdir()
            (root / "src/a.hpp").write_text("class A { void f(); };")
            (root / "src/b.cpp").write_text("void B::g() {}")
            (root / "a.md").write_text("`A::f` in [a](src/a.cpp)\n`B::g` and `k` in [a](src/a.hpp)\n`A::f` `B::g` `A::h`\n")
            self.assertEqual(missing_names(root), ["a.md: B::g", "a.md: k", "a.md: A::h"])

    def test_flags_are_those_of_the_first_column(self):
        self.assertEqual(documented_flags("| `-p`, `--params` FILE | see `--config` |\n"), ["-p", "--params"])

    def test_anchors_are_those_of_headings_outside_of_code(self):
        self.assertEqual(anchor_of("What a resume may change"), "what-a-resume-may-change")
        self.assertEqual(CODE.sub("", "a\n```\n# no heading\n```\nb"), "a\n\nb")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
