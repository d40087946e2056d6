from __future__ import annotations

from costmodel.paper.axes import AXES, in_words, reading_table
from costmodel.paper.counting import PRINTED
from costmodel.paper.reading_tables import (
    Findings,
    axis_table,
    best_table,
    kernel_table,
    ranking_table,
    tie_table,
    ties,
)


def test_the_text_decides_between_tied_readings(found: Findings) -> None:
    best, *others = ties(found)
    # Claims: 63.8 % on all paths, 24.4 % and 25.4 % on all but HH at depth 56 and 110.
    assert best.reductions == ("63.8", "24.5", "25.4")
    assert best.claims == 2
    assert max(tie.claims for tie in others) < 2
    assert (PRINTED.rounding, PRINTED.build, PRINTED.params) in best.readings
    for _, build, counting in best.readings:
        assert build.shortcut in ("octave", "plain")
        assert counting.shortcuts
        assert counting.octave_bias == "none"


def test_tied_readings_are_all_in_the_table(found: Findings) -> None:
    table = tie_table(found)
    assert sum(row["readings"] for row in table.rows) == sum(len(tie.readings) for tie in ties(found))
    assert table.rows[0]["all-paths"] == "63.8"


def test_best_scores(found: Findings) -> None:
    rows = {row["what"]: row for row in best_table(found).rows}
    assert (rows["parameters"]["cells"], rows["parameters"]["of"]) == (24, 24)
    assert (rows["MACs"]["cells"], rows["MACs"]["of"]) == (16, 16)


def test_every_choice_is_in_the_table(found: Findings) -> None:
    rows = axis_table(found).rows
    assert {row["axis"] for row in rows} == set(AXES.values())
    by_choice = {(row["axis"], row["value"]): row for row in rows}
    assert by_choice[AXES["bn"], "4"]["params"] == 24
    assert by_choice[AXES["bn"], "4"]["macs"] is None
    assert by_choice[AXES["stride"], "C"]["params"] is None
    assert by_choice[AXES["reduce"], "yes"]["macs"] == 16


def test_kernels(found: Findings) -> None:
    rows = {(row["first"], row["second"]): row for row in kernel_table(found).rows}
    assert rows[False, False]["params"] == 24
    assert rows[True, True]["macs"] == 16
    assert rows[True, True]["params_out"] <= rows[True, True]["params"] <= 10


def test_the_reading_in_words() -> None:
    rows = {row["axis"]: (row["params"], row["macs"]) for row in reading_table().rows}
    assert list(rows) == list(AXES.values())
    assert rows[AXES["reduce"]] == ("no", "yes")
    assert rows[AXES["shortcuts"]] == ("yes", "no")
    assert rows[AXES["bn"]] == ("4", "")
    assert rows[AXES["stride"]] == ("", "C")
    assert in_words("stride", "C-spatial") == "C, on the kxk of a bottleneck"


def test_ranking_counts_readings(found: Findings) -> None:
    rows = ranking_table(found, 3).rows
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert (rows[0]["params"], rows[0]["params_readings"]) == (24, found.params.count_best())
    assert (rows[0]["macs"], rows[0]["macs_readings"]) == (16, found.macs.count_best())
    for row in rows:
        assert row["params_readings"] == (found.params.scores == row["params"]).sum()
    assert rows[0]["params"] > rows[1]["params"] > rows[2]["params"]


def test_what_differs_between_the_best(found: Findings) -> None:
    row = tie_table(found).rows[0]
    assert f"{AXES['shortcut']}: standard 1x1 or 1x1 OctConv" in row["differ"].split("; ")
    assert f"{AXES['octave_bias']}: none" in row["common"].split("; ")
    axes = [part.split(": ")[0] for part in (row["common"] + "; " + row["differ"]).split("; ")]
    assert len(axes) == len(set(axes))
