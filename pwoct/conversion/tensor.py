"""A feature map in two branches that torch's functions, and any network's code, can use as a tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from pwoct.branches import Octave, Size, check_batched, pool, size_of, upsample
from pwoct.conversion.layout import BranchLayout, take

# Attributes that a network may read from a tensor without computing with it.
_OF_A_BRANCH = ("dtype", "device", "is_cuda", "is_meta", "requires_grad", "is_sparse", "layout_kind")


class OctaveTensor:
    """A feature map (n, c, h, w) with some of its channels stored at half the resolution.

    Torch's functions and methods treat it as a tensor of that shape. Those with a rule in
    `pwoct.conversion.rules` work branch by branch; all others receive it merged into one tensor.

    Args:
        high: (n, c_H, h, w), or None.
        low: (n, c_L, ceil(h/2), ceil(w/2)), or None.
        layout: The channels of the whole map in each branch.
        size: (h, w).
        origins: The converted layers whose outputs it consists of.
        closes: Whether it left the last octave layer; a map that it is added to is then merged.
    """

    def __init__(
        self,
        high: Tensor | None,
        low: Tensor | None,
        layout: BranchLayout,
        size: Size,
        origins: frozenset[str] = frozenset(),
        *,
        closes: bool = False,
    ) -> None:
        self.high, self.low, self.channels_of, self.map_size = high, low, layout, size
        self.origins, self.closes = origins, closes
        self.lent: tuple[Tensor, int] | None = None  # a merged map that views share, and its version
        self.copied_from: ReferenceType[OctaveTensor] | None = None  # the map of which it should be a view
        self.is_outdated = False  # a copy was written to under a different name

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Apply the function's rule to a pair; a function without a rule gets plain tensors."""
        from pwoct.conversion.rules import apply

        del types
        return apply(func, args, dict(kwargs or {}))

    @property
    def branch(self) -> Tensor:
        """One of the branches, for properties that both share."""
        branch = self.high if self.high is not None else self.low
        assert branch is not None
        return branch

    @property
    def shape(self) -> torch.Size:
        """(n, c, h, w) of the whole map."""
        return torch.Size((self.branch.shape[0], self.channels_of.channels, *self.map_size))

    @property
    def ndim(self) -> int:
        """4."""
        return 4

    def dim(self) -> int:
        """Return 4."""
        return 4

    def size(self, dim: int | None = None) -> Any:
        """Return the shape of the whole map, or one of its sizes."""
        return self.shape if dim is None else self.shape[dim]

    def __len__(self) -> int:
        return self.shape[0]

    def is_contiguous(self, **_: Any) -> bool:
        """Return True, so that code which asks makes no copy."""
        return True

    def like(self, high: Tensor | None, low: Tensor | None, *, size: Size | None = None) -> OctaveTensor:
        """Return a map with the same channels and possibly a different size."""
        return OctaveTensor(
            high, low, self.channels_of, size or self.map_size, self.origins, closes=self.closes
        )

    def relabelled(self, layout: BranchLayout) -> OctaveTensor:
        """Return the same branches with their channels renumbered."""
        return OctaveTensor(self.high, self.low, layout, self.map_size, self.origins, closes=self.closes)

    def becomes(self, x: OctaveTensor | Tensor) -> None:
        """Take over the content of another map of this shape, which was written to instead of this one."""
        if self.copied_from is not None and (whole := self.copied_from()) is not None:
            whole.is_outdated = True
        self.__dict__.update(as_pair(x).__dict__)

    def lend(self, whole: Tensor) -> None:
        """Record merged views of this map, so that writes to them reach the map."""
        if not whole.is_inference():  # such tensors count no versions
            self.lent = (whole, whole._version)

    def settle(self) -> None:
        """Apply writes to views since the last use.

        Raises:
            RuntimeError: if some of its channels were copied, and the copy was written to.
        """
        if self.is_outdated:
            raise RuntimeError(
                "channels of a feature map in two branches are written to under another name: "
                "keep the layers before it plain (layers=..., or --layers)"
            )
        if self.lent is not None and self.lent[0]._version != self.lent[1]:
            self.becomes(self.lent[0])

    def merged(self) -> Tensor:
        """Return the whole map (n, c, h, w): the low branch is upsampled, the channels are in order."""
        if self.lent is not None:
            return self.lent[0]
        if self.low is None:
            assert self.high is not None
            return take(self.high, self.channels_of.merged_order)
        low = upsample(self.low, self.map_size)
        whole = low if self.high is None else torch.cat((self.high, low), 1)
        return take(whole, self.channels_of.merged_order)

    def octave(self) -> Octave:
        """Return only the branches."""
        return Octave(self.high, self.low)

    def __getattr__(self, name: str) -> Any:
        if name in _OF_A_BRANCH:
            return getattr(self.branch, name)
        method = getattr(Tensor, name, None)
        if name.startswith("__") or method is None:
            raise AttributeError(f"a feature map in two branches has no {name}")
        if callable(method):
            return partial(OctaveTensor._call, method, self)
        return getattr(self.merged(), name)

    @staticmethod
    def _call(method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return OctaveTensor.__torch_function__(method, (), args, kwargs)

    def __repr__(self) -> str:
        n = self.branch.shape[0]
        high, low = len(self.channels_of.high), len(self.channels_of.low)
        return f"OctaveTensor({n}, {high} high + {low} low channels, {tuple(self.map_size)})"


def _operator(name: str) -> Callable[..., Any]:
    method = getattr(Tensor, name)

    def operate(*args: Any) -> Any:
        return OctaveTensor.__torch_function__(method, (), args)

    return operate


for _name in (
    *("add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "truediv", "rtruediv", "itruediv"),
    *("pow", "rpow", "neg", "abs", "getitem", "setitem", "matmul", "floordiv", "mod", "ipow"),
    *("gt", "lt", "ge", "le", "eq", "ne", "invert", "and", "or", "xor"),
):
    setattr(OctaveTensor, f"__{_name}__", _operator(f"__{_name}__"))


def merge(value: Any) -> Any:
    """Return a value, or a container of values, with each pair merged into a tensor."""
    return tree_map(lambda x: x.merged() if isinstance(x, OctaveTensor) else x, value)


def as_pair(x: OctaveTensor | Tensor) -> OctaveTensor:
    """Return a tensor (n, c, h, w) as a map with only a high branch."""
    if isinstance(x, OctaveTensor):
        x.settle()
        return x
    check_batched(x)
    return OctaveTensor(x, None, BranchLayout.plain(x.shape[1]), size_of(x))


def conform(x: OctaveTensor | Tensor, layout: BranchLayout) -> OctaveTensor:
    """Return a map with its channels in the branches of a layout; channels that move are pooled or upsampled.

    Raises:
        ValueError: if the numbers of channels differ.
    """
    x = as_pair(x)
    if x.channels_of == layout:
        return x
    if x.channels_of.channels != layout.channels:
        raise ValueError(
            f"an octave layer needs {layout.channels} channels, got {x.channels_of.channels} in {x!r}"
        )
    high = _gather(x, layout.high, is_high=True) if layout.high else None
    low = _gather(x, layout.low, is_high=False) if layout.low else None
    return OctaveTensor(high, low, layout, x.map_size, x.origins, closes=x.closes)


def _gather(x: OctaveTensor, channels: tuple[int, ...], *, is_high: bool) -> Tensor:
    """Return channels at one resolution, from whichever branch holds them."""
    own, other = (
        (x.channels_of.high, x.channels_of.low) if is_high else (x.channels_of.low, x.channels_of.high)
    )
    own_branch, other_branch = (x.high, x.low) if is_high else (x.low, x.high)
    wanted = set(channels)
    parts, numbers = [], []
    for held, branch, is_there in ((own, own_branch, True), (other, other_branch, False)):
        kept = [k for k, channel in enumerate(held) if channel in wanted]
        if kept and branch is not None:
            part = take(branch, kept)
            moved = part if is_there else upsample(part, x.map_size) if is_high else pool(part)
            parts.append(moved)
            numbers += [held[k] for k in kept]
    whole = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    place = {channel: k for k, channel in enumerate(numbers)}
    return take(whole, [place[channel] for channel in channels])
