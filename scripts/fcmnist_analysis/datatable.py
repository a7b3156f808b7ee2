"""A table of facts: columns with units, rows of numbers and words. Page, Markdown, CSV and terminal all show the same one."""
import csv
import dataclasses
import math

from .errors import check_output

UNIT_WORDS = {"%": "percent", "samples/s": "samples_per_s", "2-norm": ""}  # in names of columns of CSV; the others are words


@dataclasses.dataclass(frozen=True)
class Interval:
    """A number with its 95 % confidence interval."""
    value: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Column:
    name: str
    unit: str = ""
    form: str = ""  # how its numbers are written for people, as in format(); CSV has all digits
    interval: bool = False  # whether its values are of the class above

    @property
    def heading(self):
        name = self.name if "." in self.name else self.name.replace("_", " ")
        return f"{name} ({self.unit})" if self.unit else name

    @property
    def csv_names(self):
        unit = UNIT_WORDS.get(self.unit, self.unit)
        parts = ("", "low", "high") if self.interval else ("",)
        return ["_".join(filter(None, (self.name, part, unit))) for part in parts]

    def number(self, value):
        if value is None or isinstance(value, float) and math.isnan(value):
            return "-" if value is not None else ""
        if isinstance(value, str):
            return value
        form = self.form or (".6g" if isinstance(value, float) else "")
        return format(value, form)

    def parts(self, value):
        """The text of a value, and that of its interval if it has one."""
        if not isinstance(value, Interval):
            return self.number(value), ""
        if math.isnan(value.value):
            return "-", ""
        return self.number(value.value), f"{self.number(value.low)} to {self.number(value.high)}"

    def text(self, value):
        first, interval = self.parts(value)
        return f"{first} ({interval})" if interval else first


@dataclasses.dataclass
class Table:
    """`name` is that of a file of it; each row has a value for each column."""
    name: str
    title: str
    columns: list
    rows: list
    note: str = ""

    def texts(self):
        return [[column.text(value) for column, value in zip(self.columns, row)] for row in self.rows]

    def has_words(self, column):
        """Whether the values of the column of this number are words, which begin at the left."""
        return any(isinstance(row[column], str) for row in self.rows)

    def column(self, name):
        """The values of a column."""
        place = [column.name for column in self.columns].index(name)
        return [row[place] for row in self.rows]

    def without(self, name):
        """The same table without a column."""
        kept = [k for k, column in enumerate(self.columns) if column.name != name]
        return dataclasses.replace(self, columns=[self.columns[k] for k in kept], rows=[[row[k] for k in kept] for row in self.rows])

    def lines(self):
        """For a terminal."""
        headings = [column.heading for column in self.columns]
        return aligned([headings, *self.texts()], [self.has_words(k) for k in range(len(headings))])

    def side_by_side(self):
        """For a terminal: a line for each column, rows beside each other. Columns without a value are left out."""
        texts = self.texts()
        lines = [[column.heading, *(row[k] for row in texts)] for k, column in enumerate(self.columns)]
        return aligned([line for line in lines if any(line[1:])], [True] * (1 + len(self.rows)))

    def markdown(self):
        def line(cells):
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        marks = ["---" if self.has_words(k) else "---:" for k in range(len(self.columns))]
        return [line([column.heading for column in self.columns]), line(marks), *map(line, self.texts())]

    def write_csv(self, path):
        check_output(path)
        with open(path, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([name for column in self.columns for name in column.csv_names])
            for row in self.rows:
                writer.writerow([cell for column, value in zip(self.columns, row) for cell in exact(value, column.interval)])


def exact(value, interval):
    """The cells of a value in CSV; what is not known is empty."""
    values = [value]
    if interval:
        values = [None] * 3 if value is None else [value.value, value.low, value.high]
    return ["" if one is None or isinstance(one, float) and math.isnan(one) else
            format(one, ".10g") if isinstance(one, float) else str(one) for one in values]


def aligned(rows, left):
    """Lines of cells below each other.
        left   of each column: whether it begins at the left
    """
    widths = [max(map(len, cells)) for cells in zip(*rows)]
    return ["  ".join(f"{cell:<{width}}" if at_left else f"{cell:>{width}}" for cell, width, at_left in zip(cells, widths, left)).rstrip()
            for cells in rows]
