"""The report as Markdown: its tables, and links to its pictures if they were drawn."""
import os
import urllib.parse


def text(title, tables, pictures, path):
    """
        pictures   {title: file}
        path       of the Markdown file, which links begin at
    """
    lines = [f"# {title}", ""]
    for table in tables:
        lines += [f"## {table.title}", "", *table.markdown(), ""]
        for note in table.note.splitlines():
            lines += [note, ""]
    if pictures:
        lines += ["## Pictures", ""]
    for name, file in pictures.items():
        link = os.path.relpath(file, os.path.dirname(path) or ".")
        lines += [f"![{name}]({urllib.parse.quote(os.fsencode(link))})", ""]
    return "\n".join(lines)


ENDINGS = (".md", ".markdown", ".txt")


def write(path, title, tables, pictures):
    content = text(title, tables, pictures, path).encode("utf-8", errors="backslashreplace")  # of paths that are no UTF-8
    with open(path, "wb") as file:
        file.write(content)
