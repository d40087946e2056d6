"""The ATen operators that run, by part: calls, elements read and written, and element operations.

MACs are counted elsewhere; this is the rest of a cost: calls, traffic, and the element operations of
operators other than matrix products. Sizes may be symbols.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from costmodel.operators.recorder import Operator

# The part to which an ATen operator belongs; a copy of repeated pixels is an upsampling.
PART_OF: Mapping[str, str] = {
    "convolution": "conv",
    "addmm": "linear",
    "native_batch_norm": "bn",
    "_native_batch_norm_legit_no_training": "bn",
    "relu": "activation",
    "avg_pool2d": "pool",
    "mean": "pool",
    "clone": "upsample",
    "cat": "concatenate",
    "constant_pad_nd": "zero_pad",
    "add": "add",
}
# These move no data: they make views, and the empty statistics of a normalisation in eval mode.
FREE = frozenset(
    (
        "_unsafe_view",
        "alias",
        "detach",
        "device",
        "empty",
        "expand",
        "permute",
        "slice",
        "t",
        "unsqueeze",
        "view",
    )
)


class Work(NamedTuple):
    """Calls, traffic and element operations of one part."""

    calls: Any = 0
    reads: Any = 0  # elements of the inputs and weights, each once
    outputs: Any = 0  # elements
    operations: Any = 0  # element operations, as `costmodel.convention` counts them

    def plus(self, other: Iterable[Any]) -> Work:
        """Return the sum of both."""
        return Work(*(a + b for a, b in zip(self, other, strict=True)))


class Dispatched(TorchDispatchMode):
    """Records the work of all ATen operators that run, by part; an operator without a part is listed under
    its own name."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.work: dict[str, Work] = defaultdict(Work)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator, and record it."""
        pads = func is torch.ops.aten.constant_pad_nd.default
        result = _padded(*args) if pads else func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name not in FREE:
            part = PART_OF.get(name, name)
            self.work[part] = self.work[part].plus(_work(part, name, args, result))
        return result


def _padded(x: Tensor, amounts: Sequence[Any], *_: Any) -> Tensor:
    """Return a tensor of the padded shape: torch's own rule does not accept symbols.

    amounts: before and after the last axis, then the one before it, and so on.
    """
    before, after = [*amounts[::2]], [*amounts[1::2]]
    more = [a + b for a, b in zip(before, after, strict=True)][::-1]
    kept = x.dim() - len(more)
    return x.new_empty([*x.shape[:kept], *(a + b for a, b in zip(x.shape[kept:], more, strict=True))])


def _work(part: str, name: str, args: Sequence[Any], result: Any) -> Work:
    inputs = [x for x in torch.utils._pytree.tree_leaves(args) if isinstance(x, Tensor)]
    outputs = [x for x in torch.utils._pytree.tree_leaves(result) if isinstance(x, Tensor)]
    output = outputs[0].numel() if outputs else 0
    has_bias = name == "addmm" or (name == "convolution" and args[2] is not None)
    operations = {
        "conv": output if has_bias else 0,
        "linear": output if has_bias else 0,
        "bn": 2 * output,
        "pool": distinct_elements(inputs[0]) if inputs else 0,
        "concatenate": 0,
        "zero_pad": 0,
    }
    return Work(1, sum(map(distinct_elements, inputs)), output, operations.get(part, output))


def distinct_elements(x: Tensor) -> Any:
    """Return the number of elements of a tensor; elements repeated by a stride of 0 count once."""
    return prod(size for size, stride in zip(x.shape, x.stride(), strict=True) if not _repeats(size, stride))


def _repeats(size: Any, stride: Any) -> bool:
    # A stride is a product of sizes, and 0 only if it is a number: symbolic sizes are never tested against 0.
    return isinstance(stride, int) and stride == 0 and not (isinstance(size, int) and size == 1)


def work_by_formula(operators: Iterable[Operator]) -> dict[str, Work]:
    """Return the work of recorded operators by part."""
    work: dict[str, Work] = defaultdict(Work)
    for operator in operators:
        cost = operator.cost
        outputs = cost.activations + cost.other_outputs
        work[operator.part] = work[operator.part].plus(
            (cost.calls, cost.elements_read, outputs, cost.element_ops)
        )
    return dict(work)
