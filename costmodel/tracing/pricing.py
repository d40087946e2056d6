"""From a dispatched call to a `Call` with its cost: the formula comes from the shapes that ran."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from costmodel.convention import Cost
from costmodel.operators import contraction, rules
from costmodel.operators.contraction import elements
from costmodel.sizes import Size
from costmodel.tracing.calls import Call, Shape
from costmodel.tracing.classify import kind_of
from costmodel.tracing.raw import Raw, Spec

Translate = Callable[[Any], Size]


class Shapes:
    """The shapes of a call's tensors, in numbers or in symbols."""

    def __init__(self, raw: Raw, size: Translate) -> None:
        self.raw = raw
        self._size = size
        self.inputs = tuple(map(self.of, raw.inputs))
        self.outputs = tuple(map(self.of, raw.outputs))

    def of(self, spec: Spec) -> Shape:
        """Return the shape of a tensor."""
        return tuple(map(self._size, spec.shape))

    def __getitem__(self, name: str) -> Shape:
        return self.of(self.raw.arguments[name])

    def flag(self, name: str) -> Any:
        """Return an argument that is not a tensor."""
        return self.raw.arguments.get(name)


def _convolution(s: Shapes) -> tuple[Size, Size]:
    macs = contraction.convolution_macs(
        s["input"], s["weight"], s.outputs[0], transposed=bool(s.flag("transposed"))
    )
    return macs, elements(s.outputs[0]) if isinstance(s.flag("bias"), Spec) else 0


def _convolution_gradients(s: Shapes) -> tuple[Size, Size]:
    return sum(gradients_of_convolution(s)), 0


def gradients_of_convolution(s: Shapes) -> tuple[Size, Size]:
    """Return the MACs of the input and weight gradients that a call computes."""
    transposed = bool(s.flag("transposed"))
    macs = contraction.convolution_macs(s["input"], s["weight"], s["grad_output"], transposed=transposed)
    to_input, to_weight = s.flag("output_mask")[:2]
    return macs if to_input else 0, macs if to_weight else 0


def _first_two(s: Shapes) -> tuple[Size, Size]:
    return contraction.matmul_macs(s.inputs[0], s.inputs[1], s.outputs[0]), 0


def _added(s: Shapes) -> tuple[Size, Size]:
    """addmm, baddbmm, addmv: the first argument is added; it is a bias."""
    macs = contraction.matmul_macs(s.inputs[1], s.inputs[2], s.outputs[0])
    return macs, 0 if _ignores_first(s.raw) else elements(s.outputs[0])


def _addbmm(s: Shapes) -> tuple[Size, Size]:
    macs = elements(s.inputs[1]) * s.inputs[2][-1]
    return macs, 0 if _ignores_first(s.raw) else elements(s.outputs[0])


def _ignores_first(raw: Raw) -> bool:
    """Return whether a factor of 0 keeps torch from reading the operand to be added."""
    return raw.base in _ADDED and raw.arguments.get("beta") == 0


def _linear(s: Shapes) -> tuple[Size, Size]:
    macs = elements(s.outputs[0]) * s["weight"][-1]
    return macs, elements(s.outputs[0]) if isinstance(s.flag("bias"), Spec) else 0


def _dot(s: Shapes) -> tuple[Size, Size]:
    return elements(s.inputs[0]), 0


def _trilinear(s: Shapes) -> tuple[Size, Size]:
    expanded = [s.flag(f"expand{k}") for k in (1, 2, 3)]
    return contraction.trilinear_macs(s.inputs, expanded, s.flag("sumdim")), 0


def _attention(s: Shapes) -> tuple[Size, Size]:
    return contraction.attention_macs(s["query"], s["key"], s["value"]), 0


def _per_coordinate(s: Shapes) -> tuple[Size, Size]:
    """Distances, and grids of positions: each output element sums over the last axis of the first operand."""
    return elements(s.outputs[0]) * s.inputs[0][-1], 0


_ADDED = ("addmm", "baddbmm", "addmv", "_addmm_activation", "addbmm")

# An operator by its `base` -> its kind, and the MACs and bias additions of a call.
FORMULAS: Mapping[str, tuple[str, Callable[[Shapes], tuple[Size, Size]]]] = {
    **dict.fromkeys(
        ("convolution", "_convolution", "convolution_overrideable", "_slow_conv2d_forward",
         "conv_depthwise3d", "_conv_depthwise2d", "slow_conv3d_forward", "mkldnn_convolution",
         "torchvision.deform_conv2d"),
        ("convolution", _convolution),
    ),
    "convolution_backward": ("convolution", _convolution_gradients),
    **dict.fromkeys(("mm", "bmm", "mv", "_int_mm", "matmul", "_scaled_mm"), ("matmul", _first_two)),
    **dict.fromkeys(_ADDED, ("matmul", _added)),
    "addbmm": ("matmul", _addbmm),
    "linear": ("matmul", _linear),
    "dot": ("matmul", _dot),
    "vdot": ("matmul", _dot),
    "_trilinear": ("bilinear", _trilinear),
    **dict.fromkeys(
        ("_cdist_forward", "_euclidean_dist", "_pdist_forward", "affine_grid_generator",
         "cudnn_affine_grid_generator"),
        ("matmul", _per_coordinate),
    ),
    **dict.fromkeys(
        ("_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_for_cpu",
         "_scaled_dot_product_efficient_attention", "_scaled_dot_product_cudnn_attention",
         "_scaled_dot_product_fused_attention_overrideable"),
        ("attention", _attention),
    ),
}  # fmt: skip

