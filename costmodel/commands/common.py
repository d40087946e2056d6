"""What the commands share: exit codes, one-line errors, the reading of options, and showing tables."""

from __future__ import annotations

import codecs
import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, NoReturn, TextIO, TypeAlias, TypeVar

import typer

from costmodel.octave import PATHS
from costmodel.report import NUMERIC, Kind, Table, to_csv, to_json, to_latex, to_markdown
from costmodel.resnet import ResNet, rounding_notes
from costmodel.rounding import as_ratio, check_alpha, check_beta

T = TypeVar("T")

# Exit codes, as documented in docs/conventions.md; signals are 130 and 143.
OK, CHECK_FAILED, BAD_INPUT, MISSING_EXTRA, DATA, CHECKPOINT, UNSAVED = range(7)
CLOSED_PIPE = 141

STAGE_SEPARATOR = "+"
GAP = 3  # columns of characters between two columns of a table
LONG_WORD, LONG_FORMULA = 40, 14  # what is longer may be broken
SPELLED = {"→": "->", "·": "*", "²": "^2", "³": "^3", "⁴": "^4", "⁹": "^9", "─": "-", "…": "..."}
MOST_CONFIGURATIONS = 10_000  # of a list or a range: more than anyone reads


class Format(StrEnum):
    """How results are written."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"
    latex = "latex"


FormatOption: TypeAlias = Annotated[Format, typer.Option("--format", help="How to write the result.")]
AlphaOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Share of low-frequency channels, 0 to 1: 0.25, 1/4; three values, one a stage, by +."),
]
BetaOption: TypeAlias = Annotated[
    str,
    typer.Option(help="Compression of the bottlenecks, 1 or more: 2, 8/3; three values, one a stage, by +."),
]
PathsOption: TypeAlias = Annotated[
    str,
    typer.Option(help="Paths that are bottlenecks: some of HH,HL,LH,LL, all or none; one set a stage by +."),
]


def fail(message: str, code: int = BAD_INPUT) -> NoReturn:
    """Print one line on stderr and leave with an exit code."""
    say(f"pwoct-cost: error: {message}")
    raise typer.Exit(code)


def say(message: str) -> None:
    """Print a line of talk: on stderr, in one line whatever it contains."""
    print(" ".join(message.split()), file=sys.stderr)


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


def warn(messages: Sequence[str]) -> None:
    """Print warnings on stderr, one a line."""
    for message in messages:
        say(f"pwoct-cost: warning: {message}")


def warn_rounding(nets: Sequence[ResNet]) -> None:
    """Say on stderr where the rounding rule acted in a network, or in how many of several."""
    notes = [rounding_notes(net) for net in nets]
    if len(nets) == 1:
        warn(notes[0])
    elif rounded := sum(map(bool, notes)):
        warn([f"sizes were rounded in {rounded} of {len(nets)} networks; `pwoct-cost` for one says where"])


@contextmanager
def bad_input() -> Iterator[None]:
    """Turn a ValueError, which says what was given and what is needed, into one line and exit code 2."""
    try:
        yield
    except ValueError as error:
        fail(str(error))


def ratios(text: str, check: Callable[[str], Fraction] = as_ratio) -> list[Fraction]:
    """Read a comma-separated list of ratios and ranges `start:stop:step`, the end included.

    Raises ValueError where an item is no number, or a range does not rise.

    >>> [str(ratio) for ratio in ratios("0:0.5:0.25,3/4")]
    ['0', '1/4', '1/2', '3/4']
    """
    return [check(ratio) for item in text.split(",") for ratio in _item(item)]


def alphas(text: str) -> list[Fraction]:
    """Read a list or range of alphas in [0, 1]."""
    return ratios(text, check_alpha)


def betas(text: str) -> list[Fraction]:
    """Read a list or range of betas of at least 1."""
    return ratios(text, check_beta)


def per_stage(text: str, read: Callable[[str], T]) -> T | tuple[T, ...]:
    """Read one value, or three joined by +, one a stage.

    >>> per_stage("1/4+1/2+3/4", as_ratio)
    (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))
    """
    values = tuple(read(part) for part in text.split(STAGE_SEPARATOR))
    if len(values) not in (1, 3):
        raise ValueError(f"need one value, or three (one a stage) joined by +, got {len(values)}: {text}")
    return values[0] if len(values) == 1 else values


def listed(values: Sequence[str] | None) -> list[str]:
    """Return the values of an option that may be repeated, and of which each may be a list.

    >>> listed(["macs,bytes", "calls"])
    ['macs', 'bytes', 'calls']
    """
    return [value for text in values or () for value in text.split(",")]


def path_names(text: str) -> frozenset[str]:
    """Read a set of paths, in any order and case; `all` and `none` stand alone.

    >>> sorted(path_names("ll,HL"))
    ['HL', 'LL']
    """
    if text.lower() in ("all", "none"):
        return frozenset(PATHS if text.lower() == "all" else ())
    names = text.upper().split(",")
    for name in names:
        if name not in PATHS:
            raise ValueError(f"paths must be some of {','.join(PATHS)}, all or none, got {text}")
    return frozenset(names)


def sides(text: str, name: str, examples: tuple[str, str] = ("32", "32x48")) -> tuple[int, int]:
    """Read a size: 32 or 32x48.

    >>> sides("32x48", "size")
    (32, 48)
    """
    match = re.fullmatch(r"(\d{1,9})(?:[xX](\d{1,9}))?", text, re.ASCII)
    if match is None or "0" in (match[1].lstrip("0") or "0", (match[2] or "1").lstrip("0") or "0"):
        raise ValueError(
            f"{name} must be a positive whole number such as {examples[0]}, or two such as {examples[1]},"
            f" got {text}"
        )
    return int(match[1]), int(match[2] or match[1])


def show(
    command: str,
    tables: Sequence[Table],
    format: Format,
    payload: Mapping[str, Any] | None = None,
    intro: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write tables to stdout; `payload` enters the JSON, `intro` and `notes` frame them on a terminal."""
    if format is Format.json:
        print(to_json(command, payload or {}, tables))
    elif format is Format.csv:
        print(to_csv(tables))
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


def _item(text: str) -> list[str]:
    parts = text.split(":")
    if len(parts) == 1:
        return [text]  # as given, so that an error can restate it
    if len(parts) != 3:
        raise ValueError(f"a range is start:stop:step, such as 0:0.75:0.125, got {text}")
    start, stop, step = map(as_ratio, parts)
    if step <= 0 or stop < start:
        raise ValueError(f"a range start:stop:step needs a positive step and stop >= start, got {text}")
    steps = (stop - start) // step
    if steps >= MOST_CONFIGURATIONS:
        raise ValueError(
            f"a range may have at most {MOST_CONFIGURATIONS:,} values, got {steps + 1:,}: {text}"
        )
    return [str(start + i * step) for i in range(steps + 1)]
