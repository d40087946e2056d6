"""Widths in a search: the front of several widths is that of all their networks together."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.search.search import search
from costmodel.search.space import space

WIDTHS, DEPTHS, ALPHAS = (4, 8, 12), (8, 14), (0, "1/2")


def dominated(point: tuple[int, ...], others: list[tuple[int, ...]]) -> bool:
    return any(other != point and all(a <= b for a, b in zip(other, point, strict=True)) for other in others)


@pytest.mark.parametrize("per_stage", [False, True])
@pytest.mark.parametrize("maximise", [(), ("width",), ("depth", "width")])
def test_the_front_of_several_widths(per_stage: bool, maximise: tuple[str, ...]) -> None:
    """Every network is built and counted; what is to be large counts negatively."""
    points = []
    for width, depth, stages in product(WIDTHS, DEPTHS, product(ALPHAS, repeat=3)):
        if not per_stage and len(set(stages)) > 1:
            continue
        cost = cost_of(resnet(depth, alpha=stages, width=width, size=8).operators())
        if cost.macs <= 2_000_000:
            structure = {"width": width, "depth": depth}
            points.append((cost.params, cost.macs, *(-structure[name] for name in maximise)))
    expected = Counter(point for point in points if not dominated(point, points))
    options = {"path_sets": [()], "per_stage": per_stage, "widths": WIDTHS, "size": 8}
    found = search(space(DEPTHS, ALPHAS, **options), {"macs": 2_000_000}, maximise=maximise)
    signs = [1, 1, *(-1 for _ in maximise)]
    signed = [tuple(s * c for s, c in zip(signs, point, strict=True)) for point in found.points.tolist()]
    assert dict(zip(signed, found.count.tolist(), strict=True)) == expected
    for i in range(len(found)):
        point = found.point(i)
        assert cost_of(point.network.operators()).params == point.costs["params"]
        assert point.costs.get("width", point.network.backbone.width) == point.network.backbone.width


def test_the_widest_network_within_budgets() -> None:
    """0.3 M parameters and 40 M MACs: 9 k^2 c^2 grows by the square of the width."""
    found = search(
        space([20], ["0", "1/4"], path_sets=[()], widths=range(8, 33, 4)),
        {"params": 300_000, "macs": 40_000_000},
        maximise=["width"],
    )
    widest = max((found.point(i) for i in range(len(found))), key=lambda point: point.costs["width"])
    assert widest.costs["width"] == 16  # at 20 channels, 272,282 (20 / 16)^2 would be 425,000 parameters


@pytest.mark.parametrize(
    ("budgets", "message"),
    [({"width": 16}, "a space lists its values of width"), ({"depth": 20}, "lists its values of depth")],
)
def test_the_structure_has_no_budget(budgets: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(space([20], [0]), budgets)


def test_no_width_may_be_zero_and_beta_must_suit_the_narrowest() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        space(widths=[16, 0])
    with pytest.raises(ValueError, match="beta must be at most the 8 output channels"):
        space(betas=[9], widths=[16, 8])
