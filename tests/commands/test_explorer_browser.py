"""The explorer in a real browser: every number of 200 random states is Python's."""

from __future__ import annotations

import random
from fractions import Fraction
from functools import lru_cache
from typing import Any

import pytest

from costmodel.convention import Cost
from costmodel.explorer.formulas import QUANTITIES
from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import PATH_SUBSETS, grid
from costmodel.networks.network import layer_name, layers
from costmodel.networks.resnet import ResNetDesign, resnet, rounding_notes
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator, cost_of
from costmodel.report import cell, change
from tests.commands.explorer_page import DEFAULTS, LAYERS, Explorer, link_of, network, random_choices

STATES = 200
STANDARD_AXES = {"x": "macs", "y": "params", "want": "most"}


def counts(cost: Cost) -> list[str]:
    return [f"{quantity(cost):,}" for quantity in QUANTITIES.values()]


def share_of(operator: Operator) -> str:
    """The path of an operator; a plain network's convolutions are its path HH, and the only one."""
    place = operator.place
    is_block_conv = operator.part == "conv" and place.role in ("block", "shortcut")
    return place.path or ("HH" if is_block_conv else "other")


def by_share(operators: list[Operator]) -> dict[str, Cost]:
    return {name: cost_of(op for op in operators if share_of(op) == name) for name in (*PATHS, "other")}


def rolled_up(operators: list[Operator], level: str) -> list[tuple[str, Cost]]:
    if level == "layers":
        return [(name, cost_of(group)) for name, group in layers(operators)]
    groups: dict[str, list[Operator]] = {}
    for op in operators:
        stage, block = op.place.stage, op.place.block
        inside = (
            f"stage {stage + 1}" if stage is not None and level == "stages" else f"stages.{stage}.{block}"
        )
        groups.setdefault(op.place.role if stage is None else inside, []).append(op)
    return [(name, cost_of(group)) for name, group in groups.items()]


def percent(value: int, base: int) -> str:
    return cell(change(value, base), "percent")


def check_totals(shown: dict[str, Any], net: ResNetDesign, operators: list[Operator]) -> None:
    cost, plain = cost_of(operators), cost_of(uncompressed(net, keep_alpha=False))
    assert list(shown["totals"].values()) == counts(cost)
    changes = [f"{percent(q(cost), q(plain))} vs plain" for q in QUANTITIES.values()]
    assert shown["totalChanges"] == changes
    assert shown["flops"] == f"{2 * cost.macs:,} FLOPs"
    assert shown["foot"][2:] == counts(cost)


@lru_cache(maxsize=2)  # of the network that is being checked
def uncompressed(net: ResNetDesign, *, keep_alpha: bool) -> list[Operator]:
    backbone = net.backbone
    return resnet(
        backbone.depth,
        alpha=[stage.alpha for stage in net.stages] if keep_alpha else 0,
        width=backbone.width,
        classes=backbone.classes,
        size=backbone.size,
        stride_rule=backbone.stride_rule,
    ).operators()


def check_comparison(shown: dict[str, Any], net: ResNetDesign, operators: list[Operator]) -> None:
    plain = cost_of(uncompressed(net, keep_alpha=False))
    octave = cost_of(uncompressed(net, keep_alpha=True))
    for name, cost in (("plain", plain), ("octave", octave), ("this", cost_of(operators))):
        for quantity in ("params", "macs"):
            value, base = getattr(cost, quantity), getattr(plain, quantity)
            against = "" if name == "plain" else percent(value, base)
            assert shown["compared"][f"{name}.{quantity}"] == [f"{value:,}", against]
    bases = by_share(uncompressed(net, keep_alpha=True))
    shares = by_share(operators)
    for name, cost in shares.items():
        for q in ("params", "macs"):
            value, base = getattr(cost, q), getattr(bases[name], q)
            assert shown["shares"][f"{name}.{q}"] == f"{value:,}"
            assert shown["shares"][f"{name}.{q}.change"] == (percent(value, base) if base else "")
    assert shown["more"].split(":")[0] == ", ".join(
        path
        for path in PATHS
        if any(getattr(shares[path], q) > getattr(bases[path], q) > 0 for q in ("params", "macs"))
    )


def missing_paths(net: ResNetDesign) -> list[str]:
    found = []
    for stage, choice in enumerate(net.stages):
        high, low = net.split(stage)
        empty = "H" if high == 0 else "L" if low == 0 else "-"
        paths = [path for path in PATHS if path in choice.paths and empty in path]
        if paths:
            found.append(f"alpha {choice.alpha} leaves no path {', '.join(paths)} to compress")
    return list(dict.fromkeys(found))


def check_formulas(shown: dict[str, Any], operators: list[Operator], layer: str) -> None:
    own = by_share([op for op in operators if layer_name(op) == layer])
    expected = {
        f"{path}.{quantity}": f"{getattr(own[path], quantity):,}"
        for path in PATHS
        if own[path].calls
        for quantity in ("params", "macs")
    }
    assert {key: result for key, (_, result) in shown["formulas"].items()} == expected
    for formula, result in shown["formulas"].values():
        assert f"{eval(formula):,}" == result


def test_every_number_of_random_states_is_pythons(explorer: Explorer) -> None:
    chance = random.Random(20260)
    for _ in range(STATES):
        choices = random_choices(chance)
        net = network(choices)
        operators = net.operators()
        shown = explorer.show(link_of(choices))
        assert shown["error"] == ""
        check_totals(shown, net, operators)
        check_comparison(shown, net, operators)
        rows = rolled_up(operators, choices["rows"])
        assert [[row[0], *row[2:]] for row in shown["rows"]] == [[name, *counts(cost)] for name, cost in rows]
        check_formulas(shown, operators, LAYERS[choices["layer"]].format(last=net.backbone.n - 1))
        assert shown["notes"] == rounding_notes(net) + missing_paths(net)
        assert shown["link"] == link_of(choices)


