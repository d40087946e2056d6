"""Networks that misbehave: a named refusal in one line with a documented exit code, or a true statement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

SOURCE = """
import builtins
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
import torch
from torch import nn

class Base(nn.Module):
    made = 0
    def __init__(self, width=4):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
    def forward(self, x):
        return self.b(self.a(x))

class RaisesInInit(Base):
    def __init__(self):
        raise KeyError("no\\nsecond line")

class Wider(Base):
    def __init__(self):
        Wider.made += 1
        super().__init__(4 * Wider.made)

class HoldsItself(Base):
    def __init__(self):
        super().__init__()
        self._modules["me"] = self

class Patches(Base):
    def forward(self, x):
        nn.Module.__call__ = lambda module, *inputs: module.forward(*inputs)
        return super().forward(x)

class ReturnsNothing(Base):
    def forward(self, x):
        super().forward(x)

class ReturnsWords(Base):
    def forward(self, x):
        return {"out": super().forward(x), "name": "net", None: {1, 2}}

class KeepsBuffer(Base):
    def forward(self, x):
        self.register_buffer("kept", torch.zeros(4))
        return super().forward(x)

class KeepsBuffers(Base):
    def forward(self, x):
        self.register_buffer(f"kept{len(self._buffers)}", torch.zeros(4))
        return super().forward(x)

class ChangesStride(Base):
    def forward(self, x):
        y = super().forward(x)
        self.a.stride = (2, 2)
        return y

class UsesItem(Base):
    def forward(self, x):
        return super().forward(x) * self.a.weight.sum().item()

class RepeatsByList(Base):
    def forward(self, x):
        y = self.a(x)
        for _ in range(int(x.flatten()[:3].tolist()[0]) + 1):
            y = self.b(y)
        return y

class SlicesByData(Base):
    def forward(self, x):
        return super().forward(x[:, :, : int((x > 0).sum()) % 5 + 3])

class Resizes(Base):
    def forward(self, x):
        return self.b(self.a(x).detach().resize_(1, 4, 4, 4))

class BranchesOnData(Base):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else self.a(x)

class DrawsFromItsGenerator(Base):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator("cpu").manual_seed(3)
    def forward(self, x):
        return super().forward(x) if torch.rand((), generator=self.generator).item() < 0.5 else self.a(x)

class NeverEnds(Base):
    def forward(self, x):
        return self(x)

class StartsThread(Base):
    def forward(self, x):
        found = []
        thread = threading.Thread(target=lambda: found.append(self.a(x)))
        thread.start()
        thread.join()
        return self.b(found[0])

class Yields(Base):
    def forward(self, x):
        yield super().forward(x)

class EndsTheProgram(Base):
    def forward(self, x):
        sys.exit(0)

class EndsItAtOnce(Base):
    def forward(self, x):
        os._exit(0)

class EndsItWhenBuilt(Base):
    def __init__(self):
        os._exit(0)

class HasNoWords(Base):
    def forward(self, x):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError
        raise Odd

class Awaits(Base):
    async def forward(self, x):
        return super().forward(x)

class HoldsThreads(Base):
    def __init__(self):
        super().__init__()
        self.pool = ThreadPoolExecutor(1)
        self.pool.submit(int).result()
    def forward(self, x):
        return self.b(self.pool.submit(self.a, x).result())

class PatchesPython(Base):
    def forward(self, x):
        y = super().forward(x)
        builtins.sorted = lambda values: list(values)
        return y

class RaisesTheOdd(Base):
    def forward(self, x):
        raise BaseException("odd")
