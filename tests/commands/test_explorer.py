"""`pwoct-cost explorer`: what it writes, and what it says where it can't."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from costmodel.explorer.page import page
from tests.conftest import Ran


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
