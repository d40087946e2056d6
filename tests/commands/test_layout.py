"""Tables on a terminal: names, numbers and symbols stay whole at any width."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from costmodel.commands.shared.layout import column_widths, lines_of, row_width, wrap

Run = Callable[..., Any]


def test_columns_that_fit_are_as_wide_as_they_are() -> None:
    assert column_widths(["a", "heading"], [["long cell", "1"]], ["text", "count"], 80) == [9, 7]


def test_spare_room_goes_to_long_texts_and_short_columns_stay_whole() -> None:
    words = "one two three four five six"
    assert column_widths(["a", "b"], [[words, "x y"]], ["text", "text"], 20) == [14, 3]
    assert column_widths(["a", "b"], [[words, words]], ["text", "text"], 23) == [10, 10]
    twice = f"{words} {words}"  # 55 columns, 27 once: 50 and 22 more than the longest word, of 5
    assert column_widths(["a", "b"], [[twice, words]], ["text", "text"], 49) == [5 + 25, 5 + 11]


@pytest.mark.parametrize("room", [0, 1, 5, 1000])
def test_no_name_number_or_symbol_is_broken(room: int) -> None:
    rows = [["resnet20-a0.25-b2-HL.LL-fast-seed0", "1,234,567", "c_in·(c_out + k²)/4"]]
    kinds: Any = ["text", "count", "formula"]
    widths = column_widths(["run", "MACs", "formula"], rows, kinds, room)
    shown = "\n".join(lines_of(rows[0], widths, kinds))
    for whole in ("resnet20-a0.25-b2-HL.LL-fast-seed0", "1,234,567", "c_in", "c_out", "k²"):
        assert whole in shown
    assert room < 1000 or shown.count("\n") == 0


def test_wide_characters_take_two_columns() -> None:
    assert column_widths(["名前"], [["日本"]], ["text"], 80) == [4]
    assert lines_of(["日本", "1"], [5, 2], ["text", "count"]) == ["日本     1"]


def test_a_table_without_rows_has_its_headings() -> None:
    assert column_widths(["run", "model"], [], ["text", "text"], 80) == [3, 5]


def test_an_empty_text_is_one_empty_line() -> None:
    assert wrap("", 5) == [""]


def test_row_width_counts_the_gaps() -> None:
    assert row_width([3, 4]) == 10


def test_equations_at_80_columns_break_no_symbol(pwoct_cost: Run) -> None:
    shown = pwoct_cost("equations").out
    assert max(map(len, shown.splitlines())) <= 80
    assert not re.search(r"(alph|bet|c_|m_)$", shown, re.MULTILINE)
    assert "sqrt(" in shown


@pytest.mark.parametrize("columns", ["0", "1", "-3", "x", ""])
def test_an_impossible_width_hides_nothing(
    pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    run = pwoct_cost("--alpha", "1/4", "--paths", "HL")
    assert run.code == 0
    for count in ("1,327,104", "728,254", "80,554,624"):
        assert count in run.out
