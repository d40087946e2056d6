"""What runs when a layer runs: its ATen operators, by kind, beside the formulas' calls, work and traffic.

`verify` compares MACs, parameters, activations and saved bytes. This test compares the rest of a cost, as
`prove` does on symbols: how many operators run, what they read and write, and the work of those that multiply
no matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import relu

from costmodel.checks.dispatched import Dispatched, Work, work_by_formula
from costmodel.networks.resnet import named
from costmodel.operators.octave import octave_map
from costmodel.operators.recorder import Operator
from pwoct import branches, octave
from pwoct.pwise_octave import Bottleneck, PwiseOctConv
from pwoct.resnet import resnet
from tests.test_two_sides import Net, either, formula_layer, layers, record


def dispatched(model: nn.Module, inputs: Sequence[Tensor]) -> dict[str, Work]:
    seen = Dispatched()
    with torch.no_grad(), seen:
        model.eval()(*inputs)
    return dict(seen.work)


def by_formula(operators: Iterable[Operator]) -> dict[str, Work]:
    found = list(operators)
    for cost in (operator.cost for operator in found):
        assert cost.activations + cost.other_outputs == cost.elements_written
    return work_by_formula(found)


def both(depth: int, size: tuple[int, int] = (32, 32), **options: Any) -> tuple[Any, Any]:
    operators = named(f"resnet{depth}", size=size, **options).operators(2)
    return by_formula(operators), dispatched(resnet(depth, **options), [torch.zeros(2, 3, *size)])


ALL = ("HH", "HL", "LH", "LL")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": (33, 47)},
        {"alpha": "1/4"},
        {"alpha": "1/4", "paths": ALL, "size": (33, 47)},
        {"alpha": "3/4", "paths": ["HL", "LH"], "between": "bn"},
        {"alpha": "1/3", "paths": ALL, "between": "bn_relu", "size": (39, 26)},
        {"alpha": "1/4", "stride_rule": "A", "size": (33, 47)},
        {"alpha": "1/4", "stride_rule": "B", "size": (33, 47)},
        {"alpha": ["1/8", "0", "1"], "paths": [["HH"], ["HL"], ["LL"]]},
        {"alpha": "1"},
        {"shortcut": "A", "size": (33, 47)},
        {"alpha": "1/4", "shortcut": "A", "size": (35, 32)},
        {"alpha": "0", "paths": ["HH"]},
    ],
    ids=str,
)
def test_networks_run_what_the_formulas_say(options: dict[str, Any]) -> None:
    formula, ran = both(14, **options)
    assert ran == formula


# A map of one pixel is upsampled without a copy: sizes are large enough for a stride of 3 and the low branch.
@given(layers(), st.tuples(st.integers(8, 21), st.integers(8, 21)), st.integers(1, 3))
@settings(max_examples=200)
def test_random_layers_run_what_the_formulas_say(
    options: dict[str, Any], size: tuple[int, int], batch: int
) -> None:
    code = either(lambda: PwiseOctConv(**options))
    assume(not isinstance(code, ValueError))
    layer, widths = formula_layer(options)
    operators = record(layer, widths, size, batch, options["between"])
    x = octave_map(layer.c_in, size)
    inputs = [torch.zeros(batch, y.channels, *y.size) for y in x if y]
    assert dispatched(Net(code, has_high=x.high is not None), inputs) == by_formula(operators)


# Defects that change neither MACs nor parameters nor activations: only the operators that run tell.


def pools_twice(x: Tensor, by: int = 2) -> Tensor:
    return branches.pool(branches.pool(x, by), 1)


def copies(x: Tensor, like: Tensor | None = None) -> Tensor:
    return branches.upsample(x, like).clone()


def rectifies(self: Bottleneck, x: Tensor) -> Tensor:
    return self.expand(relu(self.spatial(self.reduce(x))))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("where", "name", "defect", "part"),
    [
        (octave, "pool", pools_twice, "pool"),
        (octave, "upsample", copies, "upsample"),
        (Bottleneck, "forward", rectifies, "activation"),
    ],
)
def test_an_operator_too_many_is_found(
    where: Any, name: str, defect: Callable[..., Tensor], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, defect)
    formula, ran = both(8, alpha="1/4", paths=ALL)
    assert {key for key in formula | ran if formula.get(key) != ran.get(key)} == {part}


def test_an_operator_that_no_part_covers_is_found() -> None:
    assert dispatched(nn.Sigmoid(), [torch.zeros(1)]).keys() == {"sigmoid"}
