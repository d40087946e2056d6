"""Commands that take a network of the user's own take a converted one by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Ran

Run = Callable[..., Ran]

# Between plain maps: 8 channels become 4 + 4, and 8 again; 3x3, on 8x8 and 4x4.
NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1, bias=False)
        self.one, self.two = (nn.Conv2d(8, 8, 3, 1, 1, bias=False) for _ in range(2))

    def forward(self, x):
        return self.two(self.one(self.stem(x))).mean((2, 3))
"""
MACS = 24 * 64 + 9 * 8 * 4 * (64 + 16) + 9 * 4 * 8 * (64 + 16)


@pytest.fixture(scope="module")
def name(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("nets") / "net.py"
    file.write_text(NET)
    return f"convert({file}:Net, alpha=1/2, inputs=(1, 3, 8, 8))"


def test_prove(name: str, pwoct_cost: Run) -> None:
    proved = pwoct_cost("prove", name, "--symbols", "n,_,_,_", "--format", "json")
    assert proved.code == 0, proved.err
    assert f"{MACS}*n" in proved.out.replace(" ", "").replace("·", "*")
    assert '"proved"' in proved.out or '"verdict": true' in proved.out


def test_prove_says_what_a_layer_fixes(name: str, pwoct_cost: Run) -> None:
    proved = pwoct_cost("prove", name, "--symbols", "n,c,_,_", "--format", "json")
    assert proved.code == 0, proved.err
    assert "c = 3 (fixed by stem)" in proved.out


def test_plot_and_explorer(name: str, pwoct_cost: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn = pwoct_cost("plot", name, "-o", str(tmp_path / "a.svg"), "--symbols", "n,_,_,_")
    assert drawn.code == 0, drawn.err
    assert (tmp_path / "a.svg").read_text().count("convert(") >= 1
    page = pwoct_cost("explorer", name, "-o", str(tmp_path / "a.html"), "--symbols", "n,_,_,_")
    assert page.code == 0, page.err
    assert "convert(" in (tmp_path / "a.html").read_text()


def test_bench(name: str, pwoct_cost: Run) -> None:
    timed = pwoct_cost("bench", name, "--quick", "--threads", "1", "--mode", "inference", "--format", "json")
    assert timed.code == 0, timed.err
    assert f'"macs": {MACS}' in timed.out


def test_a_front_is_drawn(name: str, pwoct_cost: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    original = name.removeprefix("convert(").partition(",")[0]
    space = ("--alpha", "0,1/2", "--beta", "2", "--paths", "none", "--input", "1,3,8,8")
    found = pwoct_cost("search", original, *space, "--plot", str(tmp_path / "front.svg"))
    assert found.code == 0, found.err
    assert "of 2 configurations" in (tmp_path / "front.svg").read_text()
