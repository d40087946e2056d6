from __future__ import annotations

import csv
import io
import json
from fractions import Fraction

import pytest

from costmodel.report import Column, Table, cell, change, to_csv, to_json, to_latex, to_markdown

TABLE = Table(
    "paths",
    "Paths",
    [
        Column("path", "path"),
        Column("params", "params", "count"),
        Column("saved", "vs Oct", "percent"),
        Column("formula", "formula", "formula"),
    ],
    [
        {"path": "HH", "params": 1296, "saved": Fraction(-1, 4), "formula": "c_H**2*k**2"},
        {"path": "LL", "params": None, "saved": None, "formula": None},
    ],
)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "count", ""),
        (0, "count", "0"),
        (1234567, "count", "1,234,567"),
        (Fraction(1, 8), "percent", "+12.5 %"),
        (Fraction(-1, 8), "percent", "-12.5 %"),
        (Fraction(0), "percent", "0.0 %"),
        (Fraction(-1, 10**6), "percent", "0.0 %"),
        (Fraction(3, 2), "ratio", "1.50"),
        (True, "text", "*"),
        (False, "text", ""),
        ("c**2*k**3", "formula", "c²·k³"),
    ],
)
def test_cells(value: object, kind: str, text: str) -> None:
    assert cell(value, kind) == text  # type: ignore[arg-type]


def test_change() -> None:
    assert change(3, 4) == Fraction(-1, 4)
    assert change(5, 4) == Fraction(1, 4)
    assert change(5, 0) is None


def test_json_keeps_whole_numbers_and_the_schema() -> None:
    document = json.loads(to_json("calculator", {"model": "resnet56"}, [TABLE]))
    assert list(document) == ["schema", "command", "model", "paths"]
    assert document["schema"] == 1
    assert document["paths"][0] == {"path": "HH", "params": 1296, "saved": -0.25, "formula": "c_H**2*k**2"}
    assert document["paths"][1]["params"] is None


def test_csv_of_one_table_is_that_table() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv([TABLE]))))
    assert rows[0] == {"path": "HH", "params": "1296", "saved": "-0.25", "formula": "c_H**2*k**2"}
    assert rows[1] == {"path": "LL", "params": "", "saved": "", "formula": ""}


def test_csv_of_several_tables_names_the_table() -> None:
    other = Table("sums", "Sums", [Column("macs", "MACs", "count")], [{"macs": 7}])
    rows = list(csv.DictReader(io.StringIO(to_csv([TABLE, other]))))
    assert [row["table"] for row in rows] == ["paths", "paths", "sums"]
    assert rows[2]["macs"] == "7"
    assert rows[2]["path"] == ""


def test_markdown() -> None:
    lines = to_markdown([TABLE]).splitlines()
    assert lines == [
        "**Paths**",
        "",
        "| path | params | vs Oct | formula |",
        "| --- | ---: | ---: | --- |",
        "| HH | 1,296 | -25.0 % | c\\_H²·k² |",
        "| LL |  |  |  |",
    ]


def test_latex_escapes_what_latex_reads() -> None:
    text = to_latex([TABLE])
    assert r"HH & 1,296 & -25.0 \% & $c_{H}^{2} k^{2}$ \\" in text
    assert text.splitlines()[1] == r"\begin{tabular}{lrrl}"
