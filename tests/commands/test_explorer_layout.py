"""The explorer at every width, printed, magnified, in forced colours: nothing is clipped or overlaps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.commands.explorer_page import Explorer

BUSY = (
    "#depth=20&size=33&alpha=1/3+1/4+1&beta=3&paths=HL,LH+all+none&rows=layers&each=own&maxMacs=30000000"
    "&pin=depth:110;size:224;alpha:0;beta:2;paths:none"
)
LOOKS: dict[str, dict[str, Any]] = {
    "320": {"viewport": {"width": 320, "height": 640}},
    "390": {"viewport": {"width": 390, "height": 844}},
    "768": {"viewport": {"width": 768, "height": 1024}},
    "900": {"viewport": {"width": 900, "height": 800}},
    "1024": {"viewport": {"width": 1024, "height": 768}},
    "1440": {"viewport": {"width": 1440, "height": 900}},
    "zoomed to 200 %": {"viewport": {"width": 640, "height": 400}, "factor": 2},
    "letters of 32 px": {"viewport": {"width": 1024, "height": 768}, "root": "32px"},
    "letters of 32 px at 320": {"viewport": {"width": 320, "height": 640}, "root": "32px"},
    "printed": {"viewport": {"width": 718, "height": 1000}, "media": {"media": "print"}},
    "forced colours": {"viewport": {"width": 1024, "height": 768}, "media": {"forced_colors": "active"}},
    "reduced motion": {"viewport": {"width": 390, "height": 844}, "media": {"reduced_motion": "reduce"}},
}

# What is cut off by the edge of the page or of its own box. Regions that scroll may hide what they hold.
CLIPPED = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const scrolls = (node) =>
    node && (getComputedStyle(node).overflowX === "auto" || scrolls(node.parentElement));
  const hidden = (node) => node.closest(".hidden, .skip, noscript, [hidden]");
  const boxes = [...document.querySelectorAll("body *")].filter((node) => node.offsetParent && !hidden(node));
  const cut = boxes.filter((node) => {
    const { overflowX } = getComputedStyle(node);
    const inside = node.scrollWidth > node.clientWidth + 1 && node.clientWidth > 0;
    return (inside && (overflowX === "hidden" || overflowX === "clip")) ||
      (node.getBoundingClientRect().right > edge && !scrolls(node.parentElement));
  });
  return cut.map((node) => `${node.localName}.${node.className}: ${node.textContent.slice(0, 40)}`);
}"""

# Pairs of texts whose letters lie on one another; marks of a chart are told apart by their table.
OVERLAPPING = """() => {
  const UNSEEN = ".hidden, .skip, .toast, #summary, script, style, noscript, select, math, .plain-network";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const owner = node.parentElement;
    if (!node.textContent.trim() || owner.closest(UNSEEN)) continue;
    if (owner.closest(".layers thead, .layers tfoot")) continue; // which stay while rows pass below
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects())
      if (box.width > 1 && box.height > 1) found.push({ text: node.textContent.trim(), box, owner });
  }
  const scroller = (node) =>
    node && (getComputedStyle(node).overflowY !== "visible" ? node : scroller(node.parentElement));
  const both = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1.5 &&
    Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 0.3 * Math.min(a.height, b.height);
  const clashes = [];
  found.sort((a, b) => a.box.top - b.box.top);
  found.forEach((a, i) => { // those further down begin below it
    for (let j = i + 1; j < found.length && found[j].box.top < a.box.bottom; j++) {
      const b = found[j];
      if (a.owner !== b.owner && both(a.box, b.box) && scroller(a.owner) === scroller(b.owner))
        clashes.push(`${a.text} | ${b.text}`);
    }
  });
  return clashes;
}"""


@pytest.fixture(scope="module", params=LOOKS)
def seen(
    request: pytest.FixtureRequest, browser: Browser, explorer_file: Path, second_tab: Explorer
) -> Iterator[Page]:
    """The page with much on it, in one of its looks, everything unfolded."""
    look = LOOKS[request.param]
    view, factor = look["viewport"], look.get("factor")
    explorer = Explorer(browser, explorer_file, device_scale_factor=factor) if factor else second_tab
    explorer.turn_to(explorer_file)
    page = explorer.at(view["width"], view["height"], BUSY)
    page.locator("#front[aria-busy=false]").wait_for()
    if "root" in look:
        page.evaluate("(size) => { document.documentElement.style.fontSize = size; }", look["root"])
        page.evaluate("dispatchEvent(new Event('resize'))")
    page.emulate_media(**look.get("media", {}))
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    yield page
    explorer.close() if factor else explorer.check()


