"""The front of a space equals what listing all of its configurations gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from costmodel.grids.grid import PATH_SUBSETS
from costmodel.grids.quantities import cost_quantities
from costmodel.networks.resnet import ResNetDesign, resnet
from costmodel.networks.wording import options_of
from costmodel.operators.recorder import cost_of
from costmodel.search import front as front_module
from costmodel.search.front import pareto_front
from costmodel.search.search import Found, NothingFitsError, search
from costmodel.search.space import TIED, Space, space

Costs = tuple[int, ...]


def every_configuration(space: Space) -> Iterator[Any]:
    """All networks of a space, one by one, straight from its definition."""
    stage_choices = list(product(space.alphas, space.betas, space.path_sets))
    for depth, rule in product(space.depths, space.width_rules):
        for stages in product(stage_choices, repeat=3):
            if all(len({stage[TIED.index(name)] for stage in stages}) == 1 for name in space.tied):
                alpha, beta, paths = zip(*stages, strict=True)
                yield resnet(depth, alpha=alpha, beta=beta, paths=paths, width_rule=rule, **space.options)


def list_front(costs: list[Costs], limits: dict[int, int], signs: list[int]) -> Counter[Costs]:
    """The undominated points and how often each occurs, by comparing all with all."""
    fitting = [cost for cost in costs if all(cost[i] <= limit for i, limit in limits.items())]
    signed = {cost: tuple(s * c for s, c in zip(signs, cost, strict=True)) for cost in set(fitting)}
    kept = {
        cost
        for cost in signed
        if not any(
            other != cost and all(a <= b for a, b in zip(signed[other], signed[cost], strict=True))
            for other in signed
        )
    }
    return Counter(cost for cost in fitting if cost in kept)


def as_counter(found: Found) -> Counter[Costs]:
    return Counter(
        {
            tuple(point): int(count)
            for point, count in zip(found.points.tolist(), found.count.tolist(), strict=True)
        }
    )


def costs_of(space: Space, names: tuple[str, ...]) -> list[Costs]:
    return [costs_of_network(net, names) for net in every_configuration(space)]


@cache
def costs_of_network(net: ResNetDesign, names: tuple[str, ...]) -> Costs:
    return tuple(cost_quantities(cost_of(net.operators()), names).values())


# Small networks with roundings: some with odd sizes, some with a single block a stage and branches without
# channels. By either stride rule the plain network is no sum of octave stages.
ODD = {"depth": 14, "alphas": [0, "2/5"], "rule": "mean", "width": 4, "size": (9, 12), "stride_rule": "A"}
SINGLE = {"depth": 8, "alphas": [0, "1/2", 1], "rule": "out", "width": 3, "size": 8, "stride_rule": "B"}
NAMES = ("params", "macs", "activations", "bytes")


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    def some(values: Any, most: int) -> Any:
        return draw(st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True))

    options = dict(draw(st.sampled_from([ODD, SINGLE])))
    sets = some([(), ("HH",), ("HL", "LH"), ("HL", "LH", "LL"), ("HH", "HL", "LH", "LL")], 2)
    tied = draw(st.sampled_from(["same-alpha", "same-beta", "same-paths"]))
    return space(
        [options.pop("depth")],
        some(options.pop("alphas"), 3),
        some([1, "5/2"], 2),
        sets,
        [options.pop("rule")],
        per_stage=True,
        constraints=[tied],
        **options,
    )


# Without shrinking: it would take minutes, and the spaces are small as they are.
@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(st.data())
def test_a_front_equals_listing_everything(data: st.DataObject) -> None:
    small = data.draw(spaces())
    costs = costs_of(small, NAMES)
    maximise = data.draw(st.sets(st.sampled_from(NAMES), max_size=2))
    limits = {
        i: data.draw(st.sampled_from(sorted({cost[i] for cost in costs})))
        for i in data.draw(st.sets(st.sampled_from(range(4)), max_size=2))
    }
    expected = list_front(costs, limits, [-1 if name in maximise else 1 for name in NAMES])
    question = {
        "budgets": {NAMES[i]: limit for i, limit in limits.items()},
        "minimise": [name for name in NAMES if name not in maximise],
        "maximise": sorted(maximise),
    }
    if not expected:
        with pytest.raises(NothingFitsError):
            search(small, **question)
        return
    found = search(small, **question)
    order = [found.measures.names.index(name) for name in NAMES]
    assert {tuple(cost[i] for i in order): n for cost, n in as_counter(found).items()} == expected
    for i in range(len(found)):
        point = found.point(i)
        assert cost_quantities(cost_of(point.network.operators()), point.costs) == point.costs


def test_a_whole_space_per_stage_equals_listing_everything() -> None:
    small = space(
        [8], [0, "1/4"], [2, 4], [(), ("HL", "LL"), PATH_SUBSETS[-1]], per_stage=True, width=8, size=8
    )
    assert small.size == (2 * 2 * 3) ** 3
    names = ("params", "macs")
    assert as_counter(search(small)) == list_front(costs_of(small, names), {}, [1, 1])


@pytest.mark.parametrize("most", [16_822, 17_314])
def test_what_is_maximised_may_have_a_budget_too(most: int) -> None:
    """More parameters in one stage leave less room for the others: the front may need fewer of them."""
    small = space(
        [8],
        [0, "1/4", "1/2"],
        [2],
        [(), ("HH",), PATH_SUBSETS[-1]],
        per_stage=True,
        width=8,
        size=8,
    )
    names = ("params", "macs")
    found = search(small, {"params": most}, maximise=["params"])
    expected = list_front(costs_of(small, names), {0: most}, [-1, 1])
    assert len(expected) > 3
    assert as_counter(found) == expected


def test_a_tied_space_equals_listing_everything() -> None:
    sets = [(), ("HH",), ("HL", "LH", "LL"), PATH_SUBSETS[-1]]
    tied = space([8, 14], [0, "1/5", 1], [1, 3], sets, ["out", "in"], width=8, size=8, stride_rule="A")
    names = ("params", "macs", "calls")
    expected = list_front(costs_of(tied, names), {}, [1, 1, -1])
    assert as_counter(search(tied, maximise=["calls"])) == expected


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda d: st.lists(st.lists(st.integers(0, 6), min_size=d, max_size=d), min_size=1, max_size=40)
    )
)
def test_pareto_front_equals_comparing_all_with_all(points: list[list[int]]) -> None:
    front = pareto_front(np.array(points, dtype=np.int64))
    expected = list_front([tuple(point) for point in points], {}, [1] * len(points[0]))
    assert {
        tuple(p): n for p, n in zip(front.points.tolist(), front.weight.tolist(), strict=True)
    } == expected
    assert front.points.tolist() == sorted(map(list, expected))
    assert [points.index(point) for point in front.points.tolist()] == front.first.tolist()


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_pareto_front_of_many_points(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All branches of the division, against a plain scan of the same points."""
    for name, few in (("SAMPLE", 64), ("LEAF", 4), ("FEW_PAIRS", 64)):
        monkeypatch.setattr(front_module, name, few)
    points = np.random.default_rng(dimensions).integers(0, 20, (1500, dimensions))
    unique, counts = np.unique(points, axis=0, return_counts=True)
    front = pareto_front(points)
    kept = [
        k
        for k, point in enumerate(unique)
        if not ((unique <= point).all(axis=1) & (unique < point).any(axis=1)).any()
    ]
    assert front.points.tolist() == unique[kept].tolist()
    assert front.weight.tolist() == counts[kept].tolist()


def test_pareto_front_of_a_large_antichain() -> None:
    """On the plane x + y + z = 300 no point dominates another; the plane behind it is all dominated."""
    x, y = np.divmod(np.arange(151 * 151), 151)
    plane = np.stack([x, y, 300 - x - y], axis=1)
    front = pareto_front(np.concatenate([plane + np.array([0, 0, 1]), plane]))
    assert front.points.tolist() == sorted(plane.tolist())
    assert front.first.min() == len(plane)


def test_weights_add_up() -> None:
    front = pareto_front(np.array([[1, 1], [1, 1], [2, 2]]), np.array([10, 5, 1]))
    assert front.weight.tolist() == [15]


def test_known_networks_are_found() -> None:
    """The printed configuration: alpha 1/4, beta 2, everything compressed but HH."""
    found = search(space(alphas=["1/4"], constraints=["keep-hh"]), {"params": 696_150})
    best = found.point(0)
    assert best.costs == {"params": 696_150, "macs": 79_309_440}
    assert options_of(best.network) == "--model resnet56 --alpha 1/4 --beta 2 --paths HL,LH,LL"
