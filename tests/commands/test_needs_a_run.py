"""Networks that say what they cost only when they run: on values of their own, or after a first run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

NETS = """
import torch
from torch import nn

class Steps(nn.Module):
    '''A number of steps that is kept in the state dict.'''
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.register_buffer("steps", torch.tensor(4))
    def forward(self, x):
        for _ in range(int(self.steps)):
            x = self.layer(x)
        return x

class Pruned(nn.Module):
    '''Channels that a mask chooses; zeros leave none.'''
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(8, 8), nn.Linear(5, 4)
        self.register_buffer("keep", torch.tensor([1, 1, 1, 0, 0, 1, 1, 0], dtype=torch.bool))
    def forward(self, x):
        return self.b(self.a(x)[:, self.keep])

class Lengths(nn.Module):
    '''Pieces whose lengths are a plain tensor, and a step for each.'''
    def __init__(self):
        super().__init__()
        self.layer, self.lengths = nn.Linear(8, 8), torch.tensor([2, 3, 3])
    def forward(self, x):
        pieces = x.split(self.lengths.tolist(), 0)
        return torch.cat([self.layer(piece) for piece in pieces if len(piece) > 2])

class OnlyBuffers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.tensor(3))
        self.register_buffer("weight", torch.ones(8, 8))
    def forward(self, x):
        for _ in range(int(self.steps)):
            x = x @ self.weight
        return x

ready = OnlyBuffers()

class LazySteps(nn.Module):
    '''Lazy, and the first run needs values.'''
    def __init__(self):
        super().__init__()
        self.layer = nn.LazyLinear(8)
        self.register_buffer("steps", torch.tensor(2))
    def forward(self, x):
        for _ in self.steps.repeat(int(self.steps)).tolist():
            x = self.layer(x)
        return x

class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.LazyConv2d(8, 3, padding=1)
        self.norm = nn.LazyBatchNorm2d()
        self.b = nn.LazyConv2d(16, 3, padding=1)
        self.c = nn.LazyConv2d(4, 1)
    def forward(self, x):
        return self.c(self.b(self.norm(self.a(x)).relu()).relu())

class Eager(Lazy):
    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.b, self.c = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 4, 1)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("nets") / "nets.py"
    path.write_text(NETS, encoding="utf-8")
    return path


# MACs on 8 rows of 8 features.
VALUES = {
    "Steps": 4 * 8 * 64,
    "Pruned": 8 * (64 + 20),
    "Lengths": 6 * 64,
    "OnlyBuffers": 3 * 8 * 64,
    "ready": 3 * 8 * 64,
    "LazySteps": 2 * 8 * 64,
}


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("name", VALUES)
def test_code_that_reads_the_networks_own_values_is_counted_on_them(
    pwoct_cost: Run, nets: Path, name: str
) -> None:
    asked = (f"{nets}:{name}", "--input", "8,8", "--format", "json")
    cost = pwoct_cost("cost", *asked)
    assert cost.code == 0, cost.err
    assert cost.json["total"]["macs"] == VALUES[name]
    reconciled = pwoct_cost("reconcile", *asked, "--counter", "torch")
    assert reconciled.code == 0, reconciled.err
    assert reconciled.json["macs"] == VALUES[name]


@pytest.mark.usefixtures("counters_here")
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("name", VALUES)
def test_counters_agree_on_such_code(pwoct_cost: Run, nets: Path, name: str) -> None:
    verified = pwoct_cost("verify", f"{nets}:{name}", "--input", "8,8", "--format", "json")
    assert verified.code == 0, (verified.out, verified.err)
    assert {row["formula"] for row in verified.json["totals"] if row["quantity"] == "MACs"} == {VALUES[name]}


COMMANDS = {
    "cost": ("cost", "{net}", "--input", "1,3,8,8"),
    "reconcile": ("reconcile", "{net}", "--input", "1,3,8,8", "--counter", "torch"),
    "convert": ("convert", "{net}", "--input", "1,3,8,8", "--alpha", "1/2"),
    "search": ("search", "{net}", "--input", "1,3,8,8", "--alpha", "1/2", "--paths", "HL"),
    "prove": ("prove", "{net}", "--input", "1,3,8,8", "--symbols", "n,_,h,w"),
    "name": ("cost", "convert({net}, alpha=1/2, inputs=(1, 3, 8, 8))"),
}


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@pytest.mark.parametrize("command", COMMANDS)
def test_lazy_layers_cost_what_eager_ones_cost(pwoct_cost: Run, nets: Path, command: str) -> None:
    lazy, eager = (
        pwoct_cost(*(word.format(net=f"{nets}:{name}") for word in COMMANDS[command]))
        for name in ("Lazy", "Eager")
    )
    assert lazy.code == eager.code == 0, lazy.err
    assert lazy.out.replace("Lazy", "Eager").split() == eager.out.split()  # a longer name breaks lines


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_lazy_network_is_not_trained_before_it_has_sizes(pwoct_cost: Run, nets: Path) -> None:
    run = pwoct_cost("train", f"{nets}:Lazy", "--dataset", "synthetic", "--dry-run")
    assert (run.code, run.out) == (2, "")
    assert (
        "has lazy layers, which have no sizes yet: name a function that makes it and runs it once" in run.err
    )


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_first_run_gives_sizes_and_changes_nothing_else() -> None:
    import torch
    from torch import nn

    from costmodel.tracing.trace import trace
    from pwoct import convert

    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4), nn.Dropout())
    with pytest.raises(ValueError, match="Sequential has lazy layers, which have no sizes yet"):
        convert(model)
    trace(model, [torch.ones(2, 3, 5, 5)])
    assert model[1].running_mean is not None
    assert model[1].running_mean.tolist() == [0, 0, 0, 0]
    assert all(part.training for part in model.modules())


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_lazy_layer_that_never_runs_is_named() -> None:
    import torch
    from torch import nn

    from costmodel.tracing.calls import TraceError
    from costmodel.tracing.trace import trace

    class Once(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList([nn.LazyLinear(4), nn.LazyLinear(4)])

        def forward(self, x: torch.Tensor) -> Any:
            return self.heads[0](x)

    with pytest.raises(
        TraceError, match=r"^heads\.1 is lazy and does not run on these inputs: its parameters"
    ):
        trace(Once(), [torch.zeros(2, 3)])
