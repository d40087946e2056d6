"""What the page checks of itself, and how it looks: accessible, whole, in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from costmodel.explorer.formulas import QUANTITIES
from tests.commands.explorer_page import Explorer


def test_page_checks_itself_against_closed_forms(explorer: Explorer) -> None:
    said = explorer.page.locator("#checked").text_content()
    assert said == (
        "On loading, this page recounted 60 networks and got the counts of "
        "Python's closed forms in every one."
    )


BUSY = "#depth=8&size=33&alpha=1/3+1/4+1&beta=3&paths=HL,LH+all+none&rows=layers"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_page_is_accessible_and_fits(explorer: Explorer, scheme: Any, width: int) -> None:
    page = explorer.at(width, 844, BUSY, color_scheme=scheme)
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.locator("#depth").fill("21")
    page.locator("#depth").press("Enter")
    assert explorer.read()["error"] != ""
    findings = Axe().run(page).response["violations"]
    assert [f"{finding['id']}: {finding['nodes'][0]['html']}" for finding in findings] == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [1440, 1280, 820, 390])
@pytest.mark.parametrize("link", ["", "#depth=110&alpha=0&paths=none&width=64"])
def test_every_total_stands_in_one_line(explorer: Explorer, link: str, width: int) -> None:
    """79,309,440 MACs, and 4,045,081,088."""
    page = explorer.at(width, 844, link)
    totals = page.locator("#totals .count")
    lines = totals.evaluate_all(
        "(all) => all.map((e) => e.offsetHeight / parseFloat(getComputedStyle(e).fontSize))"
    )
    assert len(lines) == len(QUANTITIES)
    assert max(lines) < 2  # a line is 1.45 times as high as its letters


def test_theme_follows_the_system_and_the_button(explorer: Explorer) -> None:
    page = explorer.at(1440, 900, color_scheme="dark")
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.locator("#theme").click()
    light = page.evaluate(paper)
    page.locator("#theme").click()
    assert dark == page.evaluate(paper) == "rgb(18, 22, 29)"
    assert light == "rgb(246, 247, 249)"
