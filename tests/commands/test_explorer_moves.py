"""What a visitor of the explorer does: undo, compare, start from a preset, touch the pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator

from costmodel.explorer.page import presets
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import cost_of
from costmodel.paper.printed import read_paper
from tests.commands.explorer_page import Explorer

START = "#depth=56&size=32&alpha=1/4&beta=2&paths=HL,LH,LL"


def middle(place: Locator) -> tuple[float, float]:
    box = place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_undo_redo_and_back_take_the_same_steps(explorer: Explorer) -> None:
    page = explorer.page
    undo, redo = page.locator("#undo"), page.locator("#redo")
    assert undo.is_disabled()
    assert redo.is_disabled()
    page.locator("[data-path=HH]").check()
    page.locator("#alpha-0").fill("1/2")
    page.locator("#alpha-0").press("Enter")
    changed = explorer.read()["link"]
    assert changed == "#depth=56&size=32&alpha=1/2&beta=2&paths=all"
    undo.click()
    page.wait_for_url("**alpha=1/4&beta=2&paths=all")
    page.go_back()
    assert explorer.read()["link"] == START
    assert explorer.read()["totals"]["params"] == "696,150"
    assert undo.is_disabled()
    redo.click()
    page.wait_for_url("**alpha=1/4&beta=2&paths=all")
    redo.click()
    page.wait_for_url("**" + changed)
    assert redo.is_disabled()


def test_reset_and_each_stage_can_be_undone(explorer: Explorer) -> None:
    page = explorer.page
    page.get_by_label("Choose for each stage").check()
    page.locator("#alpha-1").fill("3/4")
    page.locator("#alpha-1").press("Enter")
    chosen = explorer.read()["link"]
    page.get_by_label("Choose for each stage").uncheck()
    assert explorer.read()["link"] != chosen
    page.locator("#undo").click()
    page.wait_for_url("**" + chosen)
    page.locator("#reset").click()
    assert explorer.read()["link"] == START
    page.locator("#undo").click()
    page.wait_for_url("**" + chosen)
    assert page.locator("#alpha-1").input_value() == "3/4"


def test_a_dragged_slider_is_one_step(explorer: Explorer) -> None:
    page = explorer.page
    slider = page.locator("#alpha-slider-0")
    before = page.evaluate("history.state.step")
    slider.hover()
    x, y = middle(slider)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x + 8 * step, y)
    page.mouse.up()
    assert explorer.read()["link"] != START
    assert page.evaluate("history.state.step") == before + 1
    page.locator("#undo").click()
    page.wait_for_url("**" + START)


def test_focus_stays_where_it_was(explorer: Explorer) -> None:
    page = explorer.page
    page.get_by_text("The front as a table").click()
    row = page.locator("#front-body .load").nth(3)
    name = row.text_content()
    row.focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == name
    page.locator("[data-sort=params]").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.sort") == "params"


def test_a_message_stands_below_its_control(explorer: Explorer) -> None:
    page = explorer.page
    page.get_by_label("Choose for each stage").check()
    box = page.locator("#alpha-2")
    box.fill("7")
    box.press("Enter")
    error = page.locator("#error")
    assert box.get_attribute("aria-describedby") == "error"
    assert 0 < middle(error)[1] - middle(box)[1] < 80
    box.fill("0.3333333333333333")
    box.press("Enter")
    assert error.text_content() == (
        "alpha must have at most 14 decimals on this page, or be a fraction such as 1/3, "
        "got 0.3333333333333333"
    )
    box.fill("1/3")
    box.press("Enter")
    assert box.get_attribute("aria-describedby") is None
    assert error.is_hidden()


def test_what_is_said_stands_in_view(explorer: Explorer) -> None:
    page = explorer.page
    page.locator("#copy-link").click()
    status = page.locator("#status")
    status.wait_for()
    assert 0 < middle(status)[1] < 900


def test_theme_is_kept(browser: Browser, explorer_file: Path) -> None:
    explorer = Explorer(browser, explorer_file, color_scheme="light")  # its tab keeps it
    page = explorer.open()
    for _ in range(2):
        page.locator("#theme").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.locator("#theme").text_content() == "Theme: dark"
    explorer.close()


def test_presets_are_the_networks_of_the_paper(explorer: Explorer) -> None:
    page = explorer.page
    chosen = {preset["name"]: i for i, preset in enumerate(presets())}
    for row in (read_paper().by_key[key] for key in ("1.1", "2.3", "3.1")):
        page.locator("#preset").select_option(str(chosen[row.label]))
        cost = cost_of(row.network().operators())
        assert explorer.read()["totals"]["params"] == f"{cost.params:,}"
        assert explorer.read()["totals"]["macs"] == f"{cost.macs:,}"
        assert page.locator("#preset option:checked").text_content()
    page.locator("#width").fill("20")
    page.locator("#width").press("Enter")
    assert page.locator("#preset").input_value() == ""


def test_a_pinned_network_stands_beside_the_next(explorer: Explorer, second_tab: Explorer) -> None:
    page = explorer.page
    page.locator("#pin").click()
    page.locator("#preset").select_option("0")
    shown = explorer.read()
    pinned, this = (
        cost_of(resnet(56, **choice).operators())
        for choice in ({"alpha": "1/4", "paths": ["HL", "LH", "LL"]}, {})
    )
    assert shown["compared"]["pinned.params"][0] == f"{pinned.params:,}"
    change = 100 * (this.params - pinned.params) / pinned.params
    assert shown["pinnedChanges"][0] == f"{change:+.1f} % vs pinned"
    second_tab.forget()
    second_tab.open(shown["link"])
    assert second_tab.read() == shown
    page.get_by_role("button", name="Unpin").click()
    assert explorer.read()["pinnedChanges"] == []


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("#pin=alpha:2", "alpha must be in [0, 1], got 2"),
        ("#pin=rows:blocks", "strideRule, widthRule, between, got rows"),
        ("#pin=alpha", "strideRule, widthRule, between, got alpha"),
        ("#maxMacs=0", "most MACs must be a whole number such as 700000 or 80M, got 0"),
        ("#maxParams=1.5", "most parameters must be a whole number such as 700000 or 80M, got 1.5"),
        ("#maxParams=-3", "most parameters must be a whole number such as 700000 or 80M, got -3"),
        ("#maxMacs=99999T", "most MACs must be a whole number such as 700000 or 80M, got 99999T"),
    ],
)
def test_wrong_links_are_refused(explorer: Explorer, link: str, message: str) -> None:
    explorer.page.evaluate("(link) => { location.hash = link; }", link)
    explorer.page.locator("#error").wait_for()
    assert explorer.read()["error"].endswith(message)


def test_a_budget_keeps_what_fits(explorer: Explorer) -> None:
    page = explorer.page
    page.locator("#max-macs").fill("40M")
    page.locator("#max-macs").press("Enter")
    page.locator("#max-params").fill("0.6M")
    page.locator("#max-params").press("Enter")
    shown = explorer.read()
    rows = [[int(cell.replace(",", "")) for cell in row[1:]] for row in shown["front"]]
    assert rows
    assert all(macs <= 40_000_000 and params <= 600_000 for macs, params in rows)
    assert "within budget" in shown["frontCount"]
    assert page.locator(".budget").count() == 2
    assert shown["link"].endswith("maxParams=600000&maxMacs=40000000")


def test_a_large_budget_stays_in_the_link(explorer: Explorer) -> None:
    page = explorer.page
    page.locator("#max-macs").fill("12.5G")
    page.locator("#max-macs").press("Enter")
    page.reload()
    assert page.locator("#max-macs").input_value() == "12500000000"
    assert page.locator("#error").is_hidden()


def test_a_point_of_the_picture_says_what_it_is_and_loads(explorer: Explorer) -> None:
    page = explorer.page
    point = page.locator(".front-point").nth(20)
    point.scroll_into_view_if_needed()
    page.mouse.move(*middle(point))
    tip = page.locator("#front-tip")
    tip.wait_for()
    said = tip.text_content() or ""
    page.mouse.click(*middle(point))
    totals = explorer.read()["totals"]
    assert said.endswith(f"{totals['params']} parameters, {totals['macs']} MACs")
    assert explorer.read()["link"] != START


def test_a_click_on_a_path_compresses_it(explorer: Explorer) -> None:
    page = explorer.page
    page.locator("[data-toggle=HH]").click()
    assert explorer.read()["link"].endswith("paths=all")
    page.locator("[data-toggle=HL]").focus()
    page.keyboard.press("Enter")
    assert explorer.read()["link"].endswith("paths=HH,LH,LL")
    assert page.evaluate("document.activeElement.dataset.toggle") == "HL"
    assert page.locator("[data-toggle=HL]").get_attribute("aria-pressed") == "false"
    page.locator("#layer").select_option("sc2")
    assert page.locator("[data-toggle]").count() == 0


def test_alpha_is_dragged_on_the_picture(explorer: Explorer) -> None:
    page = explorer.page
    before = page.evaluate("history.state.step")
    track = page.locator(".grip-track").bounding_box()
    assert track is not None
    x, y = middle(page.locator(".grip"))
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, 9):
        page.mouse.move(x, y - track["height"] * step / 16)
    page.mouse.up()
    assert "alpha=3/4" in explorer.read()["link"]
    assert page.evaluate("history.state.step") == before + 1
    page.locator(".grip").focus()
    for key in ("End", "ArrowDown", "PageDown"):
        page.keyboard.press(key)
    assert "alpha=11/16" in explorer.read()["link"]  # 1, less a sixteenth, less four
    page.keyboard.press("Home")
    assert "alpha=0" in explorer.read()["link"]


def test_a_path_that_costs_more_is_marked(explorer: Explorer) -> None:
    shown = explorer.show("#depth=56&size=32&alpha=1/8&beta=2&paths=LH")
    assert shown["shares"]["LH.params.change"].startswith("+")
    assert shown["more"] == "LH: this bottleneck costs more than the convolution that it replaces."
    assert explorer.page.locator("td.more").count() == 2