def test_diagram_says_where_the_bottlenecks_are(explorer: Explorer) -> None:
    shown = explorer.show("#depth=20&size=32&alpha=1/4&beta=2&paths=HL,LL")
    assert shown["diagram"] == (
        "HH is a single convolution, channels 12 to 12, at 32 by 32. "
        "HL is a bottleneck, channels 12 to 2 to 2 to 4, at 16 by 16. "
        "LH is a single convolution, channels 4 to 12, at 16 by 16. "
        "LL is a bottleneck, channels 4 to 2 to 2 to 4, at 16 by 16."
    )
    assert shown["boxes"] == ["12", "32×32", "4", "16×16", "12", "32×32", "4", "16×16"]
    lit = (
        "[...document.querySelectorAll('#diagram .label.compressed .title')].map((node) => node.textContent)"
    )
    assert explorer.page.evaluate(lit) == ["HL", "LL"]


def test_diagram_of_a_layer_without_low_input(explorer: Explorer) -> None:
    shown = explorer.show("#depth=20&size=32&alpha=1/2&beta=2&paths=all&layer=first")
    assert shown["diagram"] == (
        "HH is a single convolution, channels 16 to 8, at 32 by 32. "
        "HL is a single convolution, channels 16 to 8, at 16 by 16. LH does not exist. LL does not exist."
    )
    assert shown["boxes"] == ["16", "32×32", "none", "8", "32×32", "8", "16×16"]


@pytest.fixture(scope="module")
def space() -> list[dict[str, int]]:
    """The costs of the configurations of the chart for ResNet-20, by closed forms."""
    alphas, betas = [Fraction(i, 8) for i in range(9)], ["2", "8/3", "4", "8"]
    grids = [grid(alphas, ["2"], [()], [20]), grid(alphas, betas, PATH_SUBSETS[1:], [20])]
    names = ("params", "macs", "activations", "element_ops", "elements_read", "elements_written", "calls")
    points = []
    for some in grids:
        columns = evaluate(some, names)
        points += [{name: int(columns[name][i]) for name in names} for i in range(len(some))]
    return [point | {"moved": point["elements_read"] + point["elements_written"]} for point in points]


@pytest.mark.parametrize(
    ("x", "y", "want"),
    [
        ("macs", "params", "most"),
        ("calls", "params", "least"),
        ("macs", "activations", "least"),
        ("moved", "params", "most"),
        ("element_ops", "macs", "least"),
    ],
)
def test_front_is_the_best_of_all_configurations(
    explorer: Explorer, space: list[dict[str, int]], x: str, y: str, want: str
) -> None:
    choices = {"x": x, "y": y, "want": want}
    given = [f"&{key}={value}" for key, value in choices.items() if value != STANDARD_AXES[key]]
    link = "#depth=20&size=32&alpha=1/4&beta=2&paths=HL,LH,LL" + "".join(given)
    shown = explorer.show(link)
    sign = -1 if want == "most" else 1
    points = {(point[x], sign * point[y]) for point in space}
    best = sorted(p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points))
    assert [row[1:] for row in shown["front"]] == [[f"{a:,}", f"{sign * b:,}"] for a, b in best]
    assert shown["frontCount"] == f"{len(space)} configurations, {len(best)} on the front"


@pytest.mark.parametrize("rule", "ABC")
def test_configurations_of_the_chart_cost_what_each_network_does(explorer: Explorer, rule: str) -> None:
    """Plain networks have no stride rule, networks of alpha 0 with a bottleneck have one."""
    explorer.show(link_of(DEFAULTS | {"depth": "20", "size": "33", "width": "7", "strideRule": rule}))
    differing = "space.points.filter(({ net, cost }) => String(cost) !== String(networkCost(net))).length"
    assert explorer.page.evaluate(f"[space.points.length, {differing}]") == [9 * (1 + 15 * 3), 0]


def test_plain_networks_stand_beside_the_front(explorer: Explorer) -> None:
    shown = explorer.show("#depth=56&size=32&alpha=1/4&beta=2&paths=all&y=calls")
    expected = []
    for depth in (20, 32, 44, 56, 110):
        cost = cost_of(resnet(depth).operators())
        expected.append([f"plain resnet{depth}", f"{cost.macs:,}", f"{cost.calls:,}"])
    assert shown["plain"] == expected


def test_largest_network_stays_exact(explorer: Explorer) -> None:
    shown = explorer.show("#depth=1202&size=1024&alpha=1/3&beta=2&paths=all&width=256")
    cost = network(
        DEFAULTS | {"depth": "1202", "size": "1024", "alpha": "1/3", "paths": "all", "width": "256"}
    )
    assert list(shown["totals"].values()) == counts(cost_of(cost.folded()))


@pytest.mark.parametrize(
    ("value", "base"), [(303, 400), (301, 400), (497, 400), (1, 3), (999_999, 1_000_000), (7, 7)]
)
def test_changes_are_rounded_as_python_rounds(explorer: Explorer, value: int, base: int) -> None:
    # -24.25 % lies halfway and goes to the even digit: -24.2 %.
    assert explorer.page.evaluate(f"percent({value}, {base})") == percent(value, base)


@pytest.mark.parametrize("value", [2.5, 10 / 3, 1e-05, 0.00012345678, 1000.25, 341.333333])
def test_numbers_in_notes_are_written_as_python_writes(explorer: Explorer, value: float) -> None:
    assert explorer.page.evaluate(f"general({value!r})") == f"{value:g}"
