"""Showing results: tables on a terminal, JSON, CSV, Markdown, LaTeX."""

from __future__ import annotations

import codecs
import io
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, TextIO, TypeAlias

import typer

from costmodel.commands.shared.errors import warn
from costmodel.networks.resnet import ResNet, rounding_notes
from costmodel.report import NUMERIC, Kind, Table, to_csv, to_json, to_latex, to_markdown

GAP = 3  # columns of characters between two columns of a table
LONG_WORD, LONG_FORMULA = 40, 14  # what is longer may be broken
SPELLED = {"→": "->", "·": "*", "²": "^2", "³": "^3", "⁴": "^4", "⁹": "^9", "─": "-", "…": "..."}


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    latex = "latex"


FormatOption: TypeAlias = Annotated[
    Format, typer.Option("--format", case_sensitive=False, help="How to write the result.")
]


def spell_out(stream: TextIO) -> None:
    """Let a stream spell out what its encoding lacks, where it would raise an error."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="spelled")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks, as an error handler of `codecs` does."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(SPELLED.get(char, "?") for char in error.object[error.start : error.end]), error.end


codecs.register_error("spelled", _spelled)


def warn_rounding(nets: Sequence[ResNet]) -> None:
    """Say on stderr where the rounding rule acted in a network, or in how many of several."""
    notes = [rounding_notes(net) for net in nets]
    if len(nets) == 1:
        warn(notes[0])
    elif rounded := sum(map(bool, notes)):
        warn([f"sizes were rounded in {rounded} of {len(nets)} networks; `pwoct-cost` for one says where"])


def show(
    command: str,
    tables: Sequence[Table],
    format: Format,
    payload: Mapping[str, Any] | None = None,
    intro: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write tables to stdout; `payload` enters the JSON, `intro` and `notes` frame them on a terminal.

    A `command_line` in the payload stands in each row of the CSV too.
    """
    if format is Format.json:
        print(to_json(command, payload or {}, tables))
    elif format is Format.csv:
        print(to_csv(tables, (payload or {}).get("command_line")))
    elif format is Format.md:
        print(to_markdown(tables))
    elif format is Format.latex:
        print(to_latex(tables))
    else:
        _show_on_terminal(tables, intro, notes)


def _show_on_terminal(tables: Sequence[Table], intro: Sequence[str], notes: Sequence[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in intro:
        console.print(Text(line))
    for position, table in enumerate(tables):
        if position:
            console.print()
        console.print(Text(table.title, style="bold"))
        _print_table(table.for_terminal(), console)
    for note in notes:
        console.print(Text(note))


def _print_table(table: Table, console: Any) -> None:
    """Print a table as wide as the terminal, or as wide as it must be to keep every number and word whole."""
    from rich import box
    from rich.table import Table as TerminalTable
    from rich.text import Text

    cells = [[_encodable(text, console.encoding) for text in table.cells(row)] for row in table.rows]
    drawn = TerminalTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    needed = GAP * (len(table.columns) - 1)
    for position, column in enumerate(table.columns):
        texts = [column.heading, *(row[position] for row in cells)]
        narrowest = _narrowest(texts, column.kind)
        needed += narrowest
        drawn.add_column(
            column.heading,
            justify="right" if column.kind in NUMERIC else "left",
            min_width=narrowest,
            overflow="fold",
        )
    for row in cells:
        drawn.add_row(*map(Text, row))
    console.print(drawn, width=max(console.width, needed), crop=False, no_wrap=True)


def _encodable(text: str, encoding: str) -> str:
    """Spell a text out before a table is laid out, since that may make it longer."""
    return text.encode(encoding, "spelled").decode(encoding)


def _narrowest(texts: Sequence[str], kind: Kind) -> int:
    """The width that a column needs: of its longest number, or of its longest word, within reason."""
    if kind in NUMERIC:
        return max(map(len, texts))
    longest = max(len(word) for text in texts for word in (*text.split(), ""))
    return min(longest, LONG_FORMULA if kind == "formula" else LONG_WORD)
