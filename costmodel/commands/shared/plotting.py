"""Draws a result into a file, for every command with --plot."""

from __future__ import annotations

from pathlib import Path

from costmodel.commands.shared.errors import require, say


def check_plot(path: str | None) -> None:
    """Raise ValueError if the file can't hold a figure; exit with code 3 without matplotlib."""
    if path is not None:
        require("matplotlib", "plot")
        from costmodel.figures.saving import check_file

        check_file(Path(path))


def draw_result(text: str, path: str) -> None:
    """Draw a JSON result into a file. Raises ValueError if that is not possible."""
    from costmodel.figures.results import figure_of, read
    from costmodel.figures.saving import save

    save(figure_of(read(text)), Path(path))
    say(f"{path} written")
