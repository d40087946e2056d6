"""Concatenation, splitting and shuffling of channels: branch by branch, by channel index."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any
from weakref import ref

import torch
from torch import Tensor

from pwoct.conversion.layout import BranchLayout, is_run, take
from pwoct.conversion.rules.registry import Function, operator_of, rule
from pwoct.conversion.tensor import OctaveTensor, as_pair, conform

CHANNELS = (1, -3)


@rule("cat", "concat", "concatenate")
def concatenated(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Concatenate each branch; a plain map joins the high branch unchanged."""
    del func
    maps = args[0] if args else kwargs.get("tensors")
    dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis", 0))
    if dim not in CHANNELS or not maps or any(_is_no_map(x) for x in maps):
        return NotImplemented
    pairs = [as_pair(x) for x in maps]
    if any(tuple(x.map_size) != tuple(pairs[0].map_size) for x in pairs):
        return NotImplemented
    closes = any(x.closes for x in pairs)
    if closes:
        pairs = [conform(x, BranchLayout.plain(x.shape[1])) for x in pairs]
    starts = accumulate((x.shape[1] for x in pairs[:-1]), initial=0)
    layouts = [x.channels_of.shifted(start) for x, start in zip(pairs, starts, strict=True)]
    layout = BranchLayout(sum((p.high for p in layouts), ()), sum((p.low for p in layouts), ()))
    high, low = (_joined(branch) for branch in zip(*((x.high, x.low) for x in pairs), strict=True))
    origins = frozenset().union(*(x.origins for x in pairs))
    return OctaveTensor(high, low, layout, pairs[0].map_size, origins, closes=closes)


def _is_no_map(x: Any) -> bool:
    return not isinstance(x, OctaveTensor) and (not isinstance(x, Tensor) or x.dim() != 4)


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    some = [part for part in parts if part is not None]
    return None if not some else some[0] if len(some) == 1 else torch.cat(some, 1)


