"""Tables of results as JSON, CSV and Markdown; LaTeX is in `latex`, the terminal in the commands."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

from costmodel.text import OBEYED, visible

# Of the JSON; within one number, keys are only ever added. Since 2, `diff` also has accuracies in per cent.
# Since 3, the total of a table is not a row among the others: the total of `layers` is `layers_total`.
SCHEMA = 3

Kind = Literal["text", "count", "percent", "share", "ratio", "formula", "verdict", "any"]
NUMERIC: frozenset[Kind] = frozenset({"count", "percent", "share", "ratio"})


@dataclass(frozen=True)
class Column:
    """A column: the key of its values in a row, its heading with the unit, and how its values are written.

    JSON and CSV contain the values themselves; with a `scale` of 10**6, other formats show millions.
    """

    key: str
    heading: str
    kind: Kind = "text"
    on_terminal: bool = True
    for_readers: bool = True  # False: only for programs, in JSON and CSV
    scale: int = 1


@dataclass(frozen=True)
class Table:
    """A titled table; each row maps column keys to values, and None or a missing key is an empty cell.

    A `total` appears below the rows where people read, and separately in JSON; CSV has only rows. So summing
    a column counts nothing twice.
    """

    name: str  # an identifier, for JSON and CSV
    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    total: Mapping[str, Any] | None = None

    @property
    def lines(self) -> list[Mapping[str, Any]]:
        """The rows, and below them the total."""
        return [*self.rows, *([] if self.total is None else [self.total])]

    def for_terminal(self) -> Table:
        """Return the table without what only other formats show."""
        return replace(self, columns=[column for column in self.columns if column.on_terminal])

    def for_documents(self) -> Table:
        """Return the table without what only JSON and CSV show."""
        return replace(self, columns=[column for column in self.columns if column.for_readers])

    def cells(self, row: Mapping[str, Any]) -> list[str]:
        """Return a row as the texts of its cells."""
        return [
            cell(row.get(column.key), column.kind)
            if column.scale == 1
            else scaled(row.get(column.key), column.scale)
            for column in self.columns
        ]


PARAMS_COLUMN = Column("params", "params", "count")


def cell(value: Any, kind: Kind) -> str:
    """Return a value as text: counts with thousands separators, changes and shares in per cent.

    A change has a sign. A column of the kind "any" has numbers of all kinds, and strings.

    >>> cell(125747840, "count"), cell(Fraction(-1, 4), "percent"), cell(Fraction(7, 3), "ratio")
    ('125,747,840', '-25.0 %', '2.33')
    >>> cell(Fraction(1, 4), "percent"), cell(Fraction(1, 4), "share")
    ('+25.0 %', '25.0 %')
    >>> cell(4810, "any"), cell(2.309111870, "any"), cell("cpu", "any")
    ('4,810', '2.3091', 'cpu')
    """
    if value is None:
        return ""
    if kind == "count" and isinstance(value, int):
        return f"{value:,}"
    if kind == "percent":
        return _signless_zero(f"{float(100 * value):+.1f} %")
    if kind == "share":
        return f"{float(100 * value):.1f} %"
    if kind == "ratio":
        return f"{float(value):.2f}"
    if kind == "formula":
        return _typeset(str(value))
    if kind == "verdict":
        return "yes" if value else "no"
    if isinstance(value, bool):
        return "*" if value else ""
    if kind == "any" and isinstance(value, int | float):
        return f"{round(value, 4):,}"
    return visible(str(value))


def scaled(value: int | None, scale: int) -> str:
    """Return a count in thousands or millions: three decimals, or three significant digits if small.

    >>> scaled(125747840, 10**6), scaled(640, 10**6), scaled(0, 10**6)
    ('125.748', '0.00064', '0.000')
    """
    if value is None:
        return ""
    share = value / scale
    return f"{share:,.3f}" if abs(share) >= 1 or not value else f"{share:.3g}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "point"), counted(1234, "point")
    ('1 point', '1,234 points')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def change(value: int, base: int) -> Fraction | None:
    """Return the relative change of a count against a base; None if the base is 0.

    >>> change(75, 100)
    Fraction(-1, 4)
    """
    return Fraction(value - base, base) if base else None


def to_json(
    command: str, payload: Mapping[str, Any], tables: Iterable[Table] = (), *, ascii_only: bool = False
) -> str:
    """Return a result as JSON: schema version, command, payload, then rows and total of each table.

    Control characters are escaped and, on request, all characters that are not ASCII.
    """
    rows: dict[str, Any] = {}
    for table in tables:
        rows[table.name] = plain_rows(table)
        if (total := plain_total(table)) is not None:
            rows[f"{table.name}_total"] = total
    document = {"schema": SCHEMA, "command": command, **payload, **rows}
    text = json.dumps(document, indent=2, default=_plain, ensure_ascii=ascii_only)
    return "\n".join(OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line) for line in text.split("\n"))


def to_csv(tables: Sequence[Table], command_line: str | None = None) -> str:
    """Return tables as one CSV table; if there are several, the first column names the table of a row.

    The last column is the command that reproduces the result, if known.
    """
    keys = list(dict.fromkeys(column.key for table in tables for column in table.columns))
    several = len(tables) > 1
    last = {} if command_line is None else {"command_line": command_line}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(["table"] if several else []), *keys, *last])
    for table in tables:
        for row in table.rows:
            values = _typed_row(table, row)
            cells = [_csv_cell(values.get(key)) for key in keys]
            writer.writerow([*([table.name] if several else []), *cells, *last.values()])
    return text.getvalue().removesuffix("\n")


def to_markdown(tables: Iterable[Table]) -> str:
    """Return tables in Markdown, each below its title."""
    return "\n\n".join(_markdown_table(table.for_documents()) for table in tables)


def plain_total(table: Table) -> dict[str, Any] | None:
    """Return the total of a table like one of its rows, or None if it has none."""
    return None if table.total is None else _typed_row(table, table.total)


def plain_rows(table: Table) -> list[dict[str, Any]]:
    """Return the rows of a table by the keys of its columns, as JSON-serialisable values.

    >>> plain_rows(Table("t", "T", [Column("share", "share", "percent")], [{"share": Fraction(1, 4)}]))
    [{'share': 0.25}]
    """
    return [_typed_row(table, row) for row in table.rows]


def _typed_row(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {column.key: _plain(row.get(column.key), column.kind) for column in table.columns}


def _plain(value: Any, kind: Kind = "text") -> Any:
    if value is None or isinstance(value, bool | int | float | str | list | dict):
        return value
    if isinstance(value, Fraction) and kind in NUMERIC:
        return float(value)
    return sorted(value) if isinstance(value, frozenset | set) else str(value)


# Text that a spreadsheet would evaluate as a formula, except numbers, ratios and our options.
_COMPUTED = re.compile(
    r"[=@\t\r]|[+\-](?!\d[\d.,]*(e[+\-]?\d+)?(/\d+)?( ?%)?$)(?!-[a-z][a-z-]* [\w./,+: -]+$)"
)


def _csv_cell(value: Any) -> Any:
    """Return a value for CSV: a text that a spreadsheet would take for a formula begins with an apostrophe.

    >>> _csv_cell("=1+1"), _csv_cell("-1/4"), _csv_cell("--model resnet56 --alpha 1/4")
    ("'=1+1", '-1/4', '--model resnet56 --alpha 1/4')
    """
    text = " ".join(map(str, value)) if isinstance(value, list) else value
    if not isinstance(text, str):
        return text
    return visible(f"'{text}" if _COMPUTED.match(text) else text)


def _typeset(formula: str) -> str:
    """Return a formula in Python's notation as a person would write it.

    >>> _typeset("c_H**2*h*w/4")
    'c_H²·h·w/4'
    """
    return formula.replace("**2", "²").replace("**3", "³").replace("**4", "⁴").replace("*", "·")


def _signless_zero(text: str) -> str:
    return text[1:] if text in ("-0.0 %", "+0.0 %") else text


def _markdown_table(table: Table) -> str:
    lines = [
        f"**{_escape_markdown(visible(table.title))}**",
        "",
        _markdown_row(_escape_markdown(column.heading) for column in table.columns),
        _markdown_row("---:" if column.kind in NUMERIC else "---" for column in table.columns),
        *(_markdown_row(map(_escape_markdown, table.cells(row))) for row in table.lines),
    ]
    return "\n".join(lines)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escape_markdown(text: str) -> str:
    """Return a text as Markdown shows it.

    >>> print(_escape_markdown("a|b *c* <d>"))
    a\\|b \\*c\\* \\<d>
    """
    return re.sub(r"[\\|*_`<\[\]]", r"\\\g<0>", text)
