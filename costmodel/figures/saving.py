"""Writes figures to files; equal figures give identical files."""

from __future__ import annotations

import re
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.figures.style import PARAMETERS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_TYPES = (".svg", ".png", ".pdf")
UNEQUAL = {".svg": "Date", ".png": "Software", ".pdf": "CreationDate"}  # metadata that vary
DOTS_PER_INCH = 150
SVG_START = re.compile(r"<svg [^>]*>")


def check_file(path: Path) -> None:
    """Raise ValueError unless a figure can have this file name."""
    if path.suffix.lower() not in FILE_TYPES:
        raise ValueError(f"a figure is a file {', '.join(FILE_TYPES[:-1])} or {FILE_TYPES[-1]}, got {path}")


def save(figure: Figure, path: Path, description: str = "") -> None:
    """Write a figure as .svg, .png or .pdf; equal figures give identical files.

    The title is the figure's own. An SVG file contains title and description for screen readers.
    Raises ValueError for another file type, or if the file cannot be written.
    """
    import matplotlib

    check_file(path)
    suffix = path.suffix.lower()
    metadata = {"Title": title_of(figure)} if suffix != ".svg" else {}
    buffer = BytesIO()
    with matplotlib.rc_context(PARAMETERS):
        figure.savefig(
            buffer, format=suffix[1:], dpi=DOTS_PER_INCH, metadata={**metadata, UNEQUAL[suffix]: None}
        )
    drawn = buffer.getvalue()
    if suffix == ".svg":
        drawn = with_words(drawn.decode(), title_of(figure), description).encode()
    try:
        path.write_bytes(drawn)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from error


def title_of(figure: Figure) -> str:
    """Return the title above a figure, or above its first axes, in one line."""
    titles = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    return " ".join(next(filter(None, titles), "").split())


def with_words(svg: str, title: str, description: str) -> str:
    """Return an SVG text with a title and a description at its start, where screen readers expect them."""
    words = [f"<title>{escape(title)}</title>"] if title else []
    words += [f"<desc>{escape(description)}</desc>"] if description else []
    return SVG_START.sub(
        lambda start: "\n".join([start[0].replace("<svg ", '<svg role="img" ', 1), *words]), svg, count=1
    )
