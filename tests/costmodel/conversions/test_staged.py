"""What the search believes of a converted network is what the really converted network costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from costmodel.conversions.staged import SearchedNetwork, staged_network, stages_of
from costmodel.search.stage_costs import Measures
from costmodel.search.staged import StageChoice, StagedNetwork, StagedSpace, staged_space
from costmodel.search.staged_costs import staged_tables
from costmodel.search.staged_search import NothingFitsError, search_staged
from costmodel.search.staged_table import layers_of
from costmodel.tracing.trace import trace
from pwoct import build, convert
from tests.pwoct.conversion.networks import KINDS

NAMES = ("params", "macs", "activations")


class Pyramid(nn.Module):
    """Three sizes, a shortcut between them, and a decoder that joins two: layers that need several stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one, self.two = nn.Conv2d(8, 8, 3, 1, 1), nn.Conv2d(8, 12, 3, 2, 1, bias=False)
        self.three, self.skip = nn.Conv2d(12, 16, 3, 2, 1), nn.Conv2d(8, 16, 1, 4)
        self.back = nn.Conv2d(28, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 4, 1)

    def forward(self, x: Any) -> Any:
        x = self.one(torch.relu(self.stem(x)))
        middle = self.two(x)
        deep = torch.relu(self.three(middle) + self.skip(x))
        up = torch.nn.functional.interpolate(deep, size=middle.shape[-2:])
        return self.last(self.back(torch.cat((middle, up), 1))).mean((2, 3))


ALL = (*KINDS, Pyramid)


def staged(
    model: nn.Module, by: str, alphas: Sequence[str], size: tuple[int, int] = (8, 8), **options: Any
) -> tuple[StagedNetwork, StagedSpace]:
    module = model.to("meta")
    subject = SearchedNetwork("net", module, [torch.zeros(1, 3, *size, device="meta")])
    stages = stages_of(subject, by)
    given = {"betas": [2, 3], "per_stage": True, **options}
    space = staged_space(len(stages.names), alphas, **given)
    return staged_network(subject, stages, trace(module, tuple(subject.args)), space), space


def cost_by_tables(network: StagedNetwork, space: StagedSpace, picks: Sequence[int]) -> list[int]:
    """Walk through the tables with one configuration."""
    tables, after = staged_tables(network, space, Measures(NAMES))
    found, state = tables.constant.copy(), 0
    for stage, pick in enumerate(picks):
        found += tables.stages[stage][state, pick]
        state = int(after[stage][state, pick])
    return [int(value) for value in found]


COUNTED: dict[tuple[Any, str], list[int]] = {}  # spaces have configurations in common


def real_cost(kind: Any, network: StagedNetwork, choices: Sequence[StageChoice]) -> list[int]:
    """Convert a network of a kind by the patterns of its stages, and count what runs."""
    layers = layers_of(network, choices)
    key = kind, repr(layers)
    if key not in COUNTED:
        x = torch.zeros(1, 3, 8, 8, device="meta")
        made = convert(kind().to("meta"), layers=layers, inputs=[x])
        total = trace(made.to("meta"), (x,)).total()
        COUNTED[key] = [total.params, int(total.macs), int(total.activations)]
    return COUNTED[key]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("by", ["modules", "resolution"])
def test_a_sample_of_configurations_costs_what_the_converted_network_does(kind: Any, by: str) -> None:
    # A layer of a stage of its own may depend on many: then fewer alphas make fewer combinations.
    several = by == "modules" and kind.__name__ not in ("Net", "Residual", "Depthwise")
    alphas = ["0", "1/2"] if several or kind is Pyramid else ["0", "1/2", "1"]
    network, space = staged(kind(), by, alphas, path_sets=["none", "HH", "HL,LL", "all"])
    draw = random.Random(f"{kind.__name__} {by}")
    for _ in range(4 if by == "modules" else 2):
        picks = [draw.randrange(len(space.choices)) for _ in range(space.stages)]
        choices = [space.choices[pick] for pick in picks]
        assert cost_by_tables(network, space, picks) == real_cost(kind, network, choices), choices


def every_cost(model: Any, network: StagedNetwork, space: StagedSpace) -> Counter[tuple[int, ...]]:
    """All configurations of a space, each really converted."""
    found: Counter[tuple[int, ...]] = Counter()
    for choices in product(space.choices, repeat=space.stages):
        tied = [{"alpha": c.alpha, "beta": c.beta, "paths": c.paths} for c in choices]
        if all(len({one[name] for one in tied}) == 1 for name in space.tied):
            found[tuple(real_cost(model, network, choices)[:2])] += 1
    return found


