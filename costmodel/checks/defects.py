"""Known defects of the counters: one table with the reason, the wrong value, and a test for the defect.

A rule excuses a count only where it predicts exactly that count, and only while the installed counter still
has the defect.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from costmodel.checks.measure import fvcore_macs, layer_training_macs
from costmodel.convention import Cost


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at: a module, the formula's values for it, and whether its result is used."""

    module: nn.Module
    cost: Cost
    is_unused: Callable[[], bool]


@dataclass(frozen=True)
class Defect:
    """A quantity that a counter gets wrong for some modules."""

    name: str
    counter: str
    quantity: str
    reason: str
    applies: Callable[[Evidence], bool]
    wrong_count: Callable[[Cost, nn.Module], int]
    is_present: Callable[[], bool]


def excuse(evidence: Evidence, quantity: str, counter: str, count: int) -> Defect | None:
    """Return the known defect that predicts a wrong count, if there is one."""
    for defect in DEFECTS:
        if (
            (defect.quantity, defect.counter) == (quantity, counter)
            and count == defect.wrong_count(evidence.cost, evidence.module)
            and defect.applies(evidence)
            and defect.is_present()
        ):
            return defect
    return None


def _groups(module: nn.Module) -> int:
    return getattr(module, "groups", 1)


class _TwoResults(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        self.unused(x)
        return self.used(x)  # type: ignore[no-any-return]


@cache
def _ignores_text_padding() -> bool:
    return fvcore_macs(nn.Conv2d(1, 1, 3, padding="same"), [torch.zeros(1, 1, 3, 3)])[""] == 0


@cache
def _drops_unused_results() -> bool:
    return fvcore_macs(_TwoResults(), [torch.zeros(1, 1, 1, 1)])["unused"] == 0


@cache
def _ignores_groups_in_the_weight_gradient() -> bool:
    depthwise = nn.Conv2d(2, 2, 1, groups=2, bias=False)
    # Forward pass and input gradient take 2 MACs each, the weight gradient 2, or 4 if groups are ignored.
    return layer_training_macs(depthwise, (1, 2, 1, 1), input_grad=True) == 2 + 2 + 4


DEFECTS: tuple[Defect, ...] = (
    Defect(
        name="text padding",
        counter="fvcore",
        quantity="macs",
        reason='a convolution with padding="same" or "valid" becomes an operator for which fvcore has no '
        "rule: it counts 0",
        applies=lambda evidence: isinstance(getattr(evidence.module, "padding", None), str),
        wrong_count=lambda _cost, _module: 0,
        is_present=_ignores_text_padding,
    ),
    Defect(
        name="unused result",
        counter="fvcore",
        quantity="macs",
        reason="fvcore traces the model, and the tracer drops operators on which the output does not "
        "depend: it counts 0 for a convolution that runs",
        applies=lambda evidence: evidence.is_unused(),
        wrong_count=lambda _cost, _module: 0,
        is_present=_drops_unused_results,
    ),
    Defect(
        name="grouped weight gradient",
        counter="FlopCounterMode",
        quantity="macs_training",
        reason="the weight gradient of a grouped convolution is counted as that of a dense one: too large by "
        "the number of groups",
        applies=lambda evidence: _groups(evidence.module) > 1,
        wrong_count=lambda cost, module: int(
            cost.macs + cost.macs_input_grad + cost.macs_weight_grad * _groups(module)
        ),
        is_present=_ignores_groups_in_the_weight_gradient,
    ),
)
