"""Octave layers for inference: each path as convolutions with fixed weights and folded normalisation."""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from pwoct.octave import OctConv
from pwoct.plan.folded.convolve import Convolution, Geometry
from pwoct.plan.folded.filters import merge, scale_and_shift
from pwoct.plan.shared.choose import merges_bottleneck
from pwoct.plan.shared.known import refusal, why_not_known
from pwoct.plan.shared.maps import LOW, Term, terms
from pwoct.plan.shared.selecting import with_convolutions
from pwoct.pwise_octave import Bottleneck
from pwoct.resnet import ResNet

Size = tuple[int, int]
Affine = tuple[Tensor, Tensor | None]
Layer = tuple[OctConv, nn.Module | None]  # with the normalisation that follows it
Merges = Callable[[int, int, int, Size], bool]
NEEDED_GEOMETRY = (
    "execution plans need convolutions that keep the size at stride 1 by zero padding, "
    "with equal strides and dilations in both directions"
)


class FoldedPath(NamedTuple):
    """One path of the layer `number` of a sum: convolutions before the last one, and the last."""

    number: int
    term: Term
    channels: tuple[int, int]
    before: Sequence[tuple[Convolution, bool]]  # with its ReLU or not
    last: Convolution


def why_not_folded(model: nn.Module) -> str | None:
    """Return why a network cannot be folded, or None if it can.

    Every layer must be exactly of PyTorch or this package, keep sizes at stride 1, and every normalisation
    have running statistics.
    """
    if reason := why_not_known(model, layers=True):
        return reason
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and not keeps_sizes(module):
            return f"{name}: {NEEDED_GEOMETRY}, got {module}"
        if isinstance(module, nn.BatchNorm2d) and (module.running_mean is None or module.running_var is None):
            return f"{name}: folding needs a normalisation with running statistics, got one without"
    return None


def copy_for_folding(plan: str, model: ResNet) -> ResNet:
    """Return a copy of a network without shared weights, in float64, so that folded weights are rounded once.

    Raises:
        ValueError: if it cannot be folded.
    """
    if reason := why_not_folded(model):
        raise refusal(plan, model, reason)
    copied = copy.deepcopy(model)
    with_convolutions(copied)
    return copied.double()


def fold_paths(layers: Sequence[Layer], merges: Merges = merges_bottleneck) -> Iterator[FoldedPath]:
    """Yield the paths of layers whose outputs are added; their normalisations shift each branch once.

    merges: whether 1x1, kxk, 1x1 become one, given the channels before, between and after, and the size k.
    """
    for number, (layer, norm) in enumerate(layers):
        shifted = set()
        for term in terms(layer):
            branch = "low" if term.target == LOW else "high"
            affine = _affine(getattr(norm, branch, None), branch not in shifted)
            shifted.add(branch)
            source, target = ("hl".index(end) for end in term.path)
            channels = layer.split_in[source], layer.split_out[target]
            yield FoldedPath(number, term, channels, *_convolutions(term.conv, affine, merges))


def _affine(norm: nn.BatchNorm2d | None, shifts: bool) -> Affine | None:
    """Return scale and shift of a normalisation; a sum of paths is shifted once."""
    if norm is None:
        return None
    scale, shift = scale_and_shift(norm)
    return scale, shift if shifts else None


def _convolutions(
    path: nn.Module, affine: Affine | None, merges: Merges
) -> tuple[list[tuple[Convolution, bool]], Convolution]:
    """Return the convolutions of a path but the last, each with its ReLU or not, and the last."""
    if not isinstance(path, Bottleneck):
        assert isinstance(path, nn.Conv2d)
        return [], folded(path, affine)
    reduce, spatial, expand = path.reduce, path.spatial, path.expand
    sizes = reduce.in_channels, reduce.out_channels, expand.out_channels, _kernel(spatial)
    if path.between == "none" and spatial.groups == 1 and merges(*sizes):
        return [], _merged(reduce, spatial, folded(expand, affine))
    norms = (path.reduce_bn, path.spatial_bn)
    first, second = (
        folded(convolution, None if norm is None else scale_and_shift(norm))
        for convolution, norm in zip((reduce, spatial), norms, strict=True)
    )
    rectified = path.between == "bn_relu"
    return [(first, rectified), (second, rectified)], folded(expand, affine)


def _kernel(convolution: nn.Conv2d) -> Size:
    return convolution.weight.shape[2], convolution.weight.shape[3]


def _merged(reduce: nn.Conv2d, spatial: nn.Conv2d, expand: Convolution) -> Convolution:
    """Return one kxk convolution: after a strided 1x1, the taps lie a stride apart."""
    stride, dilation = reduce.stride[0], reduce.stride[0] * spatial.dilation[0]
    k_h, k_w = _kernel(spatial)
    padding = (dilation * (k_h // 2), dilation * (k_w // 2))
    geometry = Geometry(padding, (stride, stride), (dilation, dilation))
    return Convolution(merge(reduce.weight, spatial.weight, expand.weight), expand.bias, geometry)


def check_geometry(convolution: nn.Conv2d) -> None:
    """Check that a convolution keeps sizes at stride 1, padded by zeros, alike in both directions.

    Raises:
        ValueError: if it does not.
    """
    if not keeps_sizes(convolution):
        raise ValueError(f"{NEEDED_GEOMETRY}, got {convolution}")


def keeps_sizes(convolution: nn.Conv2d) -> bool:
    """Whether a convolution keeps sizes at stride 1, padded by zeros, alike in both directions."""
    if not isinstance(convolution.stride, tuple) or not isinstance(convolution.dilation, tuple):
        return False  # set afterwards, to a number
    kernel = _kernel(convolution)
    padding = tuple(d * (k // 2) for d, k in zip(convolution.dilation, kernel, strict=True))
    is_odd = all(k % 2 for k in kernel)
    alike = len(set(convolution.stride)) == len(set(convolution.dilation)) == 1
    return (
        convolution.padding in (padding, "same") and convolution.padding_mode == "zeros" and alike and is_odd
    )


def folded(convolution: nn.Conv2d, affine: Affine | None) -> Convolution:
    """Return a convolution that keeps sizes at stride 1, with fixed weights, scaled and shifted."""
    check_geometry(convolution)
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


def lone_filter(path: nn.Module) -> Tensor | None:
    """Return the single filter equivalent to a path: a plain 3x3 convolution or a merged bottleneck.

    None where there is none, or it has stride, dilation, groups, a bias, or a size other than 3x3.
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
