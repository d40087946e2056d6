"""The plan "lean": the same modules, in training or evaluation, with less work between convolutions.

Parameters, statistics and their names are those of the model. Every map is pooled once, sums and ReLUs are
computed in place, pooling and upsampling have fast gradients, and the low paths of narrow layers are joined.
Convolutions, normalisations and the linear layer are called as modules: they may be replaced, and have hooks.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, conv2d

from pwoct.blocks import BasicBlock, OctBlock
from pwoct.branches import Octave, OctBatchNorm2d, Size, per_branch, size_of, strided
from pwoct.conversion.checks import check_module
from pwoct.layout import in_channels_last
from pwoct.octave import OctConv
from pwoct.plan.folded.filters import join_low
from pwoct.plan.shared.choose import joins_low_paths
from pwoct.plan.shared.inplace import add, rectify
from pwoct.plan.shared.known import call, is_own, refusal, why_not_known, why_not_known_parts
from pwoct.plan.shared.maps import DOUBLED, HIGH, LOW, Maps, terms
from pwoct.plan.shared.normalise import normalise
from pwoct.plan.shared.resample import double, halve
from pwoct.resnet import ResNet, blocks
from pwoct.shortcut import ZeroPadShortcut


class LeanNetwork(nn.Module):
    """A `ResNet` computed by the plan "lean"; it has the same children, hence the same state dict.

    x: (n, in_channels, h, w). Returns logits (n, classes).

    Raises:
        ValueError: if blocks and octave layers are not exactly those of this package, or have hooks.
    """

    PLAN = "lean"

    def __init__(self, model: ResNet) -> None:
        super().__init__()
        check_module(model)
        if reason := why_not_known(model, layers=False):
            raise refusal(self.PLAN, model, reason)
        self.stem, self.stem_bn, self.stages, self.fc = model.stem, model.stem_bn, model.stages, model.fc

    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, in_channels, h, w)."""
        if not torch.compiler.is_compiling():  # otherwise a compiler would trace the check itself
            self._check()
        y = Octave(rectify(normalise(self.stem_bn, call(self.stem, x))), None)
        size = size_of(x)  # of the high branch, whether or not it exists
        for block in blocks(self.stages):
            if isinstance(block, OctBlock):
                size = strided(size, block.stride)
                y = octave_block(block, y, size)
            else:
                y = plain_block(block, y)
        assert y.high is not None
        return self.fc(adaptive_avg_pool2d(y.high, 1).flatten(1))  # type: ignore[no-any-return]

    def _check(self) -> None:
        """Check that the modules, which are shared with the model, are still those that the plan knows."""
        if reason := why_not_known_parts(self, layers=False):
            raise refusal(self.PLAN, self, reason)


def plain_block(block: nn.Module, x: Octave) -> Octave:
    """Compute a `BasicBlock` of a high branch alone, with its sum and ReLUs in place."""
    assert isinstance(block, BasicBlock)
    assert x.high is not None
    if x.low is not None:
        raise ValueError("a block of plain convolutions needs a high branch alone, got a low one too")
    y = rectify(normalise(block.bn1, call(block.conv1, x.high)))
    y = normalise(block.bn2, call(block.conv2, y))
    residual = x.high if block.shortcut is None else block.shortcut(x.high)
    return Octave(rectify(add(y, residual)), None)


def octave_block(block: OctBlock, x: Octave, size: Size) -> Octave:
    """Compute an `OctBlock`; the input is pooled once for its first convolution and its shortcut.

    size: (h, w) of the high output.
    """
    maps = Maps(x)
    inner = per_branch(rectify, normalise_branches(block.bn1, convolve(block.conv1, maps, size)))
    if isinstance(block.shortcut, ZeroPadShortcut):
        residual: Octave = block.shortcut(x)
    else:
        residual = x if block.shortcut is None else convolve(block.shortcut, maps, size)
    y = normalise_branches(block.bn2, convolve(block.conv2, Maps(inner), size))
    if block.shortcut is None:
        residual = rebranch(x, y)
    return Octave(_add_relu(y.high, residual.high), _add_relu(y.low, residual.low))


