"""ONNX operators with MACs (convolutions, matrix products), in terms of torch's functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from costmodel.models.onnx_node import Operands


def torch_pads(pads: Sequence[Any]) -> list[Any]:
    """Convert ONNX's padding, all begins and then all ends, to torch's order: pairs from the last axis on."""
    d = len(pads) // 2
    return [pads[axis + end * d] for axis in reversed(range(d)) for end in (0, 1)]


def same_padding(
    node: Operands, x: Tensor, kernel: Sequence[Any], strides: Sequence[int], dilations: Sequence[int]
) -> list[Any]:
    """Return the padding of a window: given, or such that the output is size / stride (`auto_pad`)."""
    d = len(kernel)
    mode = node.attribute("auto_pad", "NOTSET")
    if not mode.startswith("SAME"):
        return list(node.attribute("pads", [0] * 2 * d)) if mode == "NOTSET" else [0] * 2 * d
    before, after = [], []
    for size, k, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        total = (-(-size // stride) - 1) * stride + (k - 1) * dilation + 1 - size
        total = max(total, 0)
        less, more = total // 2, total - total // 2
        before.append(less if mode == "SAME_UPPER" else more)
        after.append(more if mode == "SAME_UPPER" else less)
    return [*before, *after]


def _convolution(node: Operands) -> Tensor:
    x, weight = node.tensor(0), node.tensor(1)
    d = x.ndim - 2
    strides = list(node.attribute("strides", [1] * d))
    dilations = list(node.attribute("dilations", [1] * d))
    pads = same_padding(node, x, list(weight.shape[2:]), strides, dilations)
    padding = pads[:d]
    if pads[:d] != pads[d:]:
        x, padding = functional.pad(x, torch_pads(pads)), [0] * d
    groups = node.attribute("group", 1)
    function = (functional.conv1d, functional.conv2d, functional.conv3d)[d - 1]
    sizes = (tuple(strides), tuple(padding), tuple(dilations))  # as counters that replace functions expect
    return function(x, weight, node.optional(2), *sizes, groups)


def _transposed(node: Operands) -> Tensor:
    x, weight = node.tensor(0), node.tensor(1)
    d = x.ndim - 2
    strides = list(node.attribute("strides", [1] * d))
    dilations = list(node.attribute("dilations", [1] * d))
    added = list(node.attribute("output_padding", [0] * d))
    pads = _transposed_pads(node, x, weight, strides, dilations, added)
    least = [min(pair) for pair in zip(pads[:d], pads[d:], strict=True)]
    function: Any = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[
        d - 1
    ]
    y: Tensor = function(
        x,
        weight,
        node.optional(2),
        tuple(strides),
        tuple(least),
        tuple(added),
        node.attribute("group", 1),
        tuple(dilations),
    )
    uneven = [side - least[axis % d] for axis, side in enumerate(pads)]
    return functional.pad(y, [-side for side in torch_pads(uneven)]) if any(uneven) else y


def _transposed_pads(
    node: Operands, x: Tensor, weight: Tensor, strides: list[int], dilations: list[int], added: list[int]
) -> list[Any]:
    """Return the padding of a transposed convolution: given, or implied by the output's shape."""
    d = x.ndim - 2
    wanted = node.attribute("output_shape")
    mode = node.attribute("auto_pad", "NOTSET")
    if wanted is None and not mode.startswith("SAME"):
        return list(node.attribute("pads", [0] * 2 * d))
    sizes = list(wanted)[-d:] if wanted else [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    total = [
        max(s * (n - 1) + a + (k - 1) * dilation + 1 - size, 0)
        for n, s, a, k, dilation, size in zip(
            x.shape[2:], strides, added, weight.shape[2:], dilations, sizes, strict=True
        )
    ]
    return [*(t // 2 for t in total), *(t - t // 2 for t in total)]


def _gemm(node: Operands) -> Tensor:
    a, b = node.tensor(0), node.tensor(1)
    a = a.t() if node.attribute("transA", 0) else a
    b = b if node.attribute("transB", 0) else b.t()
    bias = node.optional(2)
    if bias is not None and bias.ndim > 1:
        return functional.linear(a, b) + bias
    return functional.linear(a, b, bias)


def _matmul(node: Operands) -> Tensor:
    return torch.matmul(node.tensor(0), node.tensor(1))


def _einsum(node: Operands) -> Tensor:
    return torch.einsum(node.attribute("equation"), [node.tensor(i) for i in range(len(node))])


def _attention(node: Operands) -> tuple[Tensor, ...]:
    """Attention (opset 23): heads along an axis, or in the last one; keys and values of the past come first.

    The scores, its last result, have the shape that ONNX defines.
    """
    q, k, v = (node.tensor(index) for index in range(3))
    merged = q.ndim == 3
    if merged:
        heads = [node.attribute(name) for name in ("q_num_heads", "kv_num_heads", "kv_num_heads")]
        q, k, v = (
            x.reshape(*x.shape[:2], h, -1).transpose(1, 2) for x, h in zip((q, k, v), heads, strict=True)
        )
    if 4 in node and 5 in node:
        k, v = torch.cat([node.tensor(4), k], 2), torch.cat([node.tensor(5), v], 2)
    causal = bool(node.attribute("is_causal", 0))
    mask = None if causal else node.optional(3)
    grouped = q.shape[1] != k.shape[1]
    y = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, enable_gqa=grouped)
    scores = q.new_empty((*q.shape[:3], k.shape[2]))
    return (y.transpose(1, 2).flatten(2) if merged else y), k, v, scores


def _recurrent(function: str, states: int) -> Callable[[Operands], tuple[Tensor, ...]]:
    """LSTM, GRU, RNN: W, R and B hold the weights of both directions along their first axis."""

    def rule(node: Operands) -> tuple[Tensor, ...]:
        x, w, r, b = node.tensor(0), node.tensor(1), node.tensor(2), node.optional(3)
        x = x.transpose(0, 1) if node.attribute("layout", 0) else x
        directions, width = w.shape[0], node.attribute("hidden_size") or r.shape[-1]
        weights: list[Tensor] = []
        for d in range(directions):
            weights += [w[d], r[d]]
            weights += list(b[d].chunk(2)) if b is not None else []
        start = [x.new_zeros(directions, x.shape[1], width) for _ in range(states)]
        run: Any = getattr(torch, function)
        state: Any = tuple(start) if states == 2 else start[0]
        options = (b is not None, 1, 0.0, False, directions == 2, False)
        y, *last = run(x, state, weights, *options)
        return (y.unflatten(-1, (directions, width)).transpose(1, 2), *last)

    return rule


PRODUCTS: Mapping[str, Callable[[Operands], Any]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Einsum": _einsum,
    "Attention": _attention,
    "LSTM": _recurrent("lstm", 2),
    "GRU": _recurrent("gru", 1),
    "RNN": _recurrent("rnn_tanh", 1),
}
