"""`pwoct-cost sweep` as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def test_a_row_for_each_alpha_and_set_of_paths(pwoct_cost: Run) -> None:
    document = pwoct_cost("sweep", "--alpha", "0,1/4", "--beta", "2,4", "--format", "json").json
    assert len(document["sweep"]) == 2 * (1 + 15 * 2)
    assert document["quantities"] == ["params", "macs"]
    rows = {(row["paths"], row["beta"], row["alpha"]): row for row in document["sweep"]}
    assert rows["none", None, "1/4"]["macs"] == 85_295_744
    assert rows["all", "2", "1/4"]["params"] == 409_482
    assert rows["HL,LH,LL", "2", "1/4"]["macs"] == 79_309_440
    assert rows["none", None, "0"]["params_vs_plain"] == 0


def test_the_table_in_80_columns(pwoct_cost: Run) -> None:
    run = pwoct_cost("sweep", "--alpha", "1/4", "--paths", "hl,LH,LL")
    assert "HL,LH,LL   2      1/4     696,150    -18.6 %   79,309,440    -36.9 %" in run.out
    assert max(map(len, run.out.splitlines())) <= 80
    assert (run.code, run.err) == (0, "")


def test_chosen_quantities(pwoct_cost: Run) -> None:
    """A byte a number with int8: all bytes are a quarter of those with float32."""
    arguments = ("sweep", "--alpha", "1/4", "--paths", "none", "--quantity", "bytes", "--format", "json")
    wide, narrow = (
        pwoct_cost(*arguments, "--dtype", dtype).json["sweep"][0] for dtype in ("float32", "int8")
    )
    assert wide["bytes"] == 4 * narrow["bytes"]
    assert "macs" not in wide


def test_a_list_of_quantities(pwoct_cost: Run) -> None:
    arguments = ("sweep", "--alpha", "1/4", "--paths", "none", "--format", "json")
    joined = pwoct_cost(*arguments, "--quantity", "macs,bytes").json
    assert joined["quantities"] == ["macs", "bytes"]
    assert joined == pwoct_cost(*arguments, "--quantity", "macs", "--quantity", "bytes").json


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quantity", "speed"], "quantity must be one of params"),
        (["--alpha", "0+1+0"], "--alpha must agree in all stages here, got 0+1+0"),
        (["--paths", "HL+LH+LL"], "--paths must agree in all stages here, got HL+LH+LL"),
        (["--alpha", "0:1"], "a range is start:stop:step"),
        (["--alpha", "0:1:1/1000"], "at most 10,000 rows fit in a table, got 16,016"),
        (["--model", "vgg16"], "unknown model vgg16"),
    ],
)
def test_bad_input_is_one_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    run = pwoct_cost("sweep", *arguments)
    assert run.code == 2
    assert message in run.err
    assert len(run.err.splitlines()) == 1


def test_a_plot_beside_the_table(pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "sweep.png"
    run = pwoct_cost("sweep", "--alpha", "0,1/2", "--plot", str(path))
    assert (run.code, run.err) == (0, f"{path} written\n")
    assert path.read_bytes().startswith(b"\x89PNG")
