"""Using the explorer: exports, links, keyboard, wrong input, accessibility, themes."""

from __future__ import annotations

import csv
import random
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, expect

from costmodel.explorer.formulas import QUANTITIES
from costmodel.networks.network import layers
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from tests.commands.explorer_page import Explorer, link_of, random_choices
from tests.conftest import Ran


def pwoct_network(code: str) -> torch.nn.Module:
    """Run the page's PyTorch code up to the network, on a device without memory."""
    scope: dict[str, Any] = {}
    with torch.device("meta"):
        exec(code, scope)
    assert scope["logits"].shape[0] == 2
    net: torch.nn.Module = scope["net"]
    return net


def test_pytorch_code_makes_the_network_and_its_maps(explorer: Explorer) -> None:
    chance = random.Random(3)
    for _ in range(12):
        choices = random_choices(chance) | {"rows": "layers", "depth": "14"}
        shown = explorer.show(link_of(choices))
        net = pwoct_network(shown["pytorch"])
        assert f"{sum(p.numel() for p in net.parameters()):,}" == shown["totals"]["params"]
        sides = [int(side) for side in choices["size"].split("x")]
        expected = produced_maps(net, (sides[0], sides[-1]))
        maps = {row[0]: row[1] for row in shown["rows"]}
        assert {name: maps[name] for name in expected} == expected


def produced_maps(net: torch.nn.Module, size: tuple[int, int]) -> dict[str, str]:
    """The maps of the convolutions and normalisations of the blocks, as the page writes them."""
    found: dict[str, str] = {}

    def note(name: str) -> Any:
        def hook(module: torch.nn.Module, inputs: Any, output: Any) -> None:
            branches = [output] if isinstance(output, torch.Tensor) else [b for b in output if b is not None]
            found[name] = " + ".join(f"{b.shape[1]}·{b.shape[2]}×{b.shape[3]}" for b in branches)

        return hook

    for name, module in net.named_modules():
        if name.count(".") == 3 and name.split(".")[-1] in ("conv1", "bn1", "conv2", "bn2"):
            module.register_forward_hook(note(name))
    net.eval()(torch.zeros(1, 3, *size, device="meta"))
    return found


def test_command_gives_the_same_counts(explorer: Explorer, pwoct_cost: Callable[..., Ran]) -> None:
    chance = random.Random(4)
    for _ in range(10):
        shown = explorer.show(link_of(random_choices(chance)))
        program, *arguments = shlex.split(shown["command"])
        ran = pwoct_cost(*arguments, "--format", "json")
        assert (program, ran.code) == ("pwoct-cost", 0)
        row = ran.json["network"][-1]
        assert [f"{row[key]:,}" for key in ("params", "macs")] == list(shown["totals"].values())[:2]


def test_a_row_of_the_front_loads_its_configuration(explorer: Explorer) -> None:
    explorer.page.get_by_text("The front as a table").click()
    name, macs, params = explorer.read()["front"][0]
    explorer.page.locator("#front-body .load").first.click()
    assert name == "alpha 1, beta 8, LL"
    assert explorer.read()["totals"] | {"macs": macs, "params": params} == explorer.read()["totals"]
    assert "alpha=1&beta=8&paths=LL" in explorer.read()["link"]


def test_link_restores_the_state(explorer: Explorer, second_tab: Explorer) -> None:
    chance = random.Random(5)
    for _ in range(6):
        link = link_of(random_choices(chance)) + "&sort=macs&direction=up&x=calls&y=moved&want=least"
        shown = explorer.show(link)
        second_tab.forget()
        second_tab.open(shown["link"])
        assert second_tab.read() == shown


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("#alpha=1.5", "alpha must be in [0, 1], got 1.5"),
        ("#alpha=x", "alpha must be a number such as 0.25 or 1/4, got x"),
        ("#beta=1/2", "beta must be at least 1, got 1/2"),
        ("#beta=17", "beta must be at most the 16 output channels of stage 1, got 17"),
        ("#alpha=1/4+1/2", "need one value, or three (one per stage) joined by +, got 2: 1/4+1/2"),
        ("#paths=HX", "paths must be some of HH,HL,LH,LL, all or none, got HX"),
        ("#depth=21", "depth must be 6n + 2 with n >= 1 (8, 14, 20, 26, ...), got 21"),
        ("#depth=1208", "depth must be a whole number from 8 to 1202, got 1208"),
        ("#strideRule=D", "strideRule must be one of C, B, A, got D"),
        ("#gamma=2", "got gamma"),
        ("#toString=2", "got toString"),
        ("#alpha", "got alpha"),
        ("#alpha=1/0", "alpha must be a number such as 0.25 or 1/4, got 1/0"),
        ("#alpha=.", "alpha must be a number such as 0.25 or 1/4, got ."),
        ("#alpha=.1234567", "alpha must be a ratio of numbers up to 1000000 on this page, got .1234567"),
        ("#alpha=%", "a % in a link must begin an encoded letter, got alpha=%"),
    ],
)
def test_wrong_link_says_what_is_wrong(explorer: Explorer, link: str, message: str) -> None:
    page = explorer.open("?")
    explorer.requests.clear()
    page.evaluate("(link) => { location.hash = link; }", link)
    expect(page.locator("#error")).to_be_visible()
    assert explorer.read()["error"].startswith("This link does not work: ")
    assert explorer.read()["error"].endswith(message)
    assert explorer.read()["totals"]["params"] == "696,150"


