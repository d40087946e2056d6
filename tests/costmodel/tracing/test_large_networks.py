"""10^10 parameters, 40 GB of weights: built, counted, traced on symbols and proved in little memory."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest

from costmodel.checks.foreign_proof import prove_network
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.tracing import trace

LAYERS, WIDTH = 100, 10_000
PARAMETERS = LAYERS * WIDTH**2
CODE = f"""
from torch import nn

def stack():
    return nn.Sequential(*(nn.Linear({WIDTH}, {WIDTH}, bias=False) for _ in range({LAYERS})))
"""


def peak() -> int:
    """The largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def test_ten_thousand_million_parameters_take_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large.py").write_text(CODE)
    monkeypatch.setattr("sys.path", list(sys.path))
    before = peak()
    network = load(f"{tmp_path / 'large.py'}:stack")
    args, _ = parse([f"3,{WIDTH}"]).values(network.device)
    found = trace(network.module, args, training=True)
    assert (found.parameters.all, found.total().macs) == (PARAMETERS, 3 * PARAMETERS)
    assert found.training is not None
    assert found.training.macs == 3 * PARAMETERS * 3 - 3 * WIDTH**2  # the first layer's input needs none
    proof = prove_network(network.module, args, {0: {0: "n"}})
    assert (proof.holds, str(proof.form.total.macs)) == (True, f"{PARAMETERS}*n")
    assert peak() - before < 500
