"""Networks that do not cost the same in each run, or each time that they are built."""

from __future__ import annotations

import cProfile
import gc
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks import repeated
from costmodel.checks.repeated import (
    differs_between_instances,
    differs_between_runs,
    first_difference,
    layers_of,
)
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.tracing.trace import trace, trace_with_data

SOURCE = """
import pathlib
import random
import torch
from torch import nn

class Net(nn.Module):
    made = 0
    def __init__(self, width=8):
        super().__init__()
        self.fc = nn.Linear(3, width)
    def forward(self, x):
        return self.fc(x)

class Wider(Net):
    def __init__(self):
        Wider.made += 1
        super().__init__(8 * Wider.made)

class Deeper(Net):
    def __init__(self):
        super().__init__(3)
        Deeper.made += 1
        self.times = Deeper.made
    def forward(self, x):
        for _ in range(self.times):
            x = self.fc(x)
        return x

class ByFile(Net):
    def __init__(self, path):
        super().__init__(3)
        self.path = pathlib.Path(path)
    def forward(self, x):
        count = int(self.path.read_text()) + 1
        self.path.write_text(str(count))
        for _ in range(count):
            x = self.fc(x)
        return x

def at_random():
    return Net(random.SystemRandom().randrange(8, 10**9))

def by_seed():
    return Net(int(torch.randint(8, 999, (), device="cpu")))

one = Net()
"""


class Asking(nn.Module):
    def __init__(self, ask: Callable[[], Any]) -> None:
        super().__init__()
        self.fc, self.ask = nn.Linear(3, 3), ask

    def forward(self, x: Tensor) -> Tensor:
        self.ask()
        return self.fc(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("ask", "what"),
    [
        (time.perf_counter_ns, "time.perf_counter_ns (test_repeated.py, line "),
        (lambda: time.time(), "time.time (test_repeated.py, line "),
        (lambda: os.urandom(1), "os.urandom (test_repeated.py, line "),
        (uuid.uuid4, "os.urandom (test_repeated.py, line "),
    ],
)
def test_clocks_and_random_numbers_of_the_system_are_named(ask: Callable[[], Any], what: str) -> None:
    found = differs_between_runs(Asking(ask), [torch.zeros(2, 3)], {})
    assert found.startswith(f"the code asks for {what}")
    assert found.endswith("), which differs from run to run")


@pytest.mark.parametrize("ask", [lambda: os.environ.get("HOME"), lambda: [[1]][0].append(2), lambda: None])
def test_other_questions_are_not(ask: Callable[[], Any]) -> None:
    assert differs_between_runs(Asking(ask), [torch.zeros(2, 3)], {}) == ""


def test_cprofile_goes_on_afterwards() -> None:
    def called_afterwards() -> None:
        pass

    profile = cProfile.Profile()
    profile.enable()
    try:
        found = differs_between_runs(Asking(time.time), [torch.zeros(2, 3)], {})
        called_afterwards()
    finally:
        profile.disable()
    assert found.startswith("the code asks for time.time")
    assert called_afterwards.__code__ in [entry.code for entry in profile.getstats()]


def test_a_profiling_function_goes_on_afterwards() -> None:
    events = []
    before = sys.getprofile()
    sys.setprofile(note := lambda *event: events.append(event))
    try:
        differs_between_runs(Asking(lambda: None), [torch.zeros(2, 3)], {})
        assert sys.getprofile() is note
    finally:
        sys.setprofile(before)


def test_a_network_that_never_settles_is_no_ground_for_a_proof() -> None:
    class Ticking(Asking):
        def forward(self, x: Tensor) -> Tensor:
            self.calls = getattr(self, "calls", 0) + 1
            return super().forward(x)

    found = differs_between_runs(Ticking(lambda: None), [torch.zeros(2, 3)], {})
    assert found == "(model).calls changed in each run, so that no run stands for the others"


