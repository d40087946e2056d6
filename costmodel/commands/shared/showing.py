"""Showing results: tables on a terminal, JSON, CSV, Markdown, LaTeX."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from costmodel.commands.shared.errors import warn
from costmodel.commands.shared.layout import column_widths, lines_of, row_width
from costmodel.commands.shared.streams import encodable, lacks_unicode
from costmodel.commands.shared.terminal import console
from costmodel.latex import to_latex
from costmodel.networks.resnet import ResNetDesign, depth_note, rounding_notes
from costmodel.report import Table, to_csv, to_json, to_markdown
from costmodel.text import visible

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """The formats of results."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    latex = "latex"


FormatOption: TypeAlias = Annotated[
    Format, typer.Option("--format", case_sensitive=False, help="How to write the result.")
]


def warn_about(nets: Sequence[ResNetDesign]) -> None:
    """Warn on stderr if a network may not be the intended one, and where the rounding rule changed a size.

    For several networks, the warning counts those with rounded sizes.
    """
    depths = dict.fromkeys(int(net.backbone.depth) for net in nets)
    warn([note for note in map(depth_note, depths) if note])
    notes = [rounding_notes(net) for net in nets]
    if len(nets) == 1:
        warn(notes[0])
    elif rounded := sum(map(bool, notes)):
        warn([f"sizes were rounded in {rounded} of {len(nets)} networks; `pwoct-cost` on one shows where"])


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
        print(to_json(command, payload or {}, tables, ascii_only=lacks_unicode(sys.stdout)))
    elif format is Format.csv:
        print(to_csv(tables, (payload or {}).get("command_line")))
    elif format is Format.md:
        print(to_markdown(tables))
    elif format is Format.latex:
        print(to_latex(tables))
    else:
        _show_on_terminal(tables, intro, notes)


def _show_on_terminal(tables: Sequence[Table], intro: Sequence[str], notes: Sequence[str]) -> None:
    from rich.text import Text

    out = console()
    for line in intro:
        out.print(Text(visible(line)))
    for position, table in enumerate(tables):
        if position:
            out.print()
        out.print(Text(visible(table.title), style="bold"))
        _print_table(table.for_terminal(), out)
    for note in notes:
        out.print(Text(visible(note)))


def _print_table(table: Table, out: Console) -> None:
    """Print a table as wide as the terminal, or wider if needed to keep every number and name whole."""
    from rich.text import Text

    kinds = [column.kind for column in table.columns]
    headings = [encodable(column.heading, out.encoding) for column in table.columns]
    rows = [[encodable(text, out.encoding) for text in table.cells(row)] for row in table.lines]
    widths = column_widths(headings, rows, kinds, out.width)
    rule = "─" * row_width(widths)
    for line in lines_of(headings, widths, kinds):
        out.print(Text(line, style="bold"), crop=False, no_wrap=True, overflow="ignore")
    for line in (rule, *(line for row in rows for line in lines_of(row, widths, kinds))):
        out.print(Text(line), crop=False, no_wrap=True, overflow="ignore")