def test_wrong_entry_is_marked_and_changes_nothing(explorer: Explorer) -> None:
    box = explorer.page.get_by_label("alpha share of low")
    box.fill("1.5")
    box.press("Enter")
    assert explorer.read()["error"] == "alpha must be in [0, 1], got 1.5"
    assert box.get_attribute("aria-invalid") == "true"
    assert explorer.read()["totals"]["params"] == "696,150"
    box.fill("0.5")
    box.press("Enter")
    assert explorer.read()["error"] == ""
    assert box.get_attribute("aria-invalid") is None
    assert box.input_value() == "1/2"


def test_refused_choice_goes_back(explorer: Explorer) -> None:
    explorer.show("#depth=20&size=32&alpha=1/4&beta=100&paths=none")
    box = explorer.page.locator("[data-path=HH]")
    box.evaluate("(node) => node.click()")
    assert explorer.read()["error"] == "beta must be at most the 16 output channels of stage 1, got 100"
    assert not box.is_checked()
    assert "paths=none" in explorer.read()["link"]


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, and see that the focus is visible."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no way to {selector} by keyboard")


def test_everything_works_by_keyboard(explorer: Explorer) -> None:
    page = explorer.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "skip"
    tab_to(page, "#depth")
    page.keyboard.press("Control+A")
    page.keyboard.type("20")
    page.keyboard.press("Enter")
    tab_to(page, "#alpha-slider-0")
    page.keyboard.press("ArrowRight")
    tab_to(page, "[data-path=HH]")
    page.keyboard.press("Space")
    tab_to(page, "#layer")
    page.keyboard.press("ArrowDown")
    tab_to(page, "[name=rows]")
    page.keyboard.press("ArrowRight")
    tab_to(page, "[data-sort=macs]")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.sort") == "macs"
    page.keyboard.press("Enter")
    assert explorer.read()["link"] == (
        "#depth=20&size=32&alpha=5/16&beta=2&paths=all&rows=blocks&layer=c2&sort=macs&direction=up"
    )
    macs = [int(row[3].replace(",", "")) for row in explorer.read()["rows"]]
    assert macs == sorted(macs)
    tab_to(page, "[data-copy=latex]")
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_have_text(re.compile("^LaTeX"))


def test_focus_is_never_trapped_and_always_visible(explorer: Explorer) -> None:
    outlines, last = set(), ""
    for _ in range(80):
        explorer.page.keyboard.press("Tab")
        outline, last = explorer.page.evaluate(
            """() => { const node = document.activeElement;
              const target = node.matches(".segments input") ? node.nextElementSibling : node;
              return [getComputedStyle(target).outlineStyle, node.tagName]; }"""
        )
        if last == "BODY":
            break
        outlines.add(outline)
    assert last == "BODY"
    assert "none" not in outlines


def test_per_stage_choices_and_back(explorer: Explorer) -> None:
    page = explorer.page
    page.get_by_label("Choose for each stage").check()
    page.locator("#alpha-2").fill("3/4")
    page.locator("#alpha-2").press("Enter")
    page.locator("[data-stage='1'] [data-path=HL]").uncheck()
    assert "alpha=1/4+1/4+3/4&beta=2&paths=HL,LH,LL+LH,LL+HL,LH,LL" in explorer.read()["link"]
    page.get_by_label("Choose for each stage").uncheck()
    assert "alpha=1/4&beta=2&paths=HL,LH,LL" in explorer.read()["link"]
    assert page.locator(".stage").count() == 1


def test_csv_holds_a_row_a_layer(explorer: Explorer) -> None:
    explorer.show("#depth=14&size=32&alpha=1/4&beta=2&paths=LL")
    with explorer.page.expect_download() as waiting:
        explorer.page.get_by_role("button", name="Download CSV").click()
    assert waiting.value.suggested_filename == "resnet14-size32-alpha1_4-beta2-pathsLL-layers.csv"
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    assert text.startswith("\ufeff")  # which says to a spreadsheet that it is UTF-8
    rows = list(csv.DictReader(text.removeprefix("\ufeff").splitlines()))
    assert {row["network"] for row in rows} == {explorer.read()["command"]}
    expected = layers(resnet(14, alpha="1/4", paths=["LL"]).operators())
    keys = ("layer", *QUANTITIES)
    assert [[row[key] for key in keys] for row in rows] == [
        [name, *(str(quantity(cost_of(group))) for quantity in QUANTITIES.values())]
        for name, group in expected
    ]


def test_clipboard_gets_what_is_shown(browser: Browser, explorer_file: Path) -> None:
    explorer = Explorer(browser, explorer_file, permissions=["clipboard-read", "clipboard-write"])
    page = explorer.open()
    for name in ("command", "pytorch", "latex"):
        page.locator(f"[data-copy={name}]").click()
        assert page.evaluate("navigator.clipboard.readText()") == explorer.read()[name]
    page.locator("#copy-link").click()
    assert page.evaluate("navigator.clipboard.readText()") == explorer.address + explorer.read()["link"]
    explorer.close()


def test_latex_compares_with_the_plain_network(explorer: Explorer) -> None:
    shown = explorer.show("#depth=56&size=32&alpha=1/4&beta=2&paths=HL,LH,LL")
    assert shown["latex"].splitlines()[5:8] == [
        r"plain & 855,578 & 0.0 \% & 125,747,840 & 0.0 \% \\",
        r"octave & 855,578 & 0.0 \% & 85,295,744 & -32.2 \% \\",
        r"this & 696,150 & -18.6 \% & 79,309,440 & -36.9 \% \\",
    ]
