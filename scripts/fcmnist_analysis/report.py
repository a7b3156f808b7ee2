"""fcmnist report: what came of one or more runs, as one HTML file that needs neither network nor server; or for papers.

--png, --markdown and --csv write the same parts as pictures and tables, and can be combined. The page is written unless one of
them is asked for; together with -o it is written too."""
import os

from . import markdown, table
from .errors import AnalysisError, check_output
from .facts import Facts
from .run import Run
from .several import SeveralFacts, short_names


def add_arguments(parser):
    parser.add_argument("runs", metavar="MODEL_DIR", nargs="+", help="a run, or a directory of runs")
    parser.add_argument("-o", "--output", metavar="HTML",
                        help="the page; default: report.html in the model_dir, of several runs in this directory")
    parser.add_argument("--png", metavar="DIRECTORY", help="a picture of each chart")
    parser.add_argument("--markdown", metavar="FILE", help="the tables; with --png it shows the pictures too")
    parser.add_argument("--csv", metavar="DIRECTORY", help="a file of each table and of the numbers of each chart")


def make_directory(option, path):
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise AnalysisError(f"{option} {path}: {error.strerror}", "name a directory, or one that can be made") from error


def write_csv(directory, facts):
    """{title: file}"""
    make_directory("--csv", directory)
    written = {}
    for one in [*facts.tables(), *(chart.table() for chart in facts.charts())]:
        written[one.title] = os.path.join(directory, f"{one.name}.csv")
        one.write_csv(written[one.title])
    return written


def page_name(arguments, paths):
    """Where the page goes; None if it is not asked for."""
    if not arguments.output and (arguments.png or arguments.markdown or arguments.csv):
        return None
    name = arguments.output or (os.path.join(paths[0], "report.html") if len(paths) == 1 else "report.html")
    if not name.lower().endswith((".html", ".htm")):
        raise AnalysisError(f"-o {name}: not the name of a page", "write a name such as report.html")
    check_output(name)
    return name


def run(arguments):
    paths = table.expanded(arguments.runs)
    page_path = page_name(arguments, paths)
    if arguments.markdown:
        check_output(arguments.markdown, markdown.ENDINGS, has_directory=False)
    runs = [Run(path) for path in paths]
    one = Facts(runs[0], str(runs[0].path)) if len(runs) == 1 else None
    several = None if one else SeveralFacts(short_names(runs))
    facts, title = one or several, one.name if one else f"{len(runs)} runs"
    pictures = {}
    if page_path:
        from . import page  # only what is needed: matplotlib and jinja2 take their time
        page.write(page_path, title, one, several)
        print(page_path)
    if arguments.png:
        from . import figures
        make_directory("--png", arguments.png)
        pictures = figures.write(arguments.png, facts)
        print("\n".join(pictures.values()))
    if arguments.markdown:
        markdown.write(arguments.markdown, title, facts.tables(), pictures)
        print(arguments.markdown)
    if arguments.csv:
        print("\n".join(write_csv(arguments.csv, facts).values()))
    return 0
