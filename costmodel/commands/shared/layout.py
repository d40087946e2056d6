"""A table as lines for a terminal: which columns give way, and where their texts may be broken."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from costmodel.report import NUMERIC, Kind

GAP = 3  # characters between two columns of a table
SHORT = 14  # a column as narrow as this gives way last

# Pieces that are never broken: a word, or the text between two operators of a formula.
_WORD = re.compile(r"\S+\s*")
_FACTOR = re.compile(r"[^·*/+\-\s]*[·*/+\-\s]+|[^·*/+\-\s]+")


def length(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def column_widths(
    headings: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[Kind], room: int
) -> list[int]:
    """Return the widths of columns in a terminal `room` wide; spare room goes to columns with long texts.

    No piece is broken, even if the table then becomes too wide: a truncated number, or a name that cannot be
    copied, would be worse.

    >>> column_widths(["what", "why"], [["a b", "one two three"]], ["text", "text"], 15)
    [4, 8]
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(headings)
    widths = [max(map(length, (head, *column))) for head, column in zip(headings, columns, strict=True)]
    if row_width(widths) <= room:
        return widths
    least = [_least(*parts) for parts in zip(headings, columns, kinds, strict=True)]
    whole = [width if width <= SHORT else narrow for width, narrow in zip(widths, least, strict=True)]
    least = whole if row_width(whole) <= room else least
    spare = max(0, room - row_width(least))
    wanted = [width - narrow for width, narrow in zip(widths, least, strict=True)]
    shares = [spare * want // max(1, sum(wanted)) for want in wanted]
    shares[max(range(len(wanted)), key=wanted.__getitem__)] += spare - sum(shares)
    return [narrow + share for narrow, share in zip(least, shares, strict=True)]


def row_width(widths: Sequence[int]) -> int:
    """Return the width of a row, with the gaps between its columns."""
    return sum(widths) + GAP * (len(widths) - 1)


def lines_of(cells: Sequence[str], widths: Sequence[int], kinds: Sequence[Kind]) -> list[str]:
    """Return the lines of one row: numbers to the right, other cells to the left.

    >>> lines_of(["one two", "1"], [3, 2], ["text", "count"])
    ['one    1', 'two']
    """
    wrapped = [wrap(*parts) for parts in zip(cells, widths, kinds, strict=True)]
    return [
        (" " * GAP).join(map(_justified, parts, widths, kinds)).rstrip()
        for parts in zip_longest(*wrapped, fillvalue="")
    ]


def wrap(text: str, width: int, kind: Kind = "text") -> list[str]:
    """Return a text in lines of at most `width`, broken between its pieces.

    >>> wrap("h·w·(c_H + c_L)", 8, "formula")
    ['h·w·', '(c_H +', 'c_L)']
    """
    lines = [""]
    for piece in _pieces(text, kind):
        if lines[-1] and length(lines[-1]) + length(piece.rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def _justified(text: str, width: int, kind: Kind) -> str:
    space = " " * (width - length(text))
    return space + text if kind in NUMERIC else text + space


def _least(heading: str, cells: Sequence[str], kind: Kind) -> int:
    """Return the width below which a column would break a number, a name or a symbol."""
    numbers = cells if kind in NUMERIC else ()
    pieces = [piece.rstrip() for text in cells for piece in _pieces(text, kind)]
    return max(map(length, (*numbers, *pieces, *heading.split(), "")))


def _pieces(text: str, kind: Kind) -> list[str]:
    return (_FACTOR if kind == "formula" else _WORD).findall(text)
