"""Inputs of a network as text: `1,3,224,224`, `mask=2,64:bool`, `ids=1,128:int64<30522`.

Counts depend only on shapes, so values are drawn from a seeded generator; integers are drawn below their
bound, since an embedding has a limited number of rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map_only

from costmodel.models.finding import attribute_of
from costmodel.models.foreign import foreign
from costmodel.models.names import parse as parse_name

DTYPES: Mapping[str, torch.dtype] = {
    name: getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "complex64", "complex128"),
        *("int64", "int32", "int16", "int8", "uint8", "bool"),
    )
}
_INPUT = re.compile(
    r"(?:(?P<name>[^\W\d]\w*)=)?(?P<shape>scalar|\d+(?:,\d+)*)(?::(?P<dtype>\w+))?(?:<(?P<high>\d+))?",
    re.ASCII,
)
LARGEST_SIDE = 10**9
EXAMPLES = "1,3,224,224, x=2,3,64,64, mask=2,64:bool or ids=1,128:int64<30522"


@dataclass(frozen=True)
class Input:
    """One input: its shape, dtype, keyword if any, and the exclusive upper bound of integers."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    name: str = ""
    high: int | None = None

    def __str__(self) -> str:
        text = ",".join(map(str, self.shape)) or "scalar"
        text = f"{self.name}={text}" if self.name else text
        text += f":{self.dtype}" if self.dtype != "float32" else ""
        return text if self.high is None else f"{text}<{self.high}"

    def tensor(self, device: str = "cpu", generator: torch.Generator | None = None) -> Tensor:
        """Return the input: without data on the meta device, otherwise drawn from a generator."""
        dtype = DTYPES[self.dtype]
        if device == "meta":
            return torch.empty(self.shape, dtype=dtype, device="meta")
        if dtype.is_floating_point or dtype.is_complex:
            return torch.randn(self.shape, generator=generator, dtype=torch.float32).to(dtype)
        if dtype is torch.bool and self.high is None:
            return torch.ones(self.shape, dtype=dtype)  # a mask that masks no element
        return torch.randint(self.high or 1, self.shape, generator=generator).to(dtype)


@dataclass(frozen=True)
class Inputs:
    """All inputs of a network: parsed from text, or returned by a function."""

    given: tuple[Input, ...] = ()
    made: tuple[tuple[Any, ...], Mapping[str, Any]] | None = None
    source: str = ""

    def __str__(self) -> str:
        return self.source or " ".join(map(str, self.given)) or "none"

    def values(self, device: str = "cpu", seed: int = 0) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments on a device; a seed draws the values that are not given."""
        if self.made is not None:
            args, kwargs = self.made
            return _moved(args, device), dict(_moved(kwargs, device))
        generator = torch.Generator().manual_seed(seed)
        tensors = [(given.name, given.tensor(device, generator)) for given in self.given]
        return tuple(t for name, t in tensors if not name), {name: t for name, t in tensors if name}

    @property
    def shapes(self) -> list[str]:
        """The shapes of the tensors, as text."""
        args, kwargs = self.values("meta")
        return ["x".join(map(str, t.shape)) or "scalar" for t in tree_leaves((args, kwargs)) if _is_tensor(t)]


def parse(texts: Sequence[str]) -> Inputs:
    """Parse inputs, one per text; those with a name are passed by keyword.

    Raises ValueError if a text is not an input, a name is given twice, or a shape is out of range.

    >>> str(parse(["2,3,64,64", "ids=1,128:int64<30522"]))
    '2,3,64,64 ids=1,128:int64<30522'
    """
    given = tuple(map(parse_one, texts))
    names = [one.name for one in given if one.name]
    if len(set(names)) < len(names):
        raise ValueError(f"each input needs its own name, got {' '.join(texts)}")
    return Inputs(given)


def parse_one(text: str) -> Input:
    """Parse one input."""
    found = _INPUT.fullmatch(text)
    if found is None:
        raise ValueError(f"an input is a shape such as {EXAMPLES}; got {text or 'nothing'}")
    shape = () if found["shape"] == "scalar" else tuple(map(int, found["shape"].split(",")))
    _check_shape(shape, text)
    dtype = found["dtype"] or ("float32" if found["high"] is None else "int64")
    if dtype not in DTYPES:
        raise ValueError(f"the dtype of an input is one of {', '.join(DTYPES)}; got {dtype} in {text}")
    high = None if found["high"] is None else int(found["high"])
    if high is not None:
        _check_high(high, dtype, text)
    return Input(shape, dtype, found["name"] or "", high)


def _check_shape(shape: Sequence[int], text: str) -> None:
    elements = 1
    for side in shape:
        elements *= side
        if not 1 <= side <= LARGEST_SIDE or elements >= 2**48:
            raise ValueError(f"an input has sizes of 1 or more, and fewer than 2^48 elements; got {text}")


def _check_high(high: int, dtype: str, text: str) -> None:
    kind = DTYPES[dtype]
    if kind.is_floating_point or kind.is_complex or kind is torch.bool:
        raise ValueError(f"only integers have a bound, such as ids=1,128:int64<30522; got {text}")
    most = torch.iinfo(kind).max + 1
    if not 1 <= high <= most:
        raise ValueError(f"the bound of an input of {dtype} is from 1 to {most}; got {text}")


def made_by(text: str) -> Inputs:
    """Call a function that makes inputs, such as file.py:make_inputs.

    It returns a tensor, a tuple of arguments, a dictionary of keyword arguments, or (tuple, dictionary).
    Raises ValueError if there is no such function, it fails, or it returns no tensor.
    """
    name = parse_name(text)
    if name.source not in ("file", "module"):
        raise ValueError(f"--inputs takes a function such as file.py:make_inputs; got {text}")
    function = attribute_of(name)
    if not callable(function):
        raise ValueError(f"{name.called} must be a function that makes inputs, got {type(function).__name__}")
    with foreign(f"{name.called}() failed"):
        made = _arguments(function(*name.arguments, **name.options))
    if not any(map(_is_tensor, tree_leaves(made))):
        raise ValueError(f"{name.called}() must return tensors, got none")
    return Inputs(made=made, source=text)


def _arguments(value: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(value, Mapping):
        return (), dict(value)
    if not isinstance(value, tuple | list):
        return (value,), {}
    if len(value) == 2 and isinstance(value[0], tuple | list) and isinstance(value[1], Mapping):
        return tuple(value[0]), dict(value[1])
    return tuple(value), {}


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def _moved(value: Any, device: str) -> Any:
    """Copy tensors to a device: code that changes its inputs does not change the given ones."""
    return tree_map_only(Tensor, lambda t: t.detach().to(device, copy=True), value)