def front_of(costs: Counter[tuple[int, ...]], limits: Sequence[int]) -> Counter[tuple[int, ...]]:
    """The undominated ones within limits, by comparing all with all."""
    within = [cost for cost in costs if all(c <= most for c, most in zip(cost, limits, strict=True))]
    return Counter(
        {
            a: costs[a]
            for a in within
            if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in within)
        }
    )


@pytest.mark.parametrize(
    ("betas", "constraints"),
    [([2], ()), ([2], ("same-alpha",)), ([2, 3], ("same-beta", "same-paths")), ([2], ("keep-hh",))],
)
def test_the_front_is_that_of_all_configurations(betas: list[int], constraints: tuple[str, ...]) -> None:
    paths = ["none", "HH,LL"]
    network, space = staged(
        *(Pyramid(), "resolution", ["0", "1/2"]), betas=betas, path_sets=paths, constraints=constraints
    )
    costs = every_cost(Pyramid, network, space)
    assert sum(costs.values()) == space.size
    limits = [int(np.quantile([cost[k] for cost in costs], 0.7)) for k in range(2)]
    found = search_staged(network, space, {"params": limits[0], "macs": limits[1]})
    listed = Counter({tuple(p): int(n) for p, n in zip(found.points.tolist(), found.count, strict=True)})
    assert listed == front_of(costs, limits)
    for i in range(len(found)):
        assert real_cost(Pyramid, network, found.choices(i))[:2] == found.points[i].tolist()


def test_tied_stages_choose_alike() -> None:
    network, space = staged(
        Pyramid(), "resolution", ["0", "1/4", "1/2"], path_sets=["none", "all"], per_stage=False
    )
    costs = every_cost(Pyramid, network, space)
    found = search_staged(network, space)
    listed = Counter({tuple(p): int(n) for p, n in zip(found.points.tolist(), found.count, strict=True)})
    assert space.size == 12
    assert listed == front_of(costs, [10**9, 10**9])


def test_stages_of_a_plain_resnet_are_those_of_the_built_in_networks() -> None:
    from costmodel.search.search import search
    from costmodel.search.space import space as built_in_space

    network, space = staged(
        build("resnet8"), "resolution", ["0", "1/4", "1/2"], (32, 32), path_sets=["none", "HL,LL", "all"]
    )
    assert list(network.stages) == ["32x32", "16x16", "8x8"]
    found = search_staged(network, space)
    own = search(
        built_in_space(
            [8], ["0", "1/4", "1/2"], [2, 3], ["none", "HL,LL", "all"], per_stage=True
        )
    )  # fmt: skip
    assert found.points.tolist() == own.points.tolist()
    assert found.count.tolist() == own.count.tolist()


def test_layers_without_a_stage_stay_as_they_are() -> None:
    network, space = staged(Pyramid(), "one,b*", ["0", "1/2"], betas=[2], path_sets=["none", "all"])
    assert dict(network.stages) == {"one": ("one",), "b*": ("back",)}
    for picks in product(range(len(space.choices)), repeat=2):
        choices = [space.choices[pick] for pick in picks]
        assert cost_by_tables(network, space, picks) == real_cost(Pyramid, network, choices), choices


def test_nothing_fits() -> None:
    network, space = staged(Pyramid(), "resolution", ["1/2"], path_sets=["none"])
    with pytest.raises(
        NothingFitsError, match=r"nearest is --alpha 1/2, with params 5,620: 5,610 over the budget of 10"
    ):
        search_staged(network, space, {"params": 10})


def test_what_is_not_known_of_a_converted_network_is_refused() -> None:
    network, space = staged(Pyramid(), "resolution", ["1/2"], path_sets=["none"])
    with pytest.raises(ValueError, match="has only params, macs, activations, flops, got bytes"):
        search_staged(network, space, {"bytes": 10})


@pytest.mark.parametrize("by", ["nothing.*", "one,nothing.*"])
def test_a_pattern_that_names_no_layer_is_refused(by: str) -> None:
    with pytest.raises(ValueError, match=r"no layer .* has a name like 'nothing\.\*': there are one, two"):
        staged(Pyramid(), by, ["1/2"])


def test_a_network_without_a_layer_to_convert_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 2))
    with pytest.raises(
        ValueError, match="no convolution of net can become an octave layer: 0: it is the netw"
    ):
        staged(model, "resolution", ["1/2"])
