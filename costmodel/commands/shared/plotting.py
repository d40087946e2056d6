"""Drawing a result into a file: what every command with --plot does."""

from __future__ import annotations

from pathlib import Path

from costmodel.commands.shared.errors import require, say


def check_plot(path: str | None) -> None:
    """Raise ValueError where nothing can be drawn into that file; leave with code 3 without matplotlib."""
    if path is not None:
        require("matplotlib", "plot")
        from costmodel.figures.saving import check_file

        check_file(Path(path))


def draw_result(text: str, path: str) -> None:
    """Draw a result in JSON into a file. Raises ValueError where that cannot be done."""
    from costmodel.figures.results import figure_of, read
    from costmodel.figures.saving import save

    save(figure_of(read(text)), Path(path))
    say(f"{path} written")
