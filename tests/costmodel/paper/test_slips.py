from __future__ import annotations

from costmodel.paper.printed import Paper
from costmodel.paper.slips import slip_table


def test_the_misprinted_alpha_is_checked(paper: Paper) -> None:
    row = next(row for row in slip_table(paper).rows if row["where"] == "Table 3, row 2")
    assert "at 0.25 the reading gives 348,422 parameters and 37,487,232 MACs" in row["check"]  # 0.35, 0.37
    assert "at 0.20 the reading gives 359,132 parameters and 40,172,032 MACs" in row["check"]  # 0.36, 0.40


def test_the_ratio_falls(paper: Paper) -> None:
    row = next(row for row in slip_table(paper).rows if "ratio" in row["prints"])
    values = {"0": "1", "1/4": "43/64", "1/2": "7/16", "3/4": "19/64", "1": "1/4"}
    assert row["check"] == "at " + ", ".join(
        f"alpha {alpha} it is {ratio}" for alpha, ratio in values.items()
    )