_ATTENTION = frozenset({"scaled_dot_product_attention", "multi_head_attention_forward"})
_BIASED = frozenset({"linear", "bilinear", "conv1d", "conv2d", "conv3d"})
_BAGS = ("_embedding_bag", "_embedding_bag_forward_only")
_LOOK_UPS = ("index", "index_select", "gather", "_unsafe_index")
_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell"}) | {
    "rnn_tanh_cell",
    "rnn_relu_cell",
}


def price(raw: Raw, size: Translate) -> Call:
    """Return a call with its cost; `size` turns torch's sizes into ours."""
    shapes = Shapes(raw, size)
    found = FORMULAS.get(raw.base)
    if found is None:
        return _without_products(raw, shapes)
    kind, formula = found
    macs, bias = formula(shapes)
    parts = {"bias": bias} if not _is_zero(bias) else {}
    cost = Cost(macs=macs, activations=elements(shapes.outputs[0]), bias_ops=bias)
    call = _call(raw, shapes, _kind_by_function(raw, kind), cost, parts)
    if formula is not _convolution_gradients:
        return call
    return replace(
        call, without_groups=gradients_of_convolution(shapes)[1] * (size(shapes.flag("groups")) - 1)
    )


def _kind_by_function(raw: Raw, kind: str) -> str:
    if raw.function in _RECURRENT:
        return "recurrent"
    if kind == "matmul" and any(spec.of_weights for spec in raw.inputs):
        return "linear"
    return "attention" if raw.function in _ATTENTION else kind


def _without_products(raw: Raw, shapes: Shapes) -> Call:
    kind = kind_of(raw)
    if kind == "add" and _is_bias(raw):
        ops = elements(shapes.outputs[0])
        return _call(raw, shapes, "add", _moved(shapes, Cost(bias_ops=ops)), {"bias": ops})
    if kind in rules.RULES:
        rule = rules.RULES[kind]
        ops = rule.ops(shapes.inputs, shapes.outputs)
        work = Cost(**{rules.COST_FIELDS[rule.part]: ops})
        return _call(raw, shapes, kind, _moved(shapes, work), {rule.part: ops})
    reason = f"no formula for {raw.name}" if kind == "unknown" else ""
    cost = Cost() if kind in ("view", "unknown") else _moved(shapes, Cost())
    return _call(raw, shapes, kind, cost, {}, reason)


def _is_bias(raw: Raw) -> bool:
    """Return whether an addition adds a bias: a vector that depends only on parameters."""
    return raw.function in _BIASED or any(spec.of_weights and _is_vector(spec) for spec in raw.inputs)


def _is_vector(spec: Spec) -> bool:
    return [extent != 1 for extent in spec.shape].count(True) == 1


def _moved(shapes: Shapes, work: Cost) -> Cost:
    return work + Cost(other_outputs=sum(map(elements, shapes.outputs)))


def _call(
    raw: Raw, shapes: Shapes, kind: str, cost: Cost, parts: Mapping[str, Size], reason: str = ""
) -> Call:
    read, written = (0, 0), (0, 0)
    if kind != "view":
        read, written = _read(raw, shapes, kind), _sums(raw.outputs, shapes.outputs)
        cost = cost + Cost(elements_read=read[0], elements_written=written[0], calls=1)
    names = dict.fromkeys(spec.parameter for spec in raw.inputs if spec.parameter)
    return Call(
        raw.name,
        raw.function,
        raw.module,
        raw.execution,
        kind,
        shapes.inputs,
        shapes.outputs,
        cost,
        parts,
        read[1],
        written[1],
        tuple(names),
        reason,
        kind not in ("view", "creation", "random") and all(spec.of_weights for spec in raw.inputs),
        of_complex=_is_of_complex(raw, kind),
    )


def _is_of_complex(raw: Raw, kind: str) -> bool:
    """Return whether a product is one of complex numbers; torch makes several real ones of a convolution."""
    is_split = raw.base == "view_as_real" and "conv" in raw.function
    return is_split or (kind in rules.MULTIPLYING and any(spec.dtype.is_complex for spec in raw.inputs))


def _read(raw: Raw, shapes: Shapes, kind: str) -> tuple[Size, Size]:
    """Return the elements and bytes that a call reads; a look-up reads its indices and the selected rows.

    The gradient of a look-up selects no rows: it reads its inputs once, as other operators do.
    """
    if raw.base in _BAGS:
        table, ids = shapes.inputs[:2]
        rows = elements(ids) * table[-1]
        where = _sums(raw.inputs[1:], shapes.inputs[1:])
        return rows + where[0], rows * raw.inputs[0].item_bytes + where[1]
    if raw.base in _LOOK_UPS or (kind == "embedding" and "backward" not in raw.base):
        found = _sums(raw.outputs[:1], shapes.outputs[:1])
        where = _sums(raw.inputs[1:], shapes.inputs[1:])
        return found[0] + where[0], found[1] + where[1]
    first = 1 if _ignores_first(raw) else 0
    return _sums(raw.inputs[first:], shapes.inputs[first:])


def _sums(specs: tuple[Spec, ...], shapes: tuple[Shape, ...]) -> tuple[Size, Size]:
    count: Size = 0
    size: Size = 0
    for spec, shape in zip(specs, shapes, strict=True):
        count += elements(shape)
        size += spec.item_bytes * elements(shape)
    return count, size


def _is_zero(value: Size) -> bool:
    return isinstance(value, int) and value == 0
