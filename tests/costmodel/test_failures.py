"""Errors of foreign code name the user's line: neither torch's nor this project's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from costmodel.failures import first_line, told

CODE = """
import torch
from torch import nn
from costmodel.sizes import pair
from pwoct import OctConv

def in_torch():
    nn.Conv2d(3, 4, 3)(torch.zeros(1, 2, 8, 8))

def in_pwoct():
    OctConv(4, 4, 3)(torch.zeros(1, 3, 8, 8))

def in_costmodel():
    pair("not a size")
"""


@pytest.mark.parametrize("name", ["in_torch", "in_pwoct", "in_costmodel"])
def test_the_line_is_the_users(name: str, tmp_path: Path) -> None:
    file = tmp_path / "users.py"
    file.write_text(CODE)
    scope: dict[str, Any] = {}
    exec(compile(CODE, str(file), "exec"), scope)
    line = CODE.splitlines().index(f"def {name}():") + 2
    with pytest.raises((RuntimeError, ValueError, TypeError)) as caught:
        scope[name]()
    assert told(caught.value).endswith(f" (users.py, line {line})")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n \n\x1b[31mred\x1b[0m\tand  more\n"), "red and more"),
        (AssertionError(), "AssertionError"),
        (KeyError("k"), "'k'"),
        (RuntimeError("x" * 301), "x" * 297 + "..."),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