def normalise_branches(norm: nn.Module, x: Octave) -> Octave:
    """Normalise both branches of an octave feature map."""
    assert isinstance(norm, OctBatchNorm2d)
    high, low = x
    return Octave(
        None if high is None or norm.high is None else normalise(norm.high, high),
        None if low is None or norm.low is None else normalise(norm.low, low),
    )


def convolve(layer: nn.Module, maps: Maps, size: Size) -> Octave:
    """Compute an octave convolution; the high output, where there is one, has that size.

    Raises:
        ValueError: if the input lacks a branch that the layer needs.
    """
    assert isinstance(layer, OctConv)
    if _is_joinable(layer):
        return _convolve_joined(layer, maps, size)
    sums: dict[str, Tensor] = {}
    for term in terms(layer):
        y = call(term.conv, maps(term.source, term.pools))
        sums[term.target] = add(sums[term.target], y) if term.target in sums else y
    return Octave(_add_doubled(sums.get(HIGH), sums.get(DOUBLED), size), sums.get(LOW))


def rebranch(x: Octave, like: Octave) -> Octave:
    """Do what `pwoct.branches.rebranch` does, in dense tensors; gradients are joined rather than added."""
    if x.low is None and like.low is not None and x.high is not None:
        kept = 0 if like.high is None else like.high.shape[1]
        high, low = torch.split(x.high, [kept, x.high.shape[1] - kept], 1)
        return Octave(high if kept else None, halve(in_channels_last(low)))
    if x.low is not None and like.low is None:
        assert like.high is not None
        low = double(x.low, size_of(like.high))
        return Octave(low if x.high is None else torch.cat((x.high, low), 1), None)
    return x


def _is_joinable(layer: OctConv) -> bool:
    paths = (layer.hh, layer.hl, layer.lh, layer.ll)
    plain = all(isinstance(path, nn.Conv2d) and is_own(path) and _is_joinable_path(path) for path in paths)
    return plain and layer.stride == 1 and joins_low_paths(layer.split_in, layer.split_out) and _fit(layer)


def _is_joinable_path(path: nn.Conv2d) -> bool:
    plain = path.bias is None and path.groups == 1 and path.padding_mode == "zeros"
    return plain and path.stride == (1, 1)


def _fit(layer: OctConv) -> bool:
    """Whether the low paths have taps at the same places."""
    paths = (layer.hl, layer.lh, layer.ll)
    found = {(p.kernel_size, p.padding, p.dilation) for p in paths if isinstance(p, nn.Conv2d)}
    return len(found) == 1


def _convolve_joined(layer: OctConv, maps: Maps, size: Size) -> Octave:
    hh, hl, lh, ll = layer.hh, layer.hl, layer.lh, layer.ll
    assert isinstance(hl, nn.Conv2d)
    assert isinstance(lh, nn.Conv2d)
    assert isinstance(ll, nn.Conv2d)
    x = torch.cat((maps("low"), maps("high", (2,))), 1)
    y = conv2d(x, join_low(ll.weight, hl.weight, lh.weight), None, 1, ll.padding, ll.dilation)
    parts = torch.split(y, [layer.split_out.low, layer.split_out.high], 1)
    low, doubled = map(in_channels_last, parts)
    return Octave(_add_doubled(hh(maps("high")), doubled, size), low)  # type: ignore[misc]


def _add_doubled(high: Tensor | None, doubled: Tensor | None, size: Size) -> Tensor | None:
    if doubled is None:
        return high
    if high is None:
        return double(doubled, size)
    return add(high, double(doubled, size))


def _add_relu(y: Tensor | None, x: Tensor | None) -> Tensor | None:
    if (y is None) != (x is None):
        raise ValueError("feature maps to be added must have the same branches")
    return None if y is None or x is None else rectify(add(y, x))
