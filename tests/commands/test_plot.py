"""`pwoct-cost plot` as a user meets it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "--alpha", "0,1/4"),
        ("sweep", "--alpha", "0,1/4", "--paths", "HL"),
        ("--alpha", "1/4", "--model", "resnet14", "--per-layer"),
        ("--alpha", "1/4", "--model", "resnet14", "--per-layer", "--unit", "flop"),
    ],
    ids=["search", "sweep", "layers", "layers in FLOPs"],
)
def test_stored_results_are_drawn(pwoct_cost: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result, figure = tmp_path / "result.json", tmp_path / "figure.svg"
    text = pwoct_cost(*arguments, "--format", "json").out
    result.write_bytes(text.encode("utf-16"))  # as PowerShell's > writes it
    run = pwoct_cost("plot", str(result), "-o", str(figure))
    assert (run.code, run.out, run.err) == (0, "", f"{figure} written\n")
    assert ("FLOPs" if "flop" in arguments else "MACs") in figure.read_text()


def test_a_result_from_a_pipe(pwoct_cost: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = pwoct_cost("sweep", "--alpha", "0,1/4", "--paths", "HL", "--format", "json").out
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    run = pwoct_cost("plot", "-", "--output", str(tmp_path / "sweep.png"))
    assert run.code == 0
    assert (tmp_path / "sweep.png").exists()


def test_bad_input_is_one_line(pwoct_cost: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "binary.json").write_bytes(b"\x89PNG")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name, message in (
        ("missing.json", "cannot be read: No such file or directory"),
        ("binary.json", "cannot be read: it is not text in UTF-8"),
        ("deep.json", "it is nested too deeply"),
        (f"{'n' * 300}.json", "cannot be read: File name too long"),
        ("empty.json", "a result must be JSON"),
    ):
        run = pwoct_cost("plot", str(tmp_path / name), "-o", str(tmp_path / "x.svg"))
        assert run.code == 2
        assert message in run.err
        assert len(run.err.splitlines()) == 1
        assert not (tmp_path / "x.svg").exists()


def test_without_matplotlib_the_extra_is_named(pwoct_cost: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "matplotlib" else real(name))
    run = pwoct_cost("sweep", "--alpha", "0", "--paths", "HL", "--plot", "x.svg")
    assert run.code == 3
    hint = "install the extra plot (pip install '.[plot]')"
    assert run.err == f"pwoct-cost: error: matplotlib is missing: {hint}\n"
