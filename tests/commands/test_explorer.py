"""`pwoct-cost explorer`: what it writes, and what it says where it can't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costmodel.explorer.measured import measured
from costmodel.explorer.page import page
from costmodel.paper.records import read_records
from tests.commands.explorer_page import Explorer
from tests.conftest import Ran

PLAIN = {"depth": "20", "alpha": "0", "beta": "2", "paths": "none", "width": "16"}
RECORDS = Path(__file__).parents[2] / "docs" / "records"


def test_writes_the_page_and_says_so_on_stderr(pwoct_cost: Callable[..., Ran], tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    ran = pwoct_cost("explorer", "-o", str(path))
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith(f"{path}: ")
    assert path.read_text(encoding="utf-8") == page()


def test_a_dash_is_stdout(
    pwoct_cost: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = pwoct_cost("explorer", "-o", "-")
    assert (ran.code, ran.out, ran.err) == (0, page() + "\n", "")
    assert not list(tmp_path.iterdir())


def test_default_name(
    pwoct_cost: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert pwoct_cost("explorer").code == 0
    assert (tmp_path / "explorer.html").exists()


def test_place_that_does_not_exist_is_one_line(pwoct_cost: Callable[..., Ran], tmp_path: Path) -> None:
    path = tmp_path / "missing" / "page.html"
    ran = pwoct_cost("explorer", "-o", str(path))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"pwoct-cost: error: {path} cannot be written: No such file or directory\n"


def test_records_become_measured_accuracies(
    pwoct_cost: Callable[..., Ran], tab: Explorer, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    assert pwoct_cost("explorer", "--records", str(RECORDS), "-o", str(file)).code == 0
    tab.turn_to(file)
    page = tab.open("#depth=20&size=32&alpha=0&beta=8&paths=none")  # without bottlenecks beta says nothing
    (plain,) = (one for one in measured(read_records([RECORDS])) if one["texts"] == PLAIN)
    assert page.locator("#measured").text_content() == plain["said"]
    tab.show("#depth=26&size=32&alpha=0&beta=2&paths=none")
    assert page.locator("#measured").is_hidden()
    tab.check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--records", "missing"), "--records must be a folder, got missing, which does not exist"),
        (("torch.nn:ReLU", "--input", "1,3", "--records", "."), "--records applies to the CIFAR ResNets"),
    ],
)
def test_records_that_cannot_be_shown(
    pwoct_cost: Callable[..., Ran], arguments: tuple[str, ...], message: str
) -> None:
    ran = pwoct_cost("explorer", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
