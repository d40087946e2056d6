"""A sum of convolutions into both branches for inference: each adds its result onto the previous ones."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from pwoct.branches import Octave
from pwoct.plan.folded.bounds import Growth
from pwoct.plan.folded.convolve import Convolution
from pwoct.plan.folded.filters import two_pixels
from pwoct.plan.folded.fold import FoldedPath, Layer, fold_paths
from pwoct.plan.shared.choose import doubles_rows, stored_channels, takes_two_pixels
from pwoct.plan.shared.inplace import add, rectify
from pwoct.plan.shared.maps import DOUBLED, HIGH, Maps
from pwoct.plan.shared.resample import double

Size = tuple[int, int]


class Pairs:
    """A stride-1 convolution that computes two neighbouring pixels at once; see `filters.two_pixels`."""

    def __init__(self, convolution: Convolution) -> None:
        bias = None if convolution.bias is None else convolution.bias.repeat(2)
        geometry = convolution.geometry._replace(stride=(1, 2))
        self.convolution = Convolution(two_pixels(convolution.weight), bias, geometry)

    @property
    def growth(self) -> Growth:
        """The bound on its results, relative to its input."""
        return self.convolution.growth

    def __call__(
        self, x: Tensor, *, onto: Tensor | None = None, plus: Tensor | None = None, relu: bool = False
    ) -> Tensor:
        """Return relu(conv(x) + plus) or add onto a tensor in place, as `Convolution` does."""
        sums = {
            "onto": None if onto is None else as_pairs(onto),
            "plus": None if plus is None else as_pairs(plus),
        }
        return as_pixels(self.convolution(x, **sums, relu=relu))


def as_pairs(x: Tensor) -> Tensor:
    """View (n, c, h, w) in channels_last as (n, 2 c, h, w/2): two neighbours in a row become one pixel."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).view(n, h, w // 2, 2 * c).permute(0, 3, 1, 2)


def as_pixels(x: Tensor) -> Tensor:
    """View (n, 2 c, h, w) in channels_last as (n, c, h, 2 w); the inverse of `as_pairs`."""
    n, c, h, w = x.shape
    return x.permute(0, 2, 3, 1).reshape(n, h, 2 * w, c // 2).permute(0, 3, 1, 2)


def double_rows(x: Tensor, plus: Tensor | None) -> Tensor:
    """Repeat each row of pixels and add `plus`: an addition of whole rows, however few the channels.

    x: (n, c, h, w) in channels_last. plus: (n, c, 2 h, w). Returns (n, c, 2 h, w).
    """
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h, 1, w * c)
    if plus is None:
        y = rows.expand(n, h, 2, w * c).contiguous()
    else:
        y = plus.permute(0, 2, 3, 1).reshape(n, h, 2, w * c) + rows
    return y.view(n, 2 * h, w, c).permute(0, 3, 1, 2)


@dataclass
class Summand:
    """One path of a sum: convolutions before the last one, and the last, which adds onto the sum."""

    source: str
    pools: tuple[int, ...]
    before: list[tuple[Convolution, bool]]  # with its ReLU or not
    last: Convolution | Pairs

    @property
    def growth(self) -> Growth:
        """The bound on its results, relative to the map that it reads."""
        total = Growth()
        for convolution, _ in self.before:
            total = total.then(convolution.growth)
        return total.then(self.last.growth)

    def __call__(
        self, maps: Maps, *, onto: Tensor | None = None, plus: Tensor | None = None, relu: bool = False
    ) -> Tensor:
        """Compute the path of the map that it reads."""
        x = maps(self.source, self.pools)
        for convolution, rectified in self.before:
            x = convolution(x, relu=rectified)
        return self.last(x, onto=onto, plus=plus, relu=relu)


@dataclass
class Sum:
    """A sum of octave convolutions; every step comes with the index of the input that it reads."""

    size: Size  # of the high output
    rows: bool  # whether the convolutions of `doubled` repeat pixels in a row themselves
    high: list[tuple[int, Summand]] = field(default_factory=list)
    doubled: list[tuple[int, Summand]] = field(default_factory=list)
    low: list[tuple[int, Summand]] = field(default_factory=list)

    def growth(self, inputs: list[Growth], plus: Growth) -> Growth:
        """The bound on its results, given the bounds on its inputs and on what is added."""
        for number, step in (*self.high, *self.doubled, *self.low):
            plus = plus.plus(inputs[number].then(step.growth))
        return plus

    def __call__(self, inputs: list[Maps], plus: Octave, *, relu: bool = True) -> Octave:
        """Return relu(sum of all convolutions + plus), branch by branch."""
        low = _add_up(self.low, inputs, None, plus.low, relu)
        if not self.doubled:
            return Octave(_add_up(self.high, inputs, None, plus.high, relu), low)
        doubled = _add_up(self.doubled, inputs, None, None, False)
        assert doubled is not None
        if self.rows:
            high = double_rows(as_pixels(doubled), plus.high)
        else:
            high = double(doubled, self.size)
            high = high if plus.high is None else add(high, plus.high)
        if not self.high:
            return Octave(rectify(high) if relu else high, low)
        return Octave(_add_up(self.high, inputs, high, None, relu), low)


def _add_up(
    steps: list[tuple[int, Summand]], inputs: list[Maps], onto: Tensor | None, plus: Tensor | None, relu: bool
) -> Tensor | None:
    for position, (number, step) in enumerate(steps, 1):
        onto = step(inputs[number], onto=onto, plus=plus, relu=relu and position == len(steps))
        plus = None
    return onto


def fold_layers(layers: list[Layer], size: Size, dtype: torch.dtype) -> Sum:
    """Return the sum of octave layers, each with its normalisation; layer i reads input i.

    size: of the grid of high output pixels, whether or not there are any.
    """
    rows = doubles_rows(layers[0][0].split_out.high, size)
    total = Sum(size, rows)
    for path in fold_paths(layers):
        getattr(total, path.term.target).append((path.number, _step(path, size, dtype, rows)))
    return total


def _step(path: FoldedPath, size: Size, dtype: torch.dtype, rows: bool) -> Summand:
    """Return a path in stored channels, in the form chosen for its channels and size."""
    term, before, last = path.term, list(path.before), path.last
    c_in, c_out = (stored_channels(channels, dtype) for channels in path.channels)
    wide_in = None if before else c_in
    if before:
        before[0] = (before[0][0].padded(None, c_in), before[0][1])
    last = last.padded(c_out, wide_in)
    prepared = [(convolution.to(dtype), rectified) for convolution, rectified in before]
    last = last.to(dtype)
    if term.target == DOUBLED and rows:
        return Summand(term.source, term.pools, prepared, last.repeated())
    width = size[1] if term.target == HIGH else -(-size[1] // 2)
    if last.can_pair and term.target != DOUBLED and takes_two_pixels(c_out, last.kernel, width, dtype):
        return Summand(term.source, term.pools, prepared, Pairs(last))
    return Summand(term.source, term.pools, prepared, last)
