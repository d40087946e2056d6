"""Which axes of a network's inputs are symbols: `n,_,h,w`, `ids=b,s`.

Names stand for axes in order, one name per axis; `_` keeps an axis a number. There is one short form:
`n,h,w` for images, inputs of four axes, means `n,_,h,w`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from keyword import iskeyword

from torch import Tensor

from costmodel.models.inputs import Inputs

Axes = dict[int | str, dict[int, str]]  # by argument: its position or its name; by axis: the symbol

_SYMBOLS = re.compile(r"(?:(?P<name>[^\W\d]\w*)=)?(?P<axes>[^\W\d]\w*(?:,[^\W\d]\w*)*)", re.ASCII)
FIXED = "_"
IMAGES = ("n", "h", "w")  # the short form, for inputs of four axes


def parse(texts: Sequence[str], inputs: Inputs) -> Axes:
    """Parse symbols, one text per input; texts without a name belong to the positional inputs, in order.

    Raises ValueError if a text does not name symbols, or does not have one name for each axis of its input.

    >>> from costmodel.models.inputs import parse as read
    >>> parse(["n,h,w"], read(["1,3,32,32"])), parse(["ids=b,s"], read(["ids=1,8:int64"]))
    ({0: {0: 'n', 2: 'h', 3: 'w'}}, {'ids': {0: 'b', 1: 's'}})
    >>> parse(["_,c,h,w"], read(["1,3,32,32"])), parse(["n,h,w"], read(["1,5,8"]))
    ({0: {1: 'c', 2: 'h', 3: 'w'}}, {0: {0: 'n', 1: 'h', 2: 'w'}})
    """
    args, kwargs = inputs.values("meta")
    found: Axes = {}
    for text in texts:
        matched = _SYMBOLS.fullmatch(text)
        if matched is None:
            raise ValueError(f"symbols are names of axes such as n,h,w or ids=b,s; got {text or 'nothing'}")
        key: int | str = matched["name"] or sum(isinstance(known, int) for known in found)
        tensor = kwargs.get(key) if isinstance(key, str) else args[key] if key < len(args) else None
        if not isinstance(tensor, Tensor):
            raise ValueError(f"there is no input for the symbols {text}: {_described(inputs)}")
        if key in found:
            raise ValueError(f"the symbols of an input are given once; got {' '.join(texts)}")
        found[key] = _axes(matched["axes"].split(","), tuple(tensor.shape), text)
    _check_equal(found, args, kwargs)
    return found


def default(inputs: Inputs) -> list[str]:
    """Return the symbols of a network on images; other networks have none by default.

    Raises ValueError if the first positional input is not an image.
    """
    args, _ = inputs.values("meta")
    first = args[0] if args else None
    if not isinstance(first, Tensor) or first.ndim != len(IMAGES) + 1:
        raise ValueError(f"give --symbols, one name or _ for each axis: {_described(inputs)}")
    return [",".join(IMAGES)]


def _described(inputs: Inputs) -> str:
    """Return what the inputs are, as text: those that a function makes may be nested."""
    if inputs.made is None:
        return f"the inputs are {inputs}"
    args, kwargs = inputs.values("meta")
    named = [*((f"argument {k}", value) for k, value in enumerate(args)), *kwargs.items()]
    said = ", ".join(f"{name} ({_what(value)})" for name, value in named)
    nested = any(not isinstance(value, Tensor) for _, value in named)
    which = "; symbols name axes of tensors that are arguments themselves" if nested else ""
    return f"the inputs are {said}{which}"


def _what(value: object) -> str:
    if isinstance(value, Tensor):
        return ",".join(map(str, value.shape)) or "scalar"
    return type(value).__name__


def _axes(names: Sequence[str], shape: Sequence[int], text: str) -> dict[int, str]:
    if tuple(names) == IMAGES and len(shape) == len(IMAGES) + 1:
        names = ("n", FIXED, "h", "w")
    if not shape:
        raise ValueError(f"an input without axes has no symbols; got {text}")
    if unusable := [name for name in names if iskeyword(name)]:
        raise ValueError(f"{unusable[0]} is a Python keyword, and can't name an axis; got {text}")
    if len(names) != len(shape):
        sizes = ",".join(map(str, shape)) or "scalar"
        raise ValueError(
            f"an input of {sizes} needs {len(shape)} symbols, one name or _ for each axis, "
            f"such as {_full_form(names, len(shape))}; got {text}"
        )
    named = {axis: name for axis, name in enumerate(names) if name != FIXED}
    if not named:
        raise ValueError(f"at least one axis must be a symbol; got {text}")
    return named


def _full_form(names: Sequence[str], axes: int) -> str:
    """Return an example with one name for each axis, made from the given names if these are too few."""
    if axes == len(IMAGES) + 1:
        return "n,_,h,w"
    return ",".join([*names, *[FIXED] * axes][:axes])


def _check_equal(found: Axes, args: Sequence[Tensor], kwargs: Mapping[str, Tensor]) -> None:
    """One name is one size: all its axes must have the same size in the given inputs."""
    sizes: dict[str, int] = {}
    for key, axes in found.items():
        tensor = kwargs[key] if isinstance(key, str) else args[key]
        for axis, name in axes.items():
            if sizes.setdefault(name, tensor.shape[axis]) != tensor.shape[axis]:
                raise ValueError(
                    f"{name} is one size, but the inputs have {sizes[name]} and {tensor.shape[axis]}"
                )