@rule("chunk", "split", "split_with_sizes")
def divided(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Split the channels into parts of one size, into a number of parts, or into parts of given sizes."""
    x, rest = args[0], args[1:]
    dim = rest[1] if len(rest) > 1 else kwargs.get("dim", 0)
    given = rest[0] if rest else next((v for k, v in kwargs.items() if k != "dim"), None)
    if not isinstance(x, OctaveTensor) or dim not in CHANNELS or given is None:
        return NotImplemented
    c = x.shape[1]
    if isinstance(given, int):
        size = -(-c // given) if operator_of(func) == "chunk" else given
        sizes = [min(size, c - start) for start in range(0, c, size)]
    else:
        sizes = [*given]
    starts = accumulate(sizes, initial=0)
    return tuple(selected(x, range(start, start + size)) for start, size in zip(starts, sizes, strict=False))


@rule("getitem")
def indexed(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Select channels by a slice: x[:, a:b]."""
    del func, kwargs
    x, index = args
    whole = slice(None)
    if not (isinstance(x, OctaveTensor) and isinstance(index, tuple) and len(index) >= 2):
        return NotImplemented
    is_of_channels = index[0] == whole and isinstance(index[1], slice)
    if not is_of_channels or any(i is not Ellipsis and i != whole for i in index[2:]):
        return NotImplemented
    return selected(x, [*range(*index[1].indices(x.shape[1]))])


@rule("narrow")
def narrowed(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Select adjacent channels."""
    del func, kwargs
    if len(args) != 4 or args[1] not in CHANNELS or not isinstance(args[0], OctaveTensor):
        return NotImplemented
    return selected(args[0], range(args[2], args[2] + args[3]))


def selected(x: OctaveTensor, channels: Sequence[int]) -> OctaveTensor:
    """Return a map of some of the channels, in the given order."""
    wanted, are_copies = set(channels), False
    branches: list[Tensor | None] = []
    for branch, held in ((x.high, x.channels_of.high), (x.low, x.channels_of.low)):
        kept = [k for k, channel in enumerate(held) if channel in wanted]
        are_copies |= not is_run(kept)
        branches.append(take(branch, kept) if branch is not None and kept else None)
    layout = x.channels_of.selected(channels)
    high, low = branches
    result = OctaveTensor(high, low, layout, x.map_size, x.origins, closes=x.closes)
    if are_copies:
        result.copied_from = ref(x)
    return result


@rule("channel_shuffle", "native_channel_shuffle")
def shuffled(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Shuffle channels by renumbering them; no data moves."""
    del func
    x = args[0]
    groups = args[1] if len(args) > 1 else kwargs.get("groups")
    if not isinstance(x, OctaveTensor) or not isinstance(groups, int):
        return NotImplemented
    return x.relabelled(x.channels_of.renumbered(shuffle_numbers(x.shape[1], groups)))


def shuffle_numbers(channels: int, groups: int) -> list[int]:
    """Return the new index of each channel after `view(n, groups, -1, h, w).transpose(1, 2)`.

    >>> shuffle_numbers(6, 2)
    [0, 2, 4, 1, 3, 5]
    """
    size = channels // groups
    return [channel % size * groups + channel // size for channel in range(channels)]


class ShuffledView:
    """A pair viewed as (n, a, b, h, w), in the middle of a shuffle; any other use merges it."""

    def __init__(self, x: OctaveTensor, factors: tuple[int, int], *, turned: bool = False) -> None:
        self.x, self.factors, self.turned = x, factors, turned

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Shuffle if the channels are transposed and viewed as one axis again; otherwise return a tensor."""
        name, view = getattr(func, "__name__", ""), args[0]
        kwargs = kwargs or {}
        if isinstance(view, ShuffledView):
            if name in ("transpose", "swapaxes") and sorted(args[1:]) == [1, 2]:
                return ShuffledView(view.x, view.factors, turned=not view.turned)
            if name in ("permute",) and _sizes(args[1:]) == (0, 2, 1, 3, 4):
                return ShuffledView(view.x, view.factors, turned=not view.turned)
            if name == "contiguous":
                return view
            if name in ("view", "reshape", "flatten"):
                found = view.closed(name, args[1:], kwargs)
                if found is not None:
                    return found
        return func(*(a.merged() if isinstance(a, ShuffledView) else a for a in args), **kwargs)

    def closed(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OctaveTensor | None:
        """Return the pair if its channels become one axis again."""
        n, c, h, w = self.x.shape
        if name == "flatten":
            starts = (*args, kwargs.get("start_dim"), kwargs.get("end_dim"))
            fits = [s for s in starts if s is not None] == [1, 2]
        else:
            sizes = _sizes(args)
            fits = len(sizes) == 4 and sizes[1] in (c, -1) and sizes[2:] in ((h, w), (-1, w), (h, -1))
            fits = fits and sizes[0] in (n, -1)
        if not fits:
            return None
        layout = self.x.channels_of
        return self.x.relabelled(
            layout.renumbered(shuffle_numbers(c, self.factors[0])) if self.turned else layout
        )

    def merged(self) -> Tensor:
        """Return the five-dimensional tensor."""
        n, _, h, w = self.x.shape
        whole = self.x.merged().reshape(n, *self.factors, h, w)
        return whole.transpose(1, 2) if self.turned else whole

    @property
    def shape(self) -> torch.Size:
        """(n, a, b, h, w), or (n, b, a, h, w)."""
        n, _, h, w = self.x.shape
        return torch.Size((n, *(self.factors[::-1] if self.turned else self.factors), h, w))

    def size(self, dim: int | None = None) -> Any:
        """Return the shape, or one of its sizes."""
        return self.shape if dim is None else self.shape[dim]

    def __getattr__(self, name: str) -> Any:
        method = getattr(Tensor, name, None)
        if name.startswith("__") or method is None:
            raise AttributeError(f"a view of a feature map in two branches has no {name}")
        if not callable(method):
            return getattr(self.merged(), name)
        return lambda *args, **kwargs: ShuffledView.__torch_function__(method, (), (self, *args), kwargs)


@rule("view", "reshape", "unflatten")
def grouped_view(func: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """View channels as two axes, as a shuffle begins; other shapes need a merged tensor."""
    x = args[0]
    if not isinstance(x, OctaveTensor) or kwargs:
        return NotImplemented
    n, c, h, w = x.shape
    sizes = _sizes(args[1:])
    if getattr(func, "__name__", "") == "unflatten":
        sizes = (n, *args[2], h, w) if len(args) == 3 and args[1] in CHANNELS else ()
    if len(sizes) == 4 and sizes in ((n, c, h, w), (-1, c, h, w)):
        return x
    if len(sizes) != 5 or sizes[3:] != (h, w) or sizes[0] not in (n, -1):
        return NotImplemented
    a, b = sizes[1:3]
    if a == -1 and b > 0:
        a = c // b
    b = c // a if b == -1 and a > 0 else b
    return ShuffledView(x, (a, b)) if a > 0 and a * b == c else NotImplemented


def _sizes(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], tuple | list) else tuple(args)


__all__ = ["ShuffledView", "selected", "shuffle_numbers"]
