"""A finished result that a full disk does not take: exit code 6, and one line that names the file."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from costmodel.checks import claims
from costmodel.checks.theorems import operator_claims

Run = Callable[..., Any]
FULL = Path("/dev/full")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is a device of Linux")


@pytest.fixture
def one_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = next(claim for claim in operator_claims() if claim.name == "linear layer")
    monkeypatch.setitem(claims.CLAIMS, "operators", [lambda *, every: [claim]])


@pytest.mark.usefixtures("one_claim")
@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("prove operators --certificate {}", "proof.json"),
        ("convert resnet8 --alpha 1/4 -o {}", "octave.py"),
        ("sweep --model resnet8 --alpha 1/4,1/2 --plot {}", "sweep.svg"),
    ],
)
def test_what_a_full_disk_does_not_take(pwoct_cost: Run, tmp_path: Path, command: str, name: str) -> None:
    file = tmp_path / name
    file.symlink_to(FULL)
    ran = pwoct_cost(*command.format(file).split())
    assert (ran.code, ran.err.splitlines()[-1]) == (
        6,
        f"pwoct-cost: error: {file} cannot be written: No space left on device",
    )
