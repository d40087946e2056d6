"""Which axes of a network's inputs are symbols: `n,h,w`, `n,_,h,w`, `ids=b,s`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from costmodel.models.inputs import Inputs

Axes = dict[int | str, dict[int, str]]  # by argument: its position or its name; by axis: the symbol

_SYMBOLS = re.compile(r"(?:(?P<name>[^\W\d]\w*)=)?(?P<axes>[^\W\d]\w*(?:,[^\W\d]\w*)*)", re.ASCII)
FIXED = "_"


def parse(texts: Sequence[str], inputs: Inputs) -> Axes:
    """Parse symbols, one text per input; texts without a name belong to the positional inputs, in order.

    Three symbols for an input of four axes leave the second, the channels, as it is.

    Raises ValueError if a text does not name symbols, or does not fit its input.

    >>> from costmodel.models.inputs import parse as read
    >>> parse(["n,h,w"], read(["1,3,32,32"])), parse(["ids=b,s"], read(["ids=1,8:int64"]))
    ({0: {0: 'n', 2: 'h', 3: 'w'}}, {'ids': {0: 'b', 1: 's'}})
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
            raise ValueError(f"there is no input for the symbols {text}: the inputs are {inputs}")
        found[key] = _axes(matched["axes"].split(","), tuple(tensor.shape), text)
    _check_equal(found, args, kwargs)
    return found


def _axes(names: Sequence[str], shape: Sequence[int], text: str) -> dict[int, str]:
    if len(names) == len(shape):
        axes = dict(enumerate(names))
    elif len(names) == len(shape) - 1 and len(shape) >= 3:
        axes = dict(zip([0, *range(2, len(shape))], names, strict=True))
    else:
        sizes = ",".join(map(str, shape))
        raise ValueError(
            f"an input of {sizes} has {len(shape)} axes; give a symbol, or _, for each; got {text}"
        )
    named = {axis: name for axis, name in axes.items() if name != FIXED}
    if not named:
        raise ValueError(f"at least one axis must be a symbol; got {text}")
    return named


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


def given_sizes(symbols: Axes, inputs: Inputs) -> dict[str, int]:
    """Return the size of each symbol in the inputs."""
    args, kwargs = inputs.values("meta")
    tensors = {key: kwargs[key] if isinstance(key, str) else args[key] for key in symbols}
    return {name: tensors[key].shape[axis] for key, axes in symbols.items() for axis, name in axes.items()}