"""
FORMULA = "252·h·n·w"
VALUES = "GuardOnDataDependentSymNode"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("misbehaving") / "nets.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("RaisesInInit", 2, "nets.py:RaisesInInit() failed: KeyError: 'no"),
        ("HoldsItself", 2, "HoldsItself contains itself, or is nested too deeply to be run"),
        (
            "Wider",
            1,
            "Wider builds with the same arguments differ: a has 27,648 MACs in the first, 55,296 in",
        ),
        ("Patches", 1, "(model) replaces torch.nn.Module.__call__ while it runs"),
        ("ReturnsNothing", 0, ""),
        ("ReturnsWords", 0, ""),
        ("KeepsBuffer", 0, ""),
        ("KeepsBuffers", 1, "(model).kept12 is new in each run, so that no run stands for the others"),
        (
            "ChangesStride",
            1,
            "a.stride changed while the network runs: it takes 64,512 MACs in its first and",
        ),
        ("UsesItem", 0, ""),
        ("RepeatsByList", 1, VALUES),
        ("SlicesByData", 1, VALUES),
        ("Resizes", 1, "the closed form is interpolated, checked at 10 sizes"),
        ("BranchesOnData", 1, VALUES),
        ("DrawsFromItsGenerator", 1, VALUES),
        ("NeverEnds", 1, "(model) fails: RecursionError: maximum recursion depth exceeded"),
        ("StartsThread", 1, "(model) starts a thread (Thread), and what runs in it is not counted"),
        ("Yields", 1, "(model) returns a generator, whose code has not run"),
        ("EndsTheProgram", 1, "it ends the program: sys.exit(0)"),
        ("EndsItAtOnce", 1, "it ends the program: os._exit(0) (nets.py, line "),
        ("EndsItWhenBuilt", 2, "EndsItWhenBuilt() failed: it ends the program: os._exit(0) (nets.py, line "),
        ("HasNoWords", 1, "(model) fails: Odd (nets.py, line "),
        ("Awaits", 1, "(model) returns a coroutine, whose code has not run"),
        ("HoldsThreads", 1, "(model) runs a module in another thread, where its work is not counted"),
        ("PatchesPython", 1, "(model) replaces builtins.sorted while it runs"),
        ("RaisesTheOdd", 1, "BaseException: odd (nets.py, line "),
    ],
)
def test_prove_states_what_is_true_or_refuses_by_name(
    pwoct_cost: Run, file: Path, name: str, code: int, message: str
) -> None:
    ran = pwoct_cost("prove", f"{file}:{name}", "--input", "1,3,16,16")
    assert ran.code == code
    assert "Traceback" not in ran.err
    if code == 0:
        assert (FORMULA in ran.out, ran.err) == (True, "")
    else:
        assert ran.err.count("\n") == 1
        assert message in ran.err


@pytest.mark.usefixtures("counters_here")
@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("Wider", 1, "Wider builds with the same arguments differ: a has"),
        ("Patches", 1, "(model) replaces torch.nn.Module.__call__ while it runs"),
        ("ReturnsWords", 0, ""),
        ("ChangesStride", 1, "a.stride changed while the network runs"),
        (
            "BranchesOnData",
            1,
            "the cost depends on values of inputs or weights: b has 36,864 MACs in the first run, 0",
        ),
        ("NeverEnds", 2, "(model) fails: RecursionError: maximum recursion depth exceeded"),
        ("StartsThread", 1, "(model) starts a thread (Thread)"),
        ("Yields", 1, "(model) returns a generator"),
        ("EndsTheProgram", 1, "it ends the program: sys.exit(0)"),
        ("RaisesTheOdd", 1, "BaseException: odd (nets.py, line "),
    ],
)
def test_verify_states_what_is_true_or_refuses_by_name(
    pwoct_cost: Run, file: Path, name: str, code: int, message: str
) -> None:
    ran = pwoct_cost("verify", f"{file}:{name}", "--input", "1,3,16,16")
    assert ran.code == code
    assert "Traceback" not in ran.err
    if code == 0:
        assert ran.err == ""
        assert ran.out.splitlines()[-1].startswith(("agrees", "partly compared"))
    else:
        assert ran.err.count("\n") == 1
        assert message in ran.err
