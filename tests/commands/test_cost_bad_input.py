"""Networks that do not run, or have no one cost: one line, and exit code 2."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NETS = """
import random
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1))
    def forward(self, x):
        return self.stem(x)

class Wrong(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Linear(3, 3))
    def forward(self, x):
        return self.inner(x)

class Leaves(nn.Module):
    def forward(self, x):
        raise SystemExit(7)

class Grows(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3)])
    def forward(self, x):
        self.layers.append(nn.Linear(3, 3))
        for layer in self.layers:
            x = layer(x)
        return x

class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps, self.fc = 0, nn.Linear(3, 3)
    def forward(self, x):
        self.steps += 1
        for _ in range(self.steps):
            x = self.fc(x)
        return x

class Throws(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
    def forward(self, x):
        return self.fc(x.expand(random.randrange(1, 10**9), 3))

class Once(nn.Module):
    def forward(self, x):
        y = self.fc(x)
        del self.fc
        return y
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

class Gpu(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 3), OnGpu())
    def forward(self, x):
        return self.inner(x)

class OnGpu(nn.Module):
    def forward(self, x):
        return x.cuda()

class Shouts(nn.Module):
    def forward(self, x):
        import os
        os.write(1, b"raw")
        os.system("echo from a child")
        return x

class Endless(nn.Module):
    def forward(self, x):
        while True:
            pass


def words(n=2):
    return {"ids": torch.zeros(n, 3, dtype=torch.long), "mask": torch.ones(n, 3)}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", list(sys.path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nets.py:Net"], "nets.py:Net needs an input: --input 1,3,224,224"),
        (["nets.py:Net", "--input", "1x3"], "an input is a shape such as 1,3,224,224"),
        (
            ["nets.py:Net", "--input", "1,3", "--inputs", "nets.py:words"],
            "give either --input or --inputs, not both: one of them gives all inputs",
        ),
        (["nets.py:Net", "--input", "1,4,6,5"], "stem.0 fails in aten.convolution: "),
        (["nets.py:Wrong", "--input", "1,3,6,5"], "inner.1 fails in aten."),
        (["nets.py:Net(3, 4)", "--input", "1,3,6,5"], "nets.py:Net(3, 4) failed: TypeError: "),
        (["nets.py:Grows", "--input", "1,3"], "layers.1 is new while the network runs: it takes 18"),
        (["nets.py:Counts", "--input", "1,3"], "(model).steps changed while the network runs: it"),
        (["nets.py:Throws", "--input", "1,3"], "random numbers are drawn while the network runs: it takes "),
        (["nets.py:Once", "--input", "1,3"], "(model).fc is gone while the network runs, and it can"),
        (["nets.py:Grows", "--input", "1,3", "--symbols", "n,_"], "layers.1 is new while the network runs"),
        (["nets.py:Gpu", "--input", "1,3"], "inner.1 fails in cuda: AssertionError: Torch not compiled"),
        (["nets.py:Gpu", "--input", "1,3"], "costs need no GPU: let the code take its device from its input"),
        (["nets.py", "--input", "1,3"], "name a class or function in it, as in nets.py:Net"),
        (["nets.py:Leaves", "--input", "1"], "it ends the program: sys.exit(7)"),
        (["nets.py:Endless", "--input", "1", "--timeout", "0.5"], "takes longer than 0.5 s (--timeout)"),
        (["nets.py:Net", "--input", "1,3,6,5", "--count", "flux"], "count must be some of convolution,"),
        (["nets.py:Net", "--input", "1,3,6,5", "--unit", "joule"], "unit must be mac or flop"),
        (["nets.py:Net", "--input", "1,3,6,5", "--by", "colour"], "by must be one of module, operator, kind"),
        (["nets.py:Net", "--input", "1,3,6,5", "--sort", "age"], "sort must be one of order, macs,"),
        (["nonet.py:Net", "--input", "1"], "there is no file nonet.py"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(pwoct_cost: Run, arguments: list[str], message: str) -> None:
    ran = pwoct_cost("cost", *arguments)
    assert (ran.code, ran.out) == (2, "")
    last = ran.err.splitlines()[-1]
    assert last.startswith("pwoct-cost: error: ")
    assert message in last


def test_what_child_processes_print_goes_to_stderr(pwoct_cost: Run) -> None:
    ran = pwoct_cost("cost", "nets.py:Shouts", "--input", "1", "--format", "json")
    assert ran.json["covered"]
    assert ran.err == "rawfrom a child\n"
