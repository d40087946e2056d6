"""One operator of an ONNX file, with the tensors that it owns; operands are tensors or known values.

Such files compute shapes by operators too (Shape, Gather, Concat, ...). These values are NumPy arrays, whose
elements may be torch's symbolic sizes, so that a new shape is known when it is needed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

# Operands needed as values, not as tensors.
_VALUES: Mapping[str, tuple[int, ...]] = {
    "Resize": (1, 2, 3), "Upsample": (1,), "Reshape": (1,), "Expand": (1,), "Slice": (1, 2, 3, 4),
    "Pad": (1, 2, 3), "Clip": (1, 2), "Squeeze": (1,), "Unsqueeze": (1,), "Split": (1,), "Tile": (1,),
    "Range": (0, 1, 2), "ConstantOfShape": (0,), "TopK": (1,), "OneHot": (1, 2), "Dropout": (1, 2),
    "ReduceSum": (1,), "ReduceMean": (1,), "ReduceMax": (1,), "ReduceMin": (1,), "ReduceProd": (1,),
    "ReduceL2": (1,), "ReduceL1": (1,), "ReduceLogSumExp": (1,), "ReduceSumSquare": (1,), "CumSum": (1,),
}  # fmt: skip


def constant_operands(operator: str) -> tuple[int, ...]:
    """Return the places of operands whose values an operator needs."""
    return _VALUES.get(operator, ())


class Operands:
    """The data of a node: operands by position, attributes by name."""

    def __init__(self, node: Node, values: Sequence[Any]) -> None:
        self.node = node
        self.values = list(values)
        while self.values and self.values[-1] is None:
            self.values.pop()

    def __len__(self) -> int:
        return len(self.values)

    def __contains__(self, index: int) -> bool:
        return index < len(self.values) and self.values[index] is not None

    def tensor(self, index: int = 0) -> Tensor:
        """Return an operand as a tensor."""
        value = self.values[index]
        return value if isinstance(value, Tensor) else as_tensor(value)

    def optional(self, index: int) -> Tensor | None:
        """Return an operand as a tensor, if it is given."""
        return self.tensor(index) if index in self else None

    def scalar_or_tensor(self, index: int) -> Any:
        """Return a single known value as a number, anything else as a tensor."""
        value = self.values[index]
        single = isinstance(value, np.ndarray) and value.size == 1
        return value.reshape(-1).tolist()[0] if single else self.tensor(index)

    def attribute(self, name: str, otherwise: Any = None) -> Any:
        """Return an attribute of the node."""
        return self.node.attributes.get(name, otherwise)

    def numbers(self, name: str, index: int = -1, otherwise: Any = None) -> Any:
        """Return whole numbers: those of an attribute, or those of an operand whose values are known.

        Raises ValueError if an operand's values are known only when the network runs.
        """
        if name in self.node.attributes:
            return list(np.atleast_1d(self.node.attributes[name]).tolist())
        if index < 0 or index not in self:
            return otherwise
        return list(self.known(index).reshape(-1).tolist())

    def known(self, index: int) -> Any:
        """Return an operand as an array of known values."""
        value = self.values[index]
        if isinstance(value, Tensor):
            raise ValueError(f"{self.node.operator} needs its operand {index} when shapes are computed")
        return value


def as_tensor(value: Any) -> Tensor:
    """Return known values as a tensor."""
    return torch.tensor(value.tolist(), dtype=torch.from_numpy(np.zeros(1, value.dtype)).dtype)


class Node(nn.Module):
    """One operator: called on its operands, it returns its results, as `compute` gives them."""

    def __init__(
        self, described: Any, shapes: Sequence[tuple[int, ...] | None], compute: Callable[[Operands], Any]
    ) -> None:
        super().__init__()
        self._compute = compute
        helper: Any = importlib.import_module("onnx").helper
        self.operator = str(described.op_type)
        domain = described.domain
        self.known_domain = domain in ("", "ai.onnx")
        self.full_name = self.operator if self.known_domain else f"{domain}.{self.operator}"
        self.attributes = {a.name: _attribute(a, helper) for a in described.attribute}
        self.outputs = len(described.output)
        self.shapes = list(shapes)
        self._held: dict[int, str] = {}
        self._values: dict[int, Any] = {}

    def hold(self, index: int, value: Any) -> None:
        """Hold an operand: a parameter, a buffer or known values."""
        if not isinstance(value, Tensor):
            self._values[index] = value
            return
        name = _NAMES.get(self.operator, {}).get(index, f"operand{index}")
        self._held[index] = name
        if isinstance(value, nn.Parameter):
            self.register_parameter(name, value)
        else:
            self.register_buffer(name, value)

    def extra_repr(self) -> str:
        """Return the operator."""
        return self.operator

    def operands(self, given: Sequence[Any]) -> list[Any]:
        """Return all operands: those given, and those that the node owns, in their positions."""
        values = list(given)
        for index, name in self._held.items():
            values[index] = getattr(self, name)
        for index, value in self._values.items():
            values[index] = value
        return values

    def forward(self, *given: Any) -> tuple[Any, ...]:
        """Return the results of the operator."""
        results: tuple[Any, ...] = self._compute(Operands(self, self.operands(given)))
        return results


_CONVOLUTION = {1: "weight", 2: "bias"}
_NAMES: Mapping[str, Mapping[int, str]] = {
    "Conv": _CONVOLUTION,
    "ConvTranspose": _CONVOLUTION,
    "Gemm": _CONVOLUTION,
    "MatMul": {1: "weight"},
    "BatchNormalization": {1: "weight", 2: "bias", 3: "running_mean", 4: "running_var"},
}


def _attribute(described: Any, helper: Any) -> Any:
    value = helper.get_attribute_value(described)
    if hasattr(value, "data_type") and hasattr(value, "dims"):  # a tensor
        return importlib.import_module("onnx").numpy_helper.to_array(value)
    return value.decode(errors="replace") if isinstance(value, bytes) else value
