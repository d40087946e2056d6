"""Counters in processes of their own: what happens to one happens to its result alone."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from costmodel.checks.counters import Counted
from costmodel.checks.isolated import CountersApart, Job, job_of
from costmodel.models import load
from costmodel.models.inputs import parse

SOURCE = """
import os, signal, sys
import torch
from torch import nn

print("talk at import")

class Traced(nn.Conv2d):
    def forward(self, x, *, scale):
        if torch.jit.is_tracing():
            self.act()
        print("talk while running")
        return super().forward(x) * scale

def quiet():
    model = Traced(3, 4, 1)
    model.act = lambda: None
    return model

def dies():
    model = Traced(3, 4, 1)
    model.act = lambda: os.kill(os.getpid(), signal.SIGSEGV)
    return model

def leaves():
    model = Traced(3, 4, 1)
    model.act = lambda: sys.exit(5)
    return model
"""
INPUTS = ("1,3,4,4", "scale=1")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("apart") / "nets.py"
    path.write_text(SOURCE)
    return path


def fvcore(job: Job, timeout: float | None = None) -> Counted | str:
    with CountersApart(job, ["fvcore"], timeout) as counters:
        return counters.results()["fvcore"]


def test_a_result_comes_back_whatever_the_network_prints(file: Path) -> None:
    network = load(f"{file}:quiet")
    result = fvcore(job_of(network, parse(INPUTS)))
    assert isinstance(result, Counted)
    assert result.macs == {"": 3 * 4 * 16}


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("dies", "its process was ended by SIGSEGV"),
        ("leaves", "fvcore can't follow .*:leaves: it ends the program: sys.exit\\(5\\)"),
    ],
)
def test_a_crash_is_reported(file: Path, model: str, why: str) -> None:
    import re

    result = fvcore(Job(f"{file}:{model}", INPUTS))
    assert isinstance(result, str)
    assert re.match(why, result)


def test_a_counter_that_hangs_is_ended(file: Path) -> None:
    with CountersApart(Job(f"{file}:quiet", INPUTS), ["fvcore"], timeout=0.01) as counters:
        assert counters.results()["fvcore"] == "it did not finish in time"
        ((process, _),) = counters._running.values()
        assert process.poll() is None
    assert process.returncode == -signal.SIGKILL
