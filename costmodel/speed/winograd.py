"""The products that this package's kernels compute: fewer than the MACs, by Winograd's method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from costmodel.operators.recorder import Operator
from costmodel.speed.roofline import channels_of

PRODUCTS = Fraction(4, 9)  # of F(2x2, 3x3), per MAC
TRANSFORMS = 3  # transforms cost 3/c_out of the MACs: fitted to measured layers


def by_winograd(operator: Operator) -> Operator:
    """Return an operator whose MACs are the products of Winograd's method plus the cost of its transforms.

    Source of the method: Lavin and Gray (2016), section 4.1. Any 9 taps count as 3 x 3.
    Maps must be whole tiles of 2 x 4 pixels.

    >>> from costmodel.operators.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> _ = rec.conv("a", FeatureMap(16, (8, 8), "x"), 16, 3)
    >>> by_winograd(rec.operators[0]).cost.macs / rec.operators[0].cost.macs
    Fraction(91, 144)
    """
    return _scaled(operator, TRANSFORMS)


def products(operator: Operator) -> Operator:
    """Return an operator with the method's products for MACs, without its transforms.

    >>> from costmodel.operators.recorder import FeatureMap, Recorder
    >>> rec = Recorder()
    >>> _ = rec.conv("a", FeatureMap(16, (8, 8), "x"), 16, 3)
    >>> products(rec.operators[0]).cost.macs / rec.operators[0].cost.macs
    Fraction(4, 9)
    """
    return _scaled(operator, 0)


def layer_by_winograd(layer: Sequence[Operator], *, training: bool) -> list[Operator]:
    """Return the operators as `by_winograd` does, but the common maps of low paths are transformed once."""
    if not shares_maps(layer, training=training):
        return [by_winograd(operator) for operator in layer]
    return [_in_shared(op) if _path(op) in _LOW_PATHS else by_winograd(op) for op in layer]


def shares_maps(layer: Sequence[Operator], *, training: bool) -> bool:
    """Whether LL, HL and LH are computed together: `joins_winograd` in pwoct/plan/shared/choose.py.

    In training, channels must be multiples of 4.
    """
    paths = {_path(operator): operator for operator in layer if _path(operator) in _LOW_PATHS}
    if len(paths) < len(_LOW_PATHS) or not all(map(_is_plain, paths.values())):
        return False
    if len({operator.size for operator in paths.values()}) > 1:
        return False
    (low, across), pooled = (channels_of(paths["lh"])), channels_of(paths["hl"])[0]
    sides = (low + pooled, channels_of(paths["ll"])[1] + across)
    is_whole = not any(c % 4 for op in paths.values() for c in channels_of(op))
    fits = sides[0] >= 4 and sides[1] >= 8
    return fits and (not training or (is_whole and sides[0] >= 8))


_LOW_PATHS = ("ll", "hl", "lh")


def _path(operator: Operator) -> str:
    """Return the path that a convolution is, such as "ll"; "" for other operators."""
    return operator.name.rpartition(".")[2] if operator.part == "conv" else ""


def _in_shared(operator: Operator) -> Operator:
    """Return a low path without transforms shared with LL: of the input for LH, of the gradient for HL."""
    (c_in, c_out), path = channels_of(operator), _path(operator)
    of_input, of_output = (TRANSFORMS * int(path != shared) for shared in ("lh", "hl"))
    share = PRODUCTS + Fraction(of_input, c_out)
    cost = operator.cost
    changed = replace(
        cost,
        macs=cost.macs * share,
        macs_input_grad=cost.macs_input_grad * (PRODUCTS + Fraction(of_output, c_in)),
        macs_weight_grad=cost.macs_weight_grad * share,
    )
    return replace(operator, cost=changed)


def _is_plain(operator: Operator) -> bool:
    """Whether it is a 3x3 convolution with stride 1 whose output has whole tiles."""
    if operator.part != "conv":
        return False
    cost, (c_in, c_out) = operator.cost, channels_of(operator)
    pixels_in = Fraction(int(cost.elements_read - cost.weights - cost.biases), c_in)
    if cost.weights != 9 * c_in * c_out or pixels_in != Fraction(int(cost.activations), c_out):
        return False  # another kernel or stride
    return _has_whole_tiles(operator)


def _scaled(operator: Operator, transforms: int) -> Operator:
    if not _is_plain(operator):
        return operator
    cost, (c_in, c_out) = operator.cost, channels_of(operator)
    changed = replace(
        cost,
        macs=cost.macs * _share(c_in, c_out, transforms),
        macs_input_grad=cost.macs_input_grad * _share(c_out, c_in, transforms),
        macs_weight_grad=cost.macs_weight_grad * _share_of_weights(c_in, c_out, transforms),
    )
    return replace(operator, cost=changed)


def _has_whole_tiles(operator: Operator) -> bool:
    if operator.size is None:
        raise ValueError(f"{operator.name} was recorded without the size of its output")
    height, width = (int(n) for n in operator.size)
    return height % 2 == 0 and width % 4 == 0


def _share(c_in: int, c_out: int, transforms: int) -> Fraction:
    """Return the share of the MACs that is left; see `uses_winograd` in pwoct/plan/shared/choose.py."""
    return PRODUCTS + Fraction(transforms, c_out) if c_in >= 4 and c_out >= 8 else Fraction(1)


def _share_of_weights(c_in: int, c_out: int, transforms: int) -> Fraction:
    """Return the share of the MACs of the weights' gradient, which is computed for 4 x 4 channels at once."""
    return _share(c_in, c_out, transforms) if c_in % 4 == c_out % 4 == 0 else Fraction(1)
