from __future__ import annotations

from fractions import Fraction

from costmodel.paper.equation_tables import (
    alpha_table,
    beta_table,
    equation_table,
    layer_saving_table,
    saving_table,
)


def test_equations() -> None:
    rows = {row["equation"]: row for row in equation_table().rows}
    assert [f"({number})" for number in range(3, 15)] == [key for key in rows if key.startswith("(")]
    assert rows["(14)"]["derived"] == "m*(c + f + k**2*m)"
    assert {(row["difference"], row["holds"]) for row in rows.values()} == {("0", True)}


def test_savings_are_shown_with_one_decimal() -> None:
    table = saving_table()
    assert [table.cells(row)[-1] for row in table.rows] == ["-63.9 %", "-63.9 %"]


def test_beta_below_one_is_any_beta() -> None:
    rows = {row["rule"]: row for row in beta_table(3).rows}
    assert rows["out"]["r_1/3"] == "any beta"
    assert rows["out"]["r_1"] == rows["mean"]["r_1"] == "1.1173"
    assert rows["in"]["r_1/3"] == rows["out"]["r_3"]  # the rules mirror each other


def test_alpha_table_has_a_row_a_beta_layer_and_path() -> None:
    table = alpha_table([Fraction(2), Fraction(4)], 3)
    assert len(table.rows) == 2 * 2 * 4


def test_layers_of_the_networks() -> None:
    table = layer_saving_table(Fraction(1, 4))
    assert len(table.rows) == 5 * 4
    not_saving = {(row["layer"], row["path"]) for row in table.rows if not row["saves"]}
    assert not_saving == {("16 → 32", "LH"), ("32 → 64", "LH")}
