"""Defects in grids, closed forms and depths are found at the points at which these are checked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from costmodel.checks import calculator_theorems, depth_theorems
from costmodel.grids import compiled
from costmodel.networks.closed_form import BottleneckPlace
from pwoct import resnet as code
from tests.costmodel.checks.differences import differs


@pytest.fixture
def fresh_grids() -> Iterator[None]:
    compiled.compiled.cache_clear()
    compiled._operators.cache_clear()
    compiled._readers.cache_clear()
    yield
    compiled.compiled.cache_clear()
    compiled._operators.cache_clear()
    compiled._readers.cache_clear()


@pytest.mark.usefixtures("fresh_grids")
def test_a_grid_whose_widths_are_never_raised_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def unraised(rule: str, place: BottleneckPlace, columns: Any) -> Any:
        c_in, c_out = (
            {"H": columns.high, "L": columns.low}[branch][stage]
            for branch, stage in zip(place.path, (place.source, place.stage), strict=True)
        )
        beta = columns.beta[place.stage]
        return compiled._TWICE[rule](c_in, c_out) * beta.denominator // (2 * beta.numerator)

    monkeypatch.setattr(compiled, "_hidden", unraised)
    assert differs(calculator_theorems._grids(4)).startswith("grid 1, network 2: weights")


def test_a_closed_form_that_takes_the_channels_of_another_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(place: BottleneckPlace, channels: Any) -> Any:
        a, b = ("HL".index(branch) for branch in place.path)
        return channels[place.stage][a], channels[place.stage][b]

    monkeypatch.setattr(BottleneckPlace, "ends", wrong)
    by_mean = [calculator_theorems._CLOSED[5]]
    assert differs(calculator_theorems._closed(by_mean)).startswith("closed form 1: weights")


@pytest.mark.parametrize("rule", ["out", "mean"])
def test_a_closed_form_that_takes_the_paths_of_another_stage(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = calculator_theorems._WIDTH_RULES.index(rule)
    form = list(calculator_theorems._in_channels(4))[index]
    assert differs([form]) == ""
    right = calculator_theorems.closed_form

    def wrong(paths: Any, **options: Any) -> Any:
        return right([paths[0], paths[0], paths[2]], **options)

    monkeypatch.setattr(calculator_theorems, "closed_form", lambda *, paths, **rest: wrong(paths, **rest))
    assert differs([form]).startswith(form.name)


@pytest.mark.parametrize("depth", [110, 1202])
def test_a_named_network_of_a_block_more(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    right = code._blocks_a_stage
    monkeypatch.setattr(code, "_blocks_a_stage", lambda asked: right(asked) + (asked == depth))
    blocks = (depth - 2) // 6
    wanted = f"resnet{depth}, stage 1: blocks: code {blocks + 1}, formula {blocks}"
    assert differs(depth_theorems._alike(every=False)) == wanted


def test_a_seventh_block_that_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    right = code._block_specs

    def wrong(*arguments: Any) -> Iterator[Any]:
        for specs in right(*arguments):
            yield [spec if i != 6 else specs[0] for i, spec in enumerate(specs)]

    monkeypatch.setattr(code, "_block_specs", wrong)
    found = differs(depth_theorems._alike(every=False))
    assert found == "resnet44, stage 2: blocks unlike those of ResNet-20: code 1, formula 0"


def test_a_block_that_is_another_at_one_depth_only(monkeypatch: pytest.MonkeyPatch) -> None:
    right = code._block_specs

    def wrong(n: int, *arguments: Any) -> Iterator[Any]:
        for specs in right(n, *arguments):
            plain = replace(specs[0], paths=((), ()))
            yield [plain if (n, i) == (11, 5) else spec for i, spec in enumerate(specs)]

    monkeypatch.setattr(code, "_block_specs", wrong)
    *_, configuration = depth_theorems._alike(every=False)
    found = differs([configuration])
    assert found == "resnet68, stage 1: blocks unlike those of ResNet-20: code 1, formula 0"


def test_a_stage_without_its_first_block(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = calculator_theorems.network_cost

    def without_first(*arguments: Any, stage: int | None = None, **options: Any) -> Any:
        cost = whole(*arguments, stage=stage, **options)
        return cost if stage is None else cost * 0

    monkeypatch.setattr(calculator_theorems, "network_cost", without_first)
    assert differs(calculator_theorems._at_depths([8])).startswith("resnet8, stage 1: weights")
