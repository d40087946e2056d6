"""What runs when a layer runs: its ATen operators, by kind, beside the formulas' calls, work and traffic.

`verify` and `prove` compare MACs, parameters, activations and saved bytes. This test compares the rest of a
cost: how many operators run, what they read and write, and the work of those that multiply no matrix.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import relu
from torch.utils._python_dispatch import TorchDispatchMode

from costmodel.networks.resnet import named
from costmodel.operators.octave import octave_map
from costmodel.operators.recorder import Operator
from pwoct import branches, octave
from pwoct.pwise_octave import Bottleneck, PwiseOctConv
from pwoct.resnet import resnet
from tests.test_two_sides import Net, either, formula_layer, layers, record

# Which part an ATen operator belongs to; a copy of repeated pixels is an upsampling.
PARTS = {
    "convolution": "conv",
    "addmm": "linear",
    "native_batch_norm": "bn",
    "relu": "activation",
    "avg_pool2d": "pool",
    "mean": "pool",
    "clone": "upsample",
    "cat": "concatenate",
    "constant_pad_nd": "zero_pad",
    "add": "add",
}
# These move nothing: they make views, and the empty statistics of a normalisation that does not train.
FREE = {"_unsafe_view", "alias", "empty", "expand", "permute", "slice", "t", "unsqueeze", "view"}


class Work(NamedTuple):
    """What the operators of one part do."""

    calls: int = 0
    reads: int = 0  # elements of the inputs and weights, each once
    outputs: int = 0  # elements
    operations: int = 0  # on elements, as `costmodel.convention` counts them

    def plus(self, other: Iterable[int]) -> Work:
        return Work(*map(sum, zip(self, other, strict=True)))


class Dispatched(TorchDispatchMode):
    """Notes the work of all ATen operators that run, by part."""

    def __init__(self) -> None:
        super().__init__()
        self.work: dict[str, Work] = defaultdict(Work)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in FREE:
            part = PARTS[name]
            self.work[part] = self.work[part].plus(work_of(part, name, args, result))
        return result


def work_of(part: str, name: str, args: Sequence[Any], result: Any) -> Work:
    inputs = [x for x in torch.utils._pytree.tree_leaves(args) if isinstance(x, Tensor)]
    output = (result if isinstance(result, Tensor) else result[0]).numel()
    has_bias = name == "addmm" or (name == "convolution" and args[2] is not None)
    operations = {
        "conv": output if has_bias else 0,
        "linear": output if has_bias else 0,
        "bn": 2 * output,
        "pool": distinct_elements(inputs[0]),
        "concatenate": 0,
        "zero_pad": 0,
    }
    return Work(1, sum(map(distinct_elements, inputs)), output, operations.get(part, output))


def distinct_elements(x: Tensor) -> int:
    """Elements of a tensor; a repeated one counts once."""
    return prod(size for size, stride in zip(x.shape, x.stride(), strict=True) if stride or size == 1)


def dispatched(model: nn.Module, inputs: Sequence[Tensor]) -> dict[str, Work]:
    with torch.no_grad(), Dispatched() as seen:
        model.eval()(*inputs)
    return dict(seen.work)


def by_formula(operators: Iterable[Operator]) -> dict[str, Work]:
    work: dict[str, Work] = defaultdict(Work)
    for operator in operators:
        cost = operator.cost
        outputs = cost.activations + cost.other_outputs
        assert outputs == cost.elements_written
        work[operator.part] = work[operator.part].plus(
            (cost.calls, cost.elements_read, outputs, cost.element_ops)
        )
    return dict(work)


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
    with pytest.raises(KeyError, match="sigmoid"):
        dispatched(nn.Sigmoid(), [torch.zeros(1)])
