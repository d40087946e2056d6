"""Networks whose cost depends on the values of inputs or weights are rejected, whatever they branch on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks import values
from costmodel.checks.foreign import AGREES
from costmodel.checks.values import DRAWS, Draw, differs_between_values
from costmodel.checks.verify_foreign import verify_module
from costmodel.models import load
from costmodel.models.inputs import parse
from costmodel.tables.citation import sentence
from costmodel.tables.traced_total import parse_total
from costmodel.tables.traced_totals import remarks
from costmodel.tracing import trace
from costmodel.tracing.calls import UndefinedCostError


class Branching(nn.Module):
    """A second layer runs where a condition on input and first output does not hold."""

    def __init__(self, holds: Callable[[nn.Linear, Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.a, self.b, self.holds = nn.Linear(8, 8), nn.Linear(8, 8), holds

    def forward(self, x: Tensor) -> Tensor:
        y = self.a(x)
        return y if bool(self.holds(self.a, x, y)) else self.b(y)


CONDITIONS: dict[str, Callable[[nn.Linear, Tensor, Tensor], Any]] = {
    "mean of outputs": lambda a, x, y: y.mean() > 0.1,
    "mean of inputs": lambda a, x, y: x.mean() > 2.5,
    "norm": lambda a, x, y: x.norm() > 50,
    "small inputs": lambda a, x, y: x.abs().max() < 0.2,
    "sum": lambda a, x, y: x.sum() < -10,
    "confidence": lambda a, x, y: y.softmax(-1).max() > 0.9,
    "mean of weights": lambda a, x, y: a.weight.mean() > 0,
    "norm of weights": lambda a, x, y: a.weight.norm() > 5,
    "a gate at zero": lambda a, x, y: a.bias.abs().max() > 0,
}


@pytest.mark.parametrize("zeros", [True, False])
@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_cost_that_depends_on_values_is_rejected(condition: str, zeros: bool) -> None:
    torch.manual_seed(0)
    module = Branching(CONDITIONS[condition])
    nn.init.zeros_(module.a.bias)
    x = torch.zeros(2, 8) if zeros else torch.randn(2, 8)
    with pytest.raises(
        UndefinedCostError, match=r"depends on values of inputs or weights: b has \d+ MACs in"
    ):
        verify_module(module, [x])


def test_code_that_reads_values_and_always_does_the_same_is_compared() -> None:
    def reads(_: nn.Linear, x: Tensor, y: Tensor) -> bool:
        if x.abs().max() > 100:
            raise OverflowError("too large")  # such values say nothing
        return bool(y.isnan().any())

    module = Branching(reads)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert verify_module(module, [torch.ones(2, 8)]).verdict == AGREES
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_masks_whole_numbers_and_networks_by_name(tmp_path: Any) -> None:
    """Masks and numbers without fractions are drawn again."""
    (tmp_path / "nets.py").write_text(
        "from torch import nn\n"
        "class Masked(nn.Linear):\n"
        "    def forward(self, x, mask):\n"
        "        return super().forward(x[mask])\n"
        "class Often(nn.Linear):\n"
        "    def forward(self, x, times):\n"
        "        for _ in range(int(times)):\n"
        "            x = super().forward(x)\n"
        "        return x\n"
    )
    for name, given in (("Masked", ["4,8", "4:bool"]), ("Often", ["4,8", "scalar:int64<9"])):
        network, inputs = load(f"{tmp_path}/nets.py:{name}(8, 8)"), parse(given)
        args, _ = inputs.values("cpu")
        found = differs_between_values(network, inputs, trace(network.on("cpu").module, args))
        assert "(model) has " in found


def test_a_cost_that_may_depend_on_values_says_so() -> None:
    traced = trace(Branching(CONDITIONS["sum"]), [torch.ones(2, 8)])
    said = "The cost holds for the values that were given or drawn; other values may change it."
    assert remarks(traced)[0] == said
    assert sentence("net", ["2x8"], traced, parse_total(None, "mac")).endswith(said)
    assert not remarks(trace(nn.Linear(8, 8), [torch.ones(2, 8)]))


@pytest.mark.parametrize(
    ("macs", "draws"), [(0, len(DRAWS)), (5 * 10**8, 4), (10**9, 2), (2 * 10**9, 2), (10**12, 2)]
)
def test_expensive_networks_are_run_on_few_other_values(macs: int, draws: int) -> None:
    assert len([*values._drawn(nn.Linear(8, 8), parse(["2,8"]), macs)]) == draws


@pytest.mark.parametrize(("most", "draws"), [(4 * 72, 2), (4 * 72 - 1, 0)])
def test_many_weights_are_not_copied(most: int, draws: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(values, "MOST_BYTES", most)
    assert len([*values._drawn(nn.Linear(8, 8), parse(["2,8"]), 10**9)]) == draws


def test_each_draw_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    class Seen(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(float(x.sum()))
            return super().forward(x)

    assert len([*values._drawn(Seen(8, 8), parse(["2,8"]), 0)]) == len(DRAWS)
    assert len(set(seen)) > len(DRAWS) // 2  # some change only the weights


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_inputs_are_shuffled_scaled_and_shifted() -> None:
    x = torch.arange(40.0)
    changed = values._changed(x, Draw(2, 3), generator())
    assert changed.tolist() != (2 * x + 3).tolist()
    assert changed.sort().values.tolist() == (2 * x + 3).tolist()
    numbers = values._changed(torch.arange(40), Draw(2, 3), generator())
    assert sorted(numbers.tolist()) == [*range(40)] != numbers.tolist()
    mask = values._changed(torch.zeros(200, dtype=torch.bool), Draw(), generator())
    assert mask.dtype is torch.bool
    assert 50 < int(mask.sum()) < 150


def test_numbers_that_are_all_alike_become_random_ones() -> None:
    drawn = values._changed(torch.full((50,), 7.0), Draw(), generator())
    assert len(set(drawn.tolist())) == 50
    assert values._changed(torch.full((50,), 7), Draw(), generator()).tolist() == [7] * 50
    assert values._changed(torch.zeros(0), Draw(), generator()).numel() == 0


def test_only_weights_that_are_trained_change() -> None:
    module = nn.Sequential(nn.Linear(4, 5), nn.Linear(4, 5).requires_grad_(False))
    before = [parameter.detach().clone() for parameter in module.parameters()]
    values._change_weights(module, Draw(weights=10), generator())
    for index, (old, new) in enumerate(zip(before, module.parameters(), strict=True)):
        wanted = old * 10 if index < 2 else old
        assert torch.equal(new.detach().flatten().sort().values, wanted.flatten().sort().values)
        assert torch.equal(new, old) == (index >= 2)


def test_other_values_are_the_same_in_each_call() -> None:
    seen: list[Tensor] = []

    class Seen(nn.Linear):
        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            seen.append(torch.cat([super().forward(x).detach().flatten(), mask.flatten().float()]))
            return super().forward(x)

    module = Seen(8, 8)
    for _ in range(2):
        assert len([*values._drawn(module, parse(["2,8", "9:bool"]), 0)]) == len(DRAWS)
    first, second = seen[: len(seen) // 2], seen[len(seen) // 2 :]
    assert all(map(torch.equal, first, second))
