"""`pwoct-cost explorer MODEL` and `plot MODEL`: a network of the user's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from subprocess import run

import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from torch import nn

from costmodel.explorer.own import own_page
from costmodel.explorer.own_network import own_network
from costmodel.tracing import closed_form, trace
from tests.commands.explorer_page import Explorer
from tests.conftest import Ran, needs_node

Run = Callable[..., Ran]
CONV = "torch.nn:Conv2d(3, 8, 3, stride=2)"
SYMBOLS = {0: {0: "n", 2: "new", 3: "div"}}  # words that mean something to JavaScript, and to the page


class Net(nn.Module):
    """Layers whose formula has floors, on even heights alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2)
        self.second = nn.Conv2d(4, 5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.view(x.shape[0], 3, 2, x.shape[2] // 2, x.shape[3])
        result: torch.Tensor = self.second(self.first(x))
        return result


class Padded(nn.Module):
    """Sizes by a remainder, a maximum and a quotient of two sizes, on even heights alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = x.view(x.shape[0], 3, 2, x.shape[2] // 2, x.shape[3]).shape[3]
        x = nn.functional.pad(x, (0, -x.shape[3] % 4, 0, torch.sym_max(half, 8)))
        result: torch.Tensor = self.conv(torch.chunk(x, 2, 2)[0])
        return result


def script(page: str) -> str:
    """The helpers and data of a page, without what needs a document."""
    code = page.partition("<script>")[2].partition("</script>")[0]
    return code.partition("// The sizes are BigInt")[0]


@needs_node
@pytest.mark.parametrize("kind", [Net, Padded])
def test_the_page_computes_what_a_count_finds(kind: type[nn.Module]) -> None:
    network = kind()
    form = closed_form(network, [torch.zeros(1, 3, 32, 32, device="meta")], SYMBOLS)
    page = own_page(own_network(form, "<b>"))
    sizes = [(1, 32, 32), (3, 46, 51), (2, 8, 9), (1, 33, 32)]
    wanted = []
    for n, h, w in sizes:
        total = trace(network, [torch.zeros(n, 3, h, w, device="meta")]).total() if h % 2 == 0 else None
        wanted.append(f"true {total.macs} {total.activations}" if total else "false")
    calls = "\n".join(
        f"{{ const at = [{n}n, {h}n, {w}n]; const ok = CONDITIONS.every((f) => f(...at));"
        " console.log(ok ? `true ${TOTAL.macs(...at)} ${TOTAL.activations(...at)}` : 'false'); }"
        for n, h, w in sizes
    )
    ran = run(["node", "-e", f"{script(page)}\n{calls}"], capture_output=True, text=True, check=False)
    assert ran.stdout.split("\n")[:-1] == wanted, ran.stderr


def test_the_page_is_one_offline_file(pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.html"
    ran = pwoct_cost("explorer", CONV, "--input", "1,3,32,32", "-o", str(path))
    assert (ran.code, ran.out) == (0, "")
    page = path.read_text(encoding="utf-8")
    assert "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:" in page
    assert not re.search(r"https?:|<link[^>]*href=\"(?!data:)|src=\"", page)
    assert '"name": "n", "value": 1' in page
    assert "Closed form, exact for the domain: for n &gt;= 1; h, w &gt;= 3." in page


def test_a_name_of_a_network_can_not_end_the_script_of_the_page() -> None:
    form = closed_form(nn.Linear(2, 3), [torch.zeros(1, 2, device="meta")], {0: {0: "n"}})
    page = own_page(own_network(form, "</script><b>"))
    assert page.count("</script>") == 1
    assert "<h1>&lt;/script&gt;&lt;b&gt;</h1>" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explorer", "torch.nn:Linear(2, 3)", "--input", "1,2"], "give --symbols, one name or _ for each"),
        (["explorer", "--symbols", "n"], "--symbols needs a MODEL"),
        (["plot", "result.json", "-o", "x.svg", "--input", "1,2"], "--input needs a network of your own"),
        (["plot", CONV, "--input", "1,3,32,32", "--symbols", "n,h,w", "-o", "x.svg"],
         "cost is drawn against one size; n,h,w has n, h, w"),
    ],
    ids=["no symbols", "no model", "no network", "three sizes"],
)  # fmt: skip
def test_what_can_not_be_shown_is_one_line(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    ran = pwoct_cost(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"pwoct-cost: error: {message}")
    assert ran.err.count("\n") == 1


def test_cost_is_drawn_against_the_size_of_square_images(pwoct_cost: Run, tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    ran = pwoct_cost("plot", CONV, "--input", "1,3,32,32", "-o", str(path))
    assert (ran.code, ran.out, ran.err) == (0, "", f"{path} written\n")
    assert {"MACs", "activations", "s"} <= set(re.findall(r">([^<>\n]+)</text>", path.read_text()))


@pytest.mark.parametrize("width", [320, 1024])
def test_the_page_is_accessible_and_fits(tab: Explorer, tmp_path: Path, width: int) -> None:
    form = closed_form(Net(), [torch.zeros(1, 3, 32, 32, device="meta")], SYMBOLS)
    file = tmp_path / "own.html"
    file.write_text(own_page(own_network(form, "net.py:Net")), encoding="utf-8")
    tab.turn_to(file)
    page = tab.at(width, 700)
    assert [finding["id"] for finding in Axe().run(page).response["violations"]] == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    page.locator("#size-n").fill("0")
    assert page.locator("#error").text_content() == "n must be a whole number of 1 or more"
    tab.check()
