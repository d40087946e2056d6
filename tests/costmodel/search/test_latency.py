"""Latency as a cost: it adds up, and a search under it finds what listing everything finds."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import pytest

from costmodel.convention import Cost
from costmodel.networks.resnet import ResNetDesign
from costmodel.operators.recorder import Operator
from costmodel.search.latency import Predictor, duration, network_latency, read_machine
from costmodel.search.search import NothingFitsError, search
from costmodel.search.space import Space, space
from costmodel.speed.roofline import Machine

MACHINE = Machine({"float32": 3e9}, 2e9, 7e-7)
PREDICTOR = Predictor(MACHINE, "float32")


def listed(net: ResNetDesign) -> int:
    """The sum over all operators, none of them folded."""
    return sum(PREDICTOR.nanoseconds(operator) for operator in net.operators())


def test_an_operator_in_nanoseconds() -> None:
    """16 full channels: 3,000 MACs at 3 a nanosecond take 1000 ns, 4,400 bytes at 2 take 2200, a call 700."""
    cost = Cost(macs=3000, elements_read=600, elements_written=500, calls=1)
    assert PREDICTOR.nanoseconds(Operator("a", "conv", cost, channels=(16, 16))) == 2200 + 700
    cost = Cost(macs=9000, elements_read=600, elements_written=500, calls=1)
    assert PREDICTOR.nanoseconds(Operator("a", "conv", cost, channels=(16, 16))) == 3000 + 700


@pytest.mark.parametrize("depth", [8, 14, 20, 26, 56])
def test_a_network_is_the_sum_of_its_operators(depth: int) -> None:
    one = space([depth], ["1/4"], path_sets=[("HL", "LL")], stride_rule="B")
    net = one.network(depth, "out", (0, 0, 0))
    options = {"alpha": "1/4", "paths": ["HL", "LL"], "stride_rule": "B"}
    assert network_latency(PREDICTOR, depth, **options) == listed(net)


def per_stage(**options: Any) -> tuple[Space, list[ResNetDesign]]:
    """A small space, and all of its networks."""
    small = space(per_stage=True, **options)
    labels = small.labels().tolist()
    picks = [pick for pick in product(range(len(labels)), repeat=3) if len({labels[p] for p in pick}) == 1]
    return small, [small.network(small.depths[0], small.width_rules[0], pick) for pick in picks]


SPACES = [
    {
        "depths": [8],
        "alphas": [0, 1],
        "betas": [2, 3],
        "path_sets": [(), ("HH", "LL")],
        "width": 4,
        "size": 8,
    },
    {
        "depths": [26],
        "alphas": [0, "2/5"],
        "path_sets": [("HL",), ("HH", "LH", "LL")],
        "size": (9, 12),
        "width": 5,
    },
    {"depths": [14], "alphas": [0, "1/2"], "path_sets": [(), ("HL", "LH")], "between": "bn_relu", "size": 8},
    {"depths": [8], "alphas": ["1/4"], "path_sets": [(), ("LL",)], "width": 4, "size": 8},
    {"depths": [8], "alphas": ["1/4", 0], "path_sets": [(), ("HH",)], "width": 4, "size": 8},
]
NAMES = ("8", "26", "14", "one alpha", "0 last")


@pytest.mark.parametrize("rule", ["A", "B", "C"])
@pytest.mark.parametrize("options", SPACES, ids=NAMES)
def test_the_shortest_latency_of_all_configurations(options: dict[str, Any], rule: str) -> None:
    small, networks = per_stage(**options, constraints=["same-beta"], stride_rule=rule)
    latencies = [listed(net) for net in networks]
    assert len(networks) == small.size
    found = search(small, {"latency": min(latencies)}, machine=MACHINE)
    assert {point.costs["latency"] for point in map(found.point, range(len(found)))} == {min(latencies)}
    assert found.count.sum() <= latencies.count(min(latencies))
    with pytest.raises(NothingFitsError, match=f"with latency ns {min(latencies):,}: 1 over the budget"):
        search(small, {"latency": min(latencies) - 1}, machine=MACHINE)


@pytest.mark.parametrize("options", SPACES, ids=NAMES)
def test_every_point_has_the_latency_of_its_network(options: dict[str, Any]) -> None:
    for tied in (True, False):
        small = space(**options, per_stage=not tied, width_rules=["mean"], stride_rule="A")
        found = search(small, minimise=["latency"], maximise=["params"], machine=MACHINE)
        for point in map(found.point, range(len(found))):
            assert point.costs["latency"] == listed(point.network)


def test_a_latency_needs_a_machine() -> None:
    with pytest.raises(ValueError, match="a latency is predicted for a machine"):
        search(space(), {"latency": 1_000_000})
    with pytest.raises(ValueError, match=r"dtype must be one whose rate was measured \(float32\)"):
        search(space(), {"latency": 1_000_000}, machine=MACHINE, dtype="bfloat16")


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("1.5ms", 1_500_000), ("20us", 20_000), ("7ns", 7), ("2s", 2 * 10**9), ("1/3us", Fraction(1000, 3))],
)
def test_times_are_exact(text: str, nanoseconds: Fraction) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "5", "5 minutes", "fast", "-1ms", "0s", "ms"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"a time is a number|an amount"):
        duration(text)


def test_a_machine_in_three_numbers() -> None:
    assert read_machine("25G,10.5G,5us", "bfloat16") == Machine({"bfloat16": 25e9}, 10.5e9, 5e-6)
    for text in ("25G", "25G,10G,5", "25G,-1,5us", "a,b,c"):
        with pytest.raises(ValueError, match=r"a machine is|a time is|an amount"):
            read_machine(text, "float32")
