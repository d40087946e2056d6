from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from fractions import Fraction

import pytest

from costmodel.latex import to_latex
from costmodel.report import Column, Table, cell, change, to_csv, to_json, to_markdown

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


def test_a_total_is_no_row_for_programs() -> None:
    """It stands below the rows where people read; whoever adds up JSON or CSV counts nothing twice."""
    table = Table("t", "T", [Column("n", "n", "count")], [{"n": 1}, {"n": 2}], {"n": 3})
    document = json.loads(to_json("x", {}, [table]))
    assert (document["t"], document["t_total"]) == ([{"n": 1}, {"n": 2}], {"n": 3})
    assert to_csv([table]).split() == ["n", "1", "2"]
    assert to_markdown([table]).splitlines()[-1] == "| 3 |"


def test_change() -> None:
    assert change(3, 4) == Fraction(-1, 4)
    assert change(5, 4) == Fraction(1, 4)
    assert change(5, 0) is None


def test_json_keeps_whole_numbers_and_the_schema() -> None:
    document = json.loads(to_json("calculator", {"model": "resnet56"}, [TABLE]))
    assert list(document) == ["schema", "command", "model", "paths"]
    assert document["schema"] == 3
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


HOSTILE = "\x1b[31m=1+1|a_b*c <x> [y] `z` 50 % & #1 $5 {k} ~ ^ \\ --dry\u202e\nlast"


def table_of(text: str) -> Table:
    return Table(
        "runs",
        f"Runs of {text}",
        [Column("name", "run"), Column("n", "n", "count")],
        [{"name": text, "n": 1}],
    )


@pytest.mark.parametrize("write", [to_csv, to_markdown, to_latex, lambda tables: to_json("runs", {}, tables)])
def test_no_format_passes_on_what_a_terminal_obeys(write: Callable[[list[Table]], str]) -> None:
    text = write([table_of(HOSTILE)])
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "31m" in text
    assert "last" in text


def test_json_keeps_every_character_of_a_name() -> None:
    for ascii_only in (False, True):
        text = to_json("runs", {"título": HOSTILE}, [table_of("\x9b\x7f")], ascii_only=ascii_only)
        assert text.isascii() is ascii_only
        document = json.loads(text)
        assert document["título"] == HOSTILE
        assert document["runs"][0]["name"] == "\x9b\x7f"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("--cmd|' /C calc'!A0", "'--cmd|' /C calc'!A0"),
        ("-1/4", "-1/4"),
        ("-84.3 %", "-84.3 %"),
        ("-1e-05", "-1e-05"),
        (
            "--model resnet56 --alpha 1/8+1/4+1/2 --paths HL,LH",
            "--model resnet56 --alpha 1/8+1/4+1/2 --paths HL,LH",
        ),
        ("a=1", "a=1"),
    ],
)
def test_a_spreadsheet_computes_no_text(text: str, written: str) -> None:
    (_, row) = csv.reader(io.StringIO(to_csv([table_of(text)])))
    assert row == [written, "1"]


def test_markdown_keeps_a_row_in_its_cells() -> None:
    text = to_markdown([table_of("a|b*c_d`e<f>[g]\\h")])
    assert text.splitlines()[-1] == r"| a\|b\*c\_d\`e\<f>\[g\]\\h | 1 |"
    assert text.splitlines()[0] == r"**Runs of a\|b\*c\_d\`e\<f>\[g\]\\h**"


def test_documents_leave_out_what_is_for_programs() -> None:
    table = Table("t", "T", [Column("a", "A"), Column("b", "B", for_readers=False)], [{"a": "x", "b": "y"}])
    assert "y" not in to_latex([table]) + to_markdown([table])
    assert "y" in to_csv([table])
    assert '"b": "y"' in to_json("t", {}, [table])


def test_latex_escapes_every_special_character() -> None:
    text = to_latex([table_of(r"a&b%c$d#e_f{g}h~i^j\k<l>m|n--o → p")])
    escaped = (
        r"a\&b\%c\$d\#e\_f\{g\}h\textasciitilde{}i\textasciicircum{}j\textbackslash{}k$<$l$>$m$|$n-{}-o"
        r" $\to$ p & 1 \\"
    )
    assert escaped in text.splitlines()


def test_a_title_cannot_leave_its_comment() -> None:
    lines = to_latex([table_of("x\n\\input{/etc/passwd}")]).splitlines()
    assert lines[0] == r"% Runs of x\n\input{/etc/passwd}"
    assert lines[1] == r"\begin{tabular}{lr}"


@pytest.mark.parametrize(
    ("formula", "mathematics"),
    [
        ("c_H**2*h*k**2*w/4", r"$\frac{c_{H}^{2} h k^{2} w}{4}$"),
        ("m*(c_H + c_L + k**2*m)", r"$m \left(c_{H} + c_{L} + k^{2} m\right)$"),
        ("sqrt(4*r + (r + 1)**2)/2", r"$\frac{\sqrt{4 r + \left(r + 1\right)^{2}}}{2}$"),
        ("alpha*S*E*I*Q", r"$E I Q S \alpha$"),
        ("0", "$0$"),
    ],
)
def test_latex_writes_formulas_as_mathematics(formula: str, mathematics: str) -> None:
    table = Table("f", "Formulas", [Column("formula", "formula", "formula")], [{"formula": formula}])
    assert f"{mathematics} \\\\" in to_latex([table]).splitlines()


def test_what_is_no_formula_is_never_evaluated() -> None:
    table = Table("f", "F", [Column("f", "f", "formula")], [{"f": "__import__('os').system('x')"}])
    assert r"\_\_import\_\_('os').system('x') \\" in to_latex([table]).splitlines()
