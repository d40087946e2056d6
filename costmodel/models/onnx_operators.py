"""The torch equivalent of each ONNX operator, as far as shapes and costs go.

An operator may stand for another that does the same arithmetic on the same shapes; gates of recurrent layers
are in torch's order. An operator that is missing here becomes one that no formula covers, if onnx infers the
shape of its result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from costmodel.models.onnx_known import KNOWN, known_shape
from costmodel.models.onnx_node import Operands
from costmodel.models.onnx_products import PRODUCTS, same_padding, torch_pads
from costmodel.models.onnx_shapes import SHAPES

Rule = Callable[[Operands], Any]


def compute(node: Operands) -> tuple[Any, ...]:
    """Return the results of a node.

    Raises ValueError if there is no rule for it and onnx infers no shape.
    """
    operator = node.node.operator if node.node.known_domain else ""
    if operator in ("Shape", "Size"):
        return (known_shape(node),)
    if operator in KNOWN and all(isinstance(value, np.ndarray) for value in node.values):
        return (KNOWN[operator](node),)
    rule = _RULES.get(operator)
    if rule is None:
        return _uncovered(node)
    result = rule(node)
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _uncovered(node: Operands) -> tuple[Tensor, ...]:
    """Return tensors of the inferred shapes, from an operator that no formula covers."""
    shapes = node.node.shapes
    if any(shape is None for shape in shapes):
        raise ValueError(
            f"there is no rule for the operator {node.node.full_name}, and its shape is not known"
        )
    operator = _library_operator(node.node.operator)
    tensors = [node.tensor(index) for index in range(len(node)) if index in node]
    return tuple(operator(tensors, list(shape or ())) for shape in shapes)


_library: Any = torch.library.Library
_LIBRARY: Any = _library("onnx", "FRAGMENT")
_defined: dict[str, Any] = {}


def _library_operator(name: str) -> Any:
    if name not in _defined:
        _LIBRARY.define(f"{name}(Tensor[] operands, SymInt[] shape) -> Tensor")
        _LIBRARY.impl(name, _made, "CompositeExplicitAutograd")
        _defined[name] = getattr(torch.ops.onnx, name)
    return _defined[name]


def _made(operands: Sequence[Tensor], shape: Sequence[Any]) -> Tensor:
    return operands[0].new_empty(shape) if operands else torch.empty(shape)


def _unary(function: Callable[..., Any]) -> Rule:
    return lambda node: function(node.tensor())


def _binary(function: Callable[..., Any]) -> Rule:
    def rule(node: Operands) -> Any:
        first, second = node.scalar_or_tensor(0), node.scalar_or_tensor(1)
        if not isinstance(first, Tensor):
            first = (
                torch.as_tensor(first, dtype=second.dtype) if isinstance(second, Tensor) else node.tensor(0)
            )
        return function(first, second)

    return rule


def _folded(function: Callable[[Tensor, Tensor], Tensor]) -> Rule:
    """Max, Min, Sum, Mean of any number of operands."""

    def rule(node: Operands) -> Tensor:
        result = node.tensor()
        for index in range(1, len(node)):
            result = function(result, node.tensor(index))
        return result

    return rule


def _reduction(function: Callable[..., Any]) -> Rule:
    def rule(node: Operands) -> Tensor:
        x = node.tensor()
        axes = node.numbers("axes", 1)
        if axes is None and node.attribute("noop_with_empty_axes", 0):
            return x
        axes = list(range(x.ndim)) if axes is None else axes
        result: Tensor = function(x, axes, bool(node.attribute("keepdims", 1)))
        return result

    return rule


def _arg(function: Callable[..., Any]) -> Rule:
    return lambda node: function(
        node.tensor(), dim=node.attribute("axis", 0), keepdim=bool(node.attribute("keepdims", 1))
    )


def _batch_norm(node: Operands) -> Tensor:
    x, scale, bias, mean, variance = (node.tensor(index) for index in range(5))
    return functional.batch_norm(x, mean, variance, scale, bias, False, 0.0, node.attribute("epsilon", 1e-5))


def _instance_norm(node: Operands) -> Tensor:
    return functional.instance_norm(node.tensor(), weight=node.tensor(1), bias=node.tensor(2))


def _layer_norm(node: Operands) -> Tensor:
    x, axis = node.tensor(), node.attribute("axis", -1)
    return functional.layer_norm(x, x.shape[axis:], node.tensor(1), node.optional(2))


def _group_norm(node: Operands) -> Tensor:
    x = node.tensor()
    return functional.group_norm(
        x, node.attribute("num_groups"), _per_channel(node, 1, x), _per_channel(node, 2, x)
    )


def _per_channel(node: Operands, index: int, x: Tensor) -> Tensor:
    """Group normalisation; before opset 21, scale and bias have one number per group."""
    value = node.tensor(index)
    return value if value.shape[0] == x.shape[1] else value.repeat_interleave(x.shape[1] // value.shape[0])


def _pool(function: str, node: Operands) -> Tensor:
    x, kernel = node.tensor(), tuple(node.attribute("kernel_shape"))
    d = len(kernel)
    strides = tuple(node.attribute("strides", [1] * d))
    dilations = tuple(node.attribute("dilations", [1] * d))
    pads = same_padding(node, x, kernel, strides, dilations)
    ceil = bool(node.attribute("ceil_mode", 0))
    if any(pads):
        x = functional.pad(x, torch_pads(pads))
    if function == "max":
        pooled: Tensor = getattr(functional, f"max_pool{d}d")(x, kernel, strides, 0, dilations, ceil)
        return pooled
    averaged: Tensor = getattr(functional, f"avg_pool{d}d")(x, kernel, strides, 0, ceil)
    return averaged


def _global_pool(function: Callable[..., Any]) -> Rule:
    return lambda node: function(node.tensor(), list(range(2, node.tensor().ndim)), True)


def _softmax(function: Callable[..., Any]) -> Rule:
    return lambda node: function(node.tensor(), dim=node.attribute("axis", -1))


_UNARY: Mapping[str, Any] = {
    **{name: getattr(torch, name.lower()) for name in (
        "Sigmoid", "Tanh", "Erf", "Exp", "Log", "Sqrt", "Abs", "Neg", "Floor", "Ceil", "Round", "Sign",
        "Reciprocal", "Sin", "Cos", "IsNaN", "IsInf",
    )},
    **{name: getattr(functional, name.lower()) for name in (
        "Relu", "Softplus", "Softsign", "Mish", "HardSwish", "HardSigmoid", "Elu", "Celu", "Selu", "Gelu",
    )},
    "LeakyRelu": functional.leaky_relu, "Swish": functional.silu, "ThresholdedRelu": functional.relu,
    "Not": torch.logical_not, "Identity": lambda x: x,
}  # fmt: skip
_BINARY: Mapping[str, Any] = {
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Pow": torch.pow,
    "Mod": torch.remainder, "Equal": torch.eq, "Less": torch.lt, "LessOrEqual": torch.le,
    "Greater": torch.gt, "GreaterOrEqual": torch.ge, "And": torch.logical_and, "Or": torch.logical_or,
    "Xor": torch.logical_xor,
}  # fmt: skip
_REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "ReduceMean": torch.mean, "ReduceSum": torch.sum, "ReduceMax": torch.amax, "ReduceMin": torch.amin,
    "ReduceLogSumExp": torch.logsumexp, "ReduceProd": torch.amax,
}  # fmt: skip
_RULES: Mapping[str, Rule] = {
    **PRODUCTS,
    **SHAPES,
    **{name: _unary(function) for name, function in _UNARY.items()},
    **{name: _binary(function) for name, function in _BINARY.items()},
    **{name: _reduction(function) for name, function in _REDUCTIONS.items()},
    "ReduceL2": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep)),
    "ReduceL1": _reduction(lambda x, axes, keep: torch.linalg.vector_norm(x, 1, axes, keep)),
    "ReduceSumSquare": _reduction(lambda x, axes, keep: torch.sum(x * x, axes, keep)),
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Sum": _folded(torch.add),
    "CastLike": lambda node: node.tensor().to(node.tensor(1).dtype),
    "PRelu": lambda node: torch.where(node.tensor() > 0, node.tensor(), node.tensor() * node.tensor(1)),
    "ArgMax": _arg(torch.argmax),
    "ArgMin": _arg(torch.argmin),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "MaxPool": partial(_pool, "max"),
    "AveragePool": partial(_pool, "average"),
    "GlobalAveragePool": _global_pool(torch.mean),
    "GlobalMaxPool": _global_pool(torch.amax),
    "Softmax": _softmax(torch.softmax),
    "LogSoftmax": _softmax(torch.log_softmax),
}
