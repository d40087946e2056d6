"""Counting without formulas: every output position, kernel tap and channel is visited, and counted.

Nothing here imports the cost model, and no size is computed: output positions are those at which a window
fits, found by trying them; the number of anything is the length of what was visited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple


class Map(NamedTuple):
    """A feature map (channels, h, w)."""

    channels: int
    h: int
    w: int

    def places(self) -> Iterator[tuple[int, int, int]]:
        return product(range(self.channels), range(self.h), range(self.w))

    def __len__(self) -> int:  # type: ignore[override]
        return sum(1 for _ in self.places())


def windows(size: int, kernel: int, stride: int, padding: int, dilation: int) -> list[int]:
    """Where a window may start on an axis with padding on both sides."""
    axis = range(-padding, size + padding)
    return [start for start in axis[::stride] if start + dilation * (kernel - 1) in axis]


def group_of(channel: int, channels: int, groups: int) -> int:
    return channel * groups // channels


class Tally(Counter[str]):
    """What running operators one multiplication at a time adds up to, under the fields of `Cost`."""

    def conv(
        self,
        x: Map,
        c_out: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        padding: tuple[int, int] | None = None,
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = False,
    ) -> Map:
        if padding is None:  # as much on each side as a centred window reaches over the edge
            up, left = (dilation[a] * (kernel[a] // 2) for a in (0, 1))
            padding = up, left
        rows, columns = (
            windows(size, kernel[a], stride[a], padding[a], dilation[a]) for a, size in enumerate((x.h, x.w))
        )
        y = Map(c_out, len(rows), len(columns))
        weights, taps = set(), 0
        for o, _, _ in y.places():
            for i, tap_y, tap_x in product(range(x.channels), range(kernel[0]), range(kernel[1])):
                if group_of(i, x.channels, groups) == group_of(o, c_out, groups):
                    weights.add((o, i, tap_y, tap_x))
                    taps += 1
        for product_of in ("macs", "macs_input_grad", "macs_weight_grad"):  # forward, and two gradients
            self[product_of] += taps
        biases = list(range(c_out)) if bias else []
        self["weights"] += len(weights)
        self["biases"] += len(biases)
        self["bias_ops"] += len(y) if bias else 0
        self["activations"] += len(y)
        self._moved(len(x) + len(weights) + len(biases), len(y))
        return y

    def pool(self, x: Map, window: int = 2) -> Map:
        rows, columns = range(0, x.h, window), range(0, x.w, window)
        for _ in x.places():
            self["pool_ops"] += 1
        return self._other(len(x), Map(x.channels, len(rows), len(columns)))

    def upsample(self, x: Map, like: Map | None) -> Map:
        written = [(*place, copy) for place in x.places() for copy in range(4)]
        self["upsample_ops"] += len(written)
        self["other_outputs"] += len(written)
        self._moved(len(x), len(written))
        doubled = [row for row in range(x.h) for _ in (0, 1)], [col for col in range(x.w) for _ in (0, 1)]
        return Map(x.channels, *((like.h, like.w) if like else map(len, doubled)))

    def add(self, x: Map | None, y: Map | None) -> Map | None:
        if x is None or y is None:
            return x or y
        assert x == y
        for _ in x.places():
            self["add_ops"] += 1
        return self._other(len(x) + len(y), x)

    def _other(self, read: int, y: Map) -> Map:
        self["other_outputs"] += len(y)
        self._moved(read, len(y))
        return y

    def _moved(self, read: int, written: int) -> None:
        self["elements_read"] += read
        self["elements_written"] += written
        self["calls"] += 1


class Layer(NamedTuple):
    """An octave layer; `widths` has the paths that are bottlenecks."""

    c_in: Sequence[int]
    c_out: Sequence[int]
    kernel: tuple[int, int]
    stride: int
    dilation: int
    groups: int
    bias: bool
    rule: str
    widths: dict[str, int]


def octave(tally: Tally, layer: Layer, h: int, w: int) -> tuple[Map | None, Map | None]:
    """Run an octave layer on an (h, w) input, path by path, as its definition says."""
    strided = layer.stride > 1
    high = Map(layer.c_in[0], h, w) if layer.c_in[0] else None
    low = Map(layer.c_in[1], len(range(0, h, 2)), len(range(0, w, 2))) if layer.c_in[1] else None
    low_for_high, stride = low, layer.stride
    if strided and layer.rule in "AB":
        stride = 1
        high = high and tally.pool(high, layer.stride)
        only_lh_reads_low = layer.rule == "A" and not layer.c_out[1]
        low = low if only_lh_reads_low else low and tally.pool(low, layer.stride)
        low_for_high = low if layer.rule == "B" else low_for_high
    hh = _path(tally, layer, "HH", high, stride)
    hl = _path(tally, layer, "HL", tally.pool(high), stride) if high and layer.c_out[1] else None
    lh = _path(tally, layer, "LH", low_for_high, stride)
    if lh and not (strided and layer.rule == "A"):
        lh = tally.upsample(lh, hh)
    ll = _path(tally, layer, "LL", low, stride)
    return tally.add(hh, lh), tally.add(hl, ll)


def _path(tally: Tally, layer: Layer, path: str, x: Map | None, stride: int) -> Map | None:
    c_out = layer.c_out["HL".index(path[1])]
    if x is None or c_out == 0:
        return None
    alone = layer.c_in["HL".index(path[1])] == 0  # no other path leads into this branch
    bias = layer.bias and (path in ("HH", "LL") or alone)
    strides, dilations = (stride, stride), (layer.dilation, layer.dilation)
    if path not in layer.widths:
        return tally.conv(x, c_out, layer.kernel, strides, None, dilations, layer.groups, bias)
    m = layer.widths[path]
    y = tally.conv(x, m, (1, 1), strides)
    y = tally.conv(y, m, layer.kernel, dilation=dilations, groups=layer.groups)
    return tally.conv(y, c_out, (1, 1), bias=bias)
