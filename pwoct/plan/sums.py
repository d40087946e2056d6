"""A sum of convolutions into both branches, as inference computes it: each adds onto the ones before it."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pwoct.branches import Octave
from pwoct.octave import OctConv
from pwoct.plan.choose import doubles_rows, merges_bottleneck, stored_channels, takes_two_pixels
from pwoct.plan.convolve import Convolution, Geometry
from pwoct.plan.inplace import add, rectify
from pwoct.plan.kernels import merge, scale_and_shift, two_pixels
from pwoct.plan.maps import DOUBLED, HIGH, LOW, Maps, Term, terms
from pwoct.plan.resample import double
from pwoct.pwise_octave import Bottleneck

Size = tuple[int, int]


class Pairs:
    """A stride-1 convolution that makes two neighbouring pixels at once; see `kernels.two_pixels`."""

    def __init__(self, convolution: Convolution) -> None:
        bias = None if convolution.bias is None else convolution.bias.repeat(2)
        geometry = convolution.geometry._replace(stride=(1, 2))
        self.convolution = Convolution(two_pixels(convolution.weight), bias, geometry)

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
    """View (n, c, h, w) in channels_last as (n, 2 c, h, w/2): two neighbours in a row are one pixel."""
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
class Step:
    """One path of a sum: convolutions before the last one, and the last, which adds onto the sum."""

    source: str
    pools: tuple[int, ...]
    before: list[tuple[Convolution, bool]]  # with its ReLU or not
    last: Convolution | Pairs

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
    """Octave convolutions added up; every step comes with the number of the input that it reads."""

    size: Size  # of the high output
    rows: bool  # whether the convolutions of `doubled` repeat pixels in a row themselves
    high: list[tuple[int, Step]] = field(default_factory=list)
    doubled: list[tuple[int, Step]] = field(default_factory=list)
    low: list[tuple[int, Step]] = field(default_factory=list)

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
    steps: list[tuple[int, Step]], inputs: list[Maps], onto: Tensor | None, plus: Tensor | None, relu: bool
) -> Tensor | None:
    for position, (number, step) in enumerate(steps, 1):
        onto = step(inputs[number], onto=onto, plus=plus, relu=relu and position == len(steps))
        plus = None
    return onto


def fold_layers(layers: list[tuple[OctConv, nn.Module | None]], size: Size, dtype: torch.dtype) -> Sum:
    """Return the sum of octave layers, each with the normalisation behind it; layer i reads input i.

    size: of the grid of high output pixels, whether or not there are any.
    """
    out = layers[0][0].split_out
    rows = doubles_rows(out.high, size)
    total = Sum(size, rows)
    for number, (layer, norm) in enumerate(layers):
        shifted = set()
        for term in terms(layer):
            branch = "low" if term.target == LOW else "high"
            affine = _affine(getattr(norm, branch, None), branch not in shifted)
            shifted.add(branch)
            step = fold_path(layer, term, affine, size, dtype, rows)
            getattr(total, term.target).append((number, step))
    return total


Affine = tuple[Tensor, Tensor | None]


def _affine(norm: nn.BatchNorm2d | None, shifts: bool) -> Affine | None:
    """Return scale and shift of a normalisation; a sum of paths is shifted once."""
    if norm is None:
        return None
    scale, shift = scale_and_shift(norm)
    return scale, shift if shifts else None


def fold_path(
    layer: OctConv, term: Term, affine: Affine | None, size: Size, dtype: torch.dtype, rows: bool
) -> Step:
    """Return one path with what follows it folded in."""
    before, last = _convolutions(term.conv, affine)
    c_in = stored_channels(layer.split_in["hl".index(term.path[0])], dtype)
    c_out = stored_channels(layer.split_out["hl".index(term.path[1])], dtype)
    wide_in = None if before else c_in
    if before:
        before[0] = (before[0][0].padded(None, c_in), before[0][1])
    last = last.padded(c_out, wide_in)
    prepared = [(convolution.to(dtype), rectified) for convolution, rectified in before]
    last = last.to(dtype)
    if term.target == DOUBLED and rows:
        return Step(term.source, term.pools, prepared, last.repeated())
    width = size[1] if term.target == HIGH else -(-size[1] // 2)
    if last.can_pair and term.target != DOUBLED and takes_two_pixels(c_out, last.kernel, width, dtype):
        return Step(term.source, term.pools, prepared, Pairs(last))
    return Step(term.source, term.pools, prepared, last)


def _convolutions(
    path: nn.Module, affine: Affine | None
) -> tuple[list[tuple[Convolution, bool]], Convolution]:
    """Return the convolutions of a path but the last, each with its ReLU or not, and the last."""
    if not isinstance(path, Bottleneck):
        assert isinstance(path, nn.Conv2d)
        return [], folded(path, affine)
    reduce, spatial, expand = path.reduce, path.spatial, path.expand
    if path.between == "none" and spatial.groups == 1 and _is_merged(path):
        return [], _merged(reduce, spatial, folded(expand, affine))
    norms = (path.reduce_bn, path.spatial_bn)
    first, second = (
        folded(convolution, None if norm is None else scale_and_shift(norm))
        for convolution, norm in zip((reduce, spatial), norms, strict=True)
    )
    rectified = path.between == "bn_relu"
    return [(first, rectified), (second, rectified)], folded(expand, affine)


def _is_merged(path: Bottleneck) -> bool:
    reduce, expand = path.reduce, path.expand
    return merges_bottleneck(
        reduce.in_channels, reduce.out_channels, expand.out_channels, _kernel(path.spatial)
    )


def _kernel(convolution: nn.Conv2d) -> Size:
    return convolution.weight.shape[2], convolution.weight.shape[3]


def _merged(reduce: nn.Conv2d, spatial: nn.Conv2d, expand: Convolution) -> Convolution:
    """Return one kxk convolution: after a strided 1x1, the taps lie a stride apart."""
    stride, dilation = reduce.stride[0], reduce.stride[0] * spatial.dilation[0]
    k_h, k_w = _kernel(spatial)
    padding = (dilation * (k_h // 2), dilation * (k_w // 2))
    geometry = Geometry(padding, (stride, stride), (dilation, dilation))
    return Convolution(merge(reduce.weight, spatial.weight, expand.weight), expand.bias, geometry)


def folded(convolution: nn.Conv2d, affine: Affine | None) -> Convolution:
    """Return a convolution that keeps sizes at stride 1, with fixed weights, scaled and shifted."""
    weight, bias = convolution.weight, convolution.bias
    if affine is not None:
        scale, shift = affine
        weight = weight * scale[:, None, None, None]
        bias = shift if bias is None else bias * scale + (0 if shift is None else shift)
    stride, dilation = convolution.stride[0], convolution.dilation[0]
    k_h, k_w = _kernel(convolution)
    padding = (dilation * (k_h // 2), dilation * (k_w // 2))
    groups = convolution.in_channels // weight.shape[1]
    return Convolution(weight, bias, Geometry(padding, (stride, stride), (dilation, dilation), groups))


def lone_kernel(path: nn.Module) -> Tensor | None:
    """Return the one kernel that a path amounts to: of a plain 3x3 convolution, or of a merged bottleneck.

    None where it is not one, or has stride, dilation, groups, a bias, or another size than 3x3.
    """
    if isinstance(path, Bottleneck):
        reduce, spatial, expand = path.reduce, path.spatial, path.expand
        simple = path.between == "none" and all(map(_is_simple, (reduce, spatial, expand)))
        return merge(reduce.weight, spatial.weight, expand.weight) if simple else None
    if isinstance(path, nn.Conv2d) and path.kernel_size == (3, 3) and _is_simple(path):
        return path.weight
    return None


def _is_simple(convolution: nn.Conv2d) -> bool:
    return (
        convolution.stride == (1, 1)
        and convolution.dilation == (1, 1)
        and convolution.groups == 1
        and convolution.bias is None
    )