def test_a_network_that_sees_whether_it_has_data_is_no_ground_for_a_proof() -> None:
    class Peeking(Asking):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) if type(x) is Tensor else self.fc(self.fc(x))  # type: ignore[no-any-return]

    found = differs_between_runs(Peeking(lambda: None), [torch.zeros(2, 3)], {})
    assert found.endswith("its tensors have data: fc has 36 MACs in a run without data, 18 in one with data")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("repeated") / "nets.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("Net", ""),
        ("Net(width=9)", ""),
        ("by_seed", ""),
        ("one", ""),
        ("Wider", "fc has 48 MACs in the first, 96 in the second"),
        ("Deeper", "fc has 18 MACs in the first, 36 in the second"),
        ("at_random", "fc has "),
    ],
)
def test_two_networks_that_are_built_alike_cost_the_same(file: Path, name: str, what: str) -> None:
    found = differs_between_instances(load(f"{file}:{name}"), parse(["2,3"]))
    if not what:
        assert found == ""
    else:
        assert f"{name} builds with the same arguments differ: {what}" in found


def test_runs_that_differ_are_not_taken_for_instances_that_do(file: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    count.write_text("0")
    network, inputs = load(f"{file}:ByFile({str(count)!r})"), parse(["2,3"])
    for found in (
        differs_between_instances(network, inputs),
        differs_between_runs(network.module, *inputs.values(network.device)),
    ):
        assert found.startswith("the network does not cost the same in each run: fc has ")


@pytest.mark.parametrize(
    ("number", "said"), [(1, "run 2"), (2, "run 2"), (3, "run 3"), (4, "run 4"), (5, "")]
)
def test_four_runs_are_compared(number: int, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the first run is the odd one, the second one differs from it."""
    calls: list[int] = []

    def traced(module: nn.Module, *inputs: Any) -> Any:
        calls.append(1)
        return trace(nn.Linear(8, 9) if len(calls) == number else module, *inputs)

    monkeypatch.setattr(repeated, "trace", traced)
    found = differs_between_runs(nn.Linear(8, 8), [torch.zeros(2, 8)], {})
    assert said in found
    assert bool(said) == bool(found)


@pytest.mark.parametrize(
    ("limit", "most", "runs"),
    [("MOST_MACS", 128, 1), ("MOST_MACS", 127, 0), ("MOST_BYTES", 288, 1), ("MOST_BYTES", 287, 0)],
)
def test_a_large_network_is_not_run_with_data(
    limit: str, most: int, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def traced(*arguments: Any) -> Any:
        calls.append(1)
        return trace_with_data(*arguments)

    monkeypatch.setattr(repeated, limit, most)
    monkeypatch.setattr(repeated, "trace_with_data", traced)
    assert differs_between_runs(nn.Linear(8, 8), [torch.zeros(2, 8)], {}) == ""
    assert len(calls) == runs


def test_layers_have_what_runs_in_the_module_itself() -> None:
    class Twice(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(super().forward(x))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.idle = Twice(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.fc(x)
            return y @ y.T

    layers = layers_of(trace(Net(), [torch.zeros(3, 4)]))
    assert layers == {"": (36, 9, 0), "fc": (2 * 48, 2 * 12, 20), "idle": (0, 0, 10)}


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ({"a": (1, 2, 3)}, {"a": (1, 2, 3)}, ""),
        ({"a": (1, 2, 3)}, {"a": (1, 9, 3), "b": (1, 1, 1)}, "a has 2 activations in one, 9 in two"),
        ({}, {"b": (0, 0, 7)}, "b has 0 parameters in one, 7 in two"),
        ({"": (5000, 0, 0)}, {}, "(model) has 5,000 MACs in one, 0 in two"),
        ({"b": (0, 0, 0)}, {}, ""),
        ({}, {"b": (0, 0, 0)}, ""),
    ],
)
def test_the_first_difference_is_told(one: Any, two: Any, said: str) -> None:
    assert first_difference(one, two, "one", "two") == said


@pytest.mark.parametrize("collects", [True, False])
def test_no_garbage_is_collected_while_clocks_are_watched(collects: bool) -> None:
    seen: list[bool] = []
    before = gc.isenabled()
    (gc.enable if collects else gc.disable)()
    try:
        differs_between_runs(Asking(lambda: seen.append(gc.isenabled())), [torch.zeros(2, 3)], {})
        assert gc.isenabled() == collects
    finally:
        (gc.enable if before else gc.disable)()
    assert not seen[0]


def test_clocks_that_torch_reads_are_not_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated, "_BELOW", (Path(__file__).parent,))
    assert differs_between_runs(Asking(lambda: time.time()), [torch.zeros(2, 3)], {}) == ""
