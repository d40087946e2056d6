"""Writing figures to files, so that equal figures give identical files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE_TYPES = (".svg", ".png", ".pdf")
UNEQUAL = {".svg": "Date", ".png": "Software", ".pdf": "CreationDate"}  # what differs between equal figures
DOTS_PER_INCH = 150


def check_file(path: Path) -> None:
    """Raise ValueError unless a figure can have this file name."""
    if path.suffix.lower() not in FILE_TYPES:
        raise ValueError(f"a figure is a file {', '.join(FILE_TYPES[:-1])} or {FILE_TYPES[-1]}, got {path}")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as .svg, .png or .pdf; equal figures give identical files.

    Raises ValueError for another file type, or if the file cannot be written.
    """
    import matplotlib

    check_file(path)
    metadata = {UNEQUAL[path.suffix.lower()]: None}
    try:
        with matplotlib.rc_context({"svg.hashsalt": "pwoct-cost", "svg.fonttype": "none"}):
            figure.savefig(path, dpi=DOTS_PER_INCH, metadata=metadata)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror}") from None