def test_nothing_is_clipped(seen: Page) -> None:
    assert seen.evaluate(CLIPPED) == []


def test_no_texts_overlap(seen: Page) -> None:
    assert seen.evaluate(OVERLAPPING) == []


@pytest.mark.parametrize("seen", ["letters of 32 px at 320", "forced colours"], indirect=True)
def test_axe_finds_nothing(seen: Page) -> None:
    findings = Axe().run(seen).response["violations"]
    assert [f"{finding['id']}: {finding['nodes'][0]['html']}" for finding in findings] == []


def test_the_checks_of_the_layout_can_fail(explorer: Explorer) -> None:
    page = explorer.page
    page.evaluate(
        "document.querySelector('#totals .count').style.cssText = 'display:block;width:9px;overflow:hidden'"
    )
    assert any("696,150" in cut for cut in page.evaluate(CLIPPED))
    page.evaluate("document.querySelector('#totals dt').style.cssText = 'position:relative;top:1.4em'")
    page.evaluate("document.querySelector('#totals .count').style.cssText = ''")
    assert any("Parameters" in clash for clash in page.evaluate(OVERLAPPING))


def test_fingers_find_targets(browser: Browser, explorer_file: Path) -> None:
    """44 pixels on a touch screen, 24 with a mouse."""
    for touch, least in ((True, 43.5), (False, 23.5)):
        explorer = Explorer(
            browser, explorer_file, has_touch=touch, is_mobile=touch, viewport={"width": 390, "height": 844}
        )
        page = explorer.open("#depth=20&size=32&alpha=1/4&beta=2&paths=HL")
        heights = page.evaluate(
            """() => [...document.querySelectorAll("button, select, input:not([type]), input[type=range], "
                 + ".paths label, .check, .segments label, summary")]
              .filter((node) => node.offsetParent)
              .map((node) => [node.getBoundingClientRect().height, node.id || node.textContent.trim()])"""
        )
        assert [pair for pair in heights if pair[0] < least] == []
        explorer.close()


def test_prints_light_with_bars_and_whole_tables(explorer: Explorer) -> None:
    page = explorer.at(
        718, 1000, "#depth=56&size=32&alpha=1/4&beta=2&paths=all&rows=layers", color_scheme="dark"
    )
    page.emulate_media(media="print")
    style = "(selector, name) => getComputedStyle(document.querySelector(selector))[name]"
    read = lambda selector, name: page.evaluate(f"([s, n]) => ({style})(s, n)", [selector, name])  # noqa: E731
    assert read("dd", "color") == "rgb(27, 35, 48)"
    assert read(".part.HH", "printColorAdjust") == "exact"
    assert page.evaluate(
        "document.querySelector('.tall').scrollHeight <= document.querySelector('.tall').clientHeight + 1"
    )
    assert page.locator("#layers-head button").first.is_visible()
    assert page.locator(".controls").is_hidden()
    assert 10_000 < len(page.pdf(format="A4")) < 1_500_000  # letters and lines, not an image of each cell


def test_forced_colours_show_bars_and_the_chosen_tab(explorer: Explorer) -> None:
    page = explorer.page
    page.emulate_media(forced_colors="active")
    colour = "(selector) => getComputedStyle(document.querySelector(selector)).backgroundColor"
    parts = [page.evaluate(colour, f".part.{path}") for path in ("HH", "HL", "LH", "LL")]
    canvas = page.evaluate(colour, "body")
    assert len({*parts, canvas}) == 5
    chosen, other = (
        page.evaluate(colour, f".segments input{of} + span") for of in (":checked", ":not(:checked)")
    )
    assert chosen != other


def test_live_regions_are_the_two_that_speak(explorer: Explorer) -> None:
    live = (
        "[...document.querySelectorAll('output, [aria-live], [role=status], [role=alert]')].map((n) => n.id)"
    )
    assert sorted(explorer.page.evaluate(live)) == ["error", "status", "summary"]


def test_headings_have_an_order(explorer: Explorer) -> None:
    levels = explorer.page.evaluate(
        "[...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map((node) => Number(node.localName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_without_scripts_the_page_says_what_it_needs(browser: Browser, explorer_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(explorer_file.as_uri())
    assert "JavaScript switched on" in page.locator("body").inner_text()
    context.close()
