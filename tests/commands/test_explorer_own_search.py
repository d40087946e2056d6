"""The search on the page of a network of the user's own: the front is that of the command line."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.commands.explorer_page import Explorer
from tests.commands.small_net import NET
from tests.conftest import Ran

Run = Callable[..., Ran]
SPACE = ("--input", "1,3,8,8", "--per-stage", "--alpha", "0,1/4,1/2", "--beta", "2,3")
FOUND = "#search[data-state=found]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("own")
    (made / "net.py").write_text(NET)
    return made


@pytest.fixture
def own(folder: Path, tab: Explorer, pwoct_cost: Run) -> Iterator[Page]:
    file = folder / "own.html"
    if not file.exists():
        ran = pwoct_cost("explorer", f"{folder}/net.py:Net", *SPACE, "-o", str(file))
        assert (ran.code, ran.out) == (0, "")
    tab.turn_to(file)
    page = tab.open()
    page.locator(FOUND).wait_for()
    yield page
    tab.check()


def shown(page: Page) -> list[tuple[int, int]]:
    page.locator(FOUND).wait_for()
    read = "(rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    rows: list[list[str]] = page.locator("#found tr").evaluate_all(read)
    return [(int(params.replace(",", "")), int(macs.replace(",", ""))) for _, params, macs in rows]


def choose(page: Page, name: str, text: str) -> None:
    page.locator(f"#{name}").fill(text)
    page.locator(f"#{name}").press("Enter")


def test_the_front_is_that_of_the_command(own: Page, folder: Path, pwoct_cost: Run) -> None:
    draw = random.Random(7)
    command = shlex.split(own.locator("#search-command").text_content() or "")
    assert command[0] == "pwoct-cost"
    whole = pwoct_cost(*command[1:], "--maximise", "params", "--format", "json").json["front"]
    assert sorted(shown(own)) == sorted((row["params"], row["macs"]) for row in whole)
    for _ in range(6):
        want = draw.choice(["most", "least"])
        most = {"params": draw.choice(whole)["params"] + 50, "macs": draw.choice(whole)["macs"] + 50}
        own.locator("#want").select_option(want)
        choose(own, "maxParams", str(most["params"]))
        choose(own, "maxMacs", str(most["macs"]))
        budgets = ("--max-params", str(most["params"]), "--max-macs", str(most["macs"]))
        objective = ("--maximise", "params") if want == "most" else ()
        ran = pwoct_cost(*command[1:], *budgets, *objective, "--format", "json")
        expected = [] if ran.code else [(row["params"], row["macs"]) for row in ran.json["front"]]
        assert sorted(shown(own)) == sorted(expected), (want, most)


def test_a_choice_is_a_name_that_costs_what_is_shown(own: Page, pwoct_cost: Run) -> None:
    points = shown(own)
    for i in (0, len(points) // 2, len(points) - 1):
        button = own.locator("#found button").nth(i)
        button.focus()
        own.keyboard.press("Enter")
        own.locator(f"#found tr:nth-child({i + 1}) button[aria-pressed=true]").wait_for()
        assert own.evaluate("document.activeElement.ariaPressed") == "true"
        program, *arguments = shlex.split(own.locator("#chosen-name").text_content() or "")
        total = pwoct_cost(*arguments, "--input", "1,3,8,8", "--format", "json").json["total"]
        assert program == "pwoct-cost"
        assert (total["params"], total["macs"]) == points[i]
    own.go_back()
    own.locator(f"#found tr:nth-child({len(points) // 2 + 1}) button[aria-pressed=true]").wait_for()


@pytest.mark.parametrize("text", ["0", "many", "1.5"])
def test_a_wrong_budget_is_one_line(own: Page, text: str) -> None:
    choose(own, "maxMacs", text)
    own.locator("#search-error").wait_for()
    said = own.locator("#search-error").text_content()
    assert said == f"most MACs must be a whole number such as 700000 or 80M, got {text}"
    assert shown(own) == []


@pytest.mark.parametrize("width", [320, 768, 1440])
def test_it_is_accessible_and_fits(own: Page, width: int) -> None:
    own.set_viewport_size({"width": width, "height": 800})
    own.locator("#found button").first.click()
    own.locator("#chosen").wait_for()
    assert [finding["id"] for finding in Axe().run(own).response["violations"]] == []
    assert own.evaluate("document.scrollingElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--per-stage",), "--per-stage needs a MODEL"),
        (("torch.nn:ReLU", "--input", "1,3", "--alpha", "1/2"), "--alpha needs --per-stage"),
        (("torch.nn:Linear(3, 2)", "--input", "1,3", "--symbols", "n,_", "--per-stage"),
         "no convolution of torch.nn:Linear(3, 2) can become an octave layer: it has none"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_one_line(
    pwoct_cost: Run, arguments: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    ran = pwoct_cost("explorer", *arguments, "-o", str(tmp_path / "x.html"))
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1


def test_a_page_that_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch, folder: Path, pwoct_cost: Run
) -> None:
    monkeypatch.setattr("costmodel.explorer.own.LARGEST_KIB", 10)
    ran = pwoct_cost("explorer", f"{folder}/net.py:Net", *SPACE, "-o", str(folder / "large.html"))
    assert ran.code == 2
    assert "the page must be at most 10 KiB, got " in ran.err
    assert not (folder / "large.html").exists()
