"""The page that tells how to add an operator, followed step by step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import costmodel
from costmodel.operators import registry
from costmodel.operators.recorder import FeatureMap, Recorder

PAGE = Path(__file__).parents[1] / "docs" / "adding-an-operator.md"
STEPS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def page() -> Iterator[dict[str, Any]]:
    """The names that the blocks of the page define."""
    names: dict[str, Any] = {}
    for step in STEPS:
        exec(step, names)
    yield names
    registry.unregister("local")


def test_the_page_has_a_block_for_each_step_in_code() -> None:
    assert len(STEPS) == 3


def test_its_cost_is_that_of_weights_at_each_position(page: dict[str, Any]) -> None:
    cost = page["local"](3, 8, (3, 5), (16, 12), batch=4)
    assert cost.weights == 16 * 12 * 3 * 5 * 3 * 8
    assert cost.macs == 4 * cost.weights


def test_the_command_line_costs_and_compares_it(page: dict[str, Any], pwoct_cost: Run) -> None:
    ran = pwoct_cost("--op", "local", "--c-in", "3", "--c-out", "8", "--size", "16", "--format", "json")
    assert ran.code == 0, page["entry"]
    assert ran.json["cost"]["params"] == 16 * 16 * 9 * 3 * 8
    assert [row["op"] for row in ran.json["kinds"] if row["chosen"]] == ["local"]
    beside = pwoct_cost("--op", "standard", "--format", "json").json["kinds"]
    assert "local" in [row["op"] for row in beside]


def test_what_it_does_not_have_is_refused(page: dict[str, Any], pwoct_cost: Run) -> None:
    for option in ("--bias", "--groups=2", "--alpha=1/4"):
        ran = pwoct_cost("--op", "local", option)
        assert (ran.code, ran.out) == (2, ""), page["entry"]


def test_it_is_explained(page: dict[str, Any], pwoct_cost: Run) -> None:
    ran = pwoct_cost("explain", "local", "--format", "json")
    assert ran.json["derivation"] == list(page["entry"].derivation)
    formulas = {row["quantity"]: row["formula"] for row in ran.json["formulas"]}
    assert formulas["params"] == "c_in*c_out*h*k**2*w"


def test_python_has_it(page: dict[str, Any]) -> None:
    layer = costmodel.layer("local", c_in=3, c_out=8, size=16)
    assert layer.cost() == page["local"](3, 8, (3, 3), (16, 16))
    assert layer.formula()["local"].formula("params") == "c_in*c_out*h*k**2*w"


def test_networks_record_it(page: dict[str, Any]) -> None:
    rec = Recorder(batch=2)
    y = page["record_local"](rec, "a", FeatureMap(3, (8, 8), "x"), 5, (3, 3))
    (operator,) = rec.operators
    assert (operator.name, operator.part, y.channels) == ("a", "conv", 5)
    assert operator.cost.macs == 2 * 8 * 8 * 9 * 3 * 5
    assert [saved.elements for saved in operator.saved] == [2 * 3 * 8 * 8]


def test_a_name_is_registered_once(page: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"^there is already an operator local$"):
        registry.register(page["entry"])


def test_every_operator_that_multiplies_has_a_theorem() -> None:
    from costmodel.checks.claims import claims_of

    claims = [claim.name for claim in claims_of(["operators", "octave"])]
    without = {
        entry.name
        for entry in registry.ENTRIES
        if entry.theorem is None or not any(name.startswith(entry.theorem) for name in claims)
    }
    assert without == {"elementwise"}
