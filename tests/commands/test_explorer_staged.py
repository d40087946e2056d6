"""The explorer's search in which each stage chooses for itself: the front is that of the command line."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from costmodel.grids.grid import PATH_SUBSETS
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.search.search import NothingFitsError, search
from costmodel.search.space import space
from tests.commands.explorer_page import DEFAULTS, Choices, Explorer, link_of, network, random_choices
from tests.conftest import Ran

CASES = 12
STANDARD = {"x": "macs", "y": "params", "want": "most"}
ALPHAS, BETAS = ["0", "1/4", "5/8", "1"], ["2", "8/3"]
SMALLER = """() => {
  SPACE.alphas = [0, 2, 5, 8].map((p) => ratio(p, 8));
  SPACE.betas = [ratio(2), ratio(8, 3)];
}"""
START = "#depth=56&size=32&alpha=1/4&beta=2&paths=HL,LH,LL"
POINTS = """() => staged.points.map(({ net, cost }) =>
  [cost[PARAMS], cost[MACS], alphaText(net), betaText(net), pathSetsText(net)])"""


def found(explorer: Explorer, link: str) -> list[list[Any]]:
    explorer.show(link)
    explorer.page.locator("#front[aria-busy=false]").wait_for()
    points: list[list[Any]] = explorer.page.evaluate(POINTS)
    return points


def random_network(draw: random.Random) -> Choices:
    choices = {
        **random_choices(draw),
        "rows": "stages",
        "layer": "s1",
        "depth": draw.choice(["8", "14", "26"]),
    }
    return choices | ({"size": "32", "width": "16"} if draw.random() < 0.5 else {})


def question(draw: random.Random, choices: Choices) -> tuple[dict[str, Any], dict[str, int]]:
    """What is traded for what; budgets that some configurations of a network keep, and some do not."""
    x, y = draw.sample(["params", "macs"], 2)
    plain = cost_of(network({**choices, "alpha": "0", "paths": "none"}).operators())
    budgets = {
        name: int(count * draw.uniform(0.25, 0.9))
        for name, count in (("params", plain.params), ("macs", plain.macs))
        if draw.random() < 0.6
    }
    return {"x": x, "y": y, "want": draw.choice(["most", "most", "least"])}, budgets


def of_python(choices: Choices, axes: dict[str, Any], budgets: dict[str, int]) -> set[tuple[int, ...]]:
    net = network(choices)
    sides = tuple(int(side) for side in net.backbone.size)
    width = int(net.backbone.width)
    possible = [beta for beta in BETAS if width >= 3]
    small = space(
        [net.backbone.depth],
        ALPHAS if all(side % 8 == 0 for side in sides) else ALPHAS[:-1],
        possible or ["1"],
        PATH_SUBSETS if possible else [()],
        [net.width_rule],
        per_stage=True,
        width=width,
        classes=int(net.backbone.classes),
        size=sides,
        stride_rule=net.backbone.stride_rule,
        between=net.between,
    )
    maximise = [axes["y"]] if axes["want"] == "most" else []
    try:
        points = search(small, budgets, maximise=maximise).points.tolist()
    except NothingFitsError:
        return set()
    return {tuple(point) for point in points}


def test_the_front_is_that_of_the_search_in_python(explorer: Explorer) -> None:
    draw = random.Random(20261129)
    explorer.page.evaluate(SMALLER)
    sizes: list[int] = []
    choices: Choices = {}
    for case in range(CASES):
        if case % 2 == 0:
            choices = random_network(draw)
        axes, budgets = question(draw, choices)
        link = link_of(choices) + "".join(
            f"&{key}={axes[key]}" for key in ("x", "y", "want") if axes[key] != STANDARD[key]
        )
        link += "&each=own" + "".join(
            f"&max{name.title()}={budgets[name]}" for name in ("params", "macs") if name in budgets
        )
        points = found(explorer, link)
        assert {(params, macs) for params, macs, *_ in points} == of_python(choices, axes, budgets), link
        assert len({(params, macs) for params, macs, *_ in points}) == len(points)
        for params, macs, alpha, beta, paths in points[:: max(1, len(points) // 3)]:
            cost = cost_of(network({**choices, "alpha": alpha, "beta": beta, "paths": paths}).operators())
            assert (cost.params, cost.macs) == (params, macs)
        sizes.append(len(points))
    assert sum(size > 5 for size in sizes) > CASES // 3


def test_the_command_that_is_shown_finds_the_same(explorer: Explorer, pwoct_cost: Callable[..., Ran]) -> None:
    page = explorer.page
    page.locator("#each").select_option("own")
    page.locator("#max-macs").fill("40M")
    page.locator("#max-macs").press("Enter")
    points = found(explorer, START + "&each=own&maxMacs=40000000")
    program, *arguments = (page.locator("#search-command").text_content() or "").split()
    assert program == "pwoct-cost"
    assert "--per-stage" in arguments
    ran = pwoct_cost(*arguments, "--format", "json")
    front = json.loads(ran.out)["front"]
    assert [[row["params"], row["macs"]] for row in front] == [
        point[:2] for point in sorted(points, key=lambda point: (-point[0], point[1]))
    ]
    assert len(front) > 100
    assert f"{len(front)} of 191,102,976 configurations" in (
        page.locator("#front-count").text_content() or ""
    )


def test_other_quantities_are_searched_too(explorer: Explorer) -> None:
    """Whatever is traded, the points are those of the full comparison, seen along two of its axes."""
    explorer.page.evaluate(SMALLER)
    link = START.replace("56", "8") + "&x=activations&y=macs_training&want=least&each=own&maxParams=60000"
    points = found(explorer, link)
    small = space([8], ALPHAS, BETAS, PATH_SUBSETS, per_stage=True)
    wanted = search(small, {"params": 60_000}, minimise=["activations", "training-macs"])
    names = wanted.measures.names
    flat = {
        (point[names.index("activations")], point[names.index("training-macs")])
        for point in wanted.points.tolist()
    }
    best = {a for a in flat if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in flat)}
    shown = set()
    for _, _, alpha, beta, paths in points:
        net = network({**DEFAULTS, "depth": "8", "alpha": alpha, "beta": beta, "paths": paths})
        cost = cost_of(net.operators())
        shown.add((cost.activations, cost.macs_training))
    assert shown == best
    assert explorer.page.locator("#search-box").is_hidden()


def test_a_point_puts_its_stages_into_the_settings_and_back(explorer: Explorer) -> None:
    page = explorer.page
    page.locator("#each").select_option("own")
    page.get_by_text("The front as a table").click()
    page.locator("#front[aria-busy=false]").wait_for()
    row = page.locator("#front-body .load").nth(100)
    name = row.text_content() or ""
    assert "+" in name
    row.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == name
    shown = explorer.read()
    alphas = [page.locator(f"#alpha-{stage}").input_value() for stage in range(3)]
    assert f"alpha {'+'.join(alphas)}, " in name
    assert page.locator("#per-stage").is_checked()
    assert shown["front"][100][1:] == [shown["totals"]["macs"], shown["totals"]["params"]]
    for link in (START + "&each=own", START):
        page.locator("#undo").click()
        page.wait_for_url("**" + link)
    assert page.locator("#each").input_value() == "alike"


def test_the_page_answers_while_it_searches(explorer: Explorer) -> None:
    """A new question ends a search; its answer belongs to what is asked now."""
    page = explorer.page
    page.evaluate("location.hash += '&each=own&maxParams=600000&maxMacs=60000000'")
    page.locator("#front[aria-busy=true]").wait_for()
    assert "searching 191,102,976 configurations…" in (page.locator("#front-count").text_content() or "")
    page.locator("#depth").fill("8")
    page.locator("#depth").press("Enter")
    page.locator("#front[aria-busy=false]").wait_for()
    assert page.evaluate("staged.key === questionOf(ui.state)")
    counted = cost_of(resnet(8, alpha="1/4", paths=["HL", "LH", "LL"]).operators())
    assert explorer.read()["totals"]["params"] == f"{counted.params:,}"
