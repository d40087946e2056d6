"""The plan "folded": a trained network for inference, with fixed weights and few passes over memory.

Normalisation is folded into weights; bottlenecks with nothing in between become one convolution where that is
cheaper; sums and ReLUs are fused into the convolutions; narrow stages keep both branches packed in one map.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, linear, pad

from pwoct.blocks import BasicBlock, OctBlock
from pwoct.branches import Octave, OctBatchNorm2d, check_batched, strided
from pwoct.layout import is_transformed
from pwoct.octave import OctConv
from pwoct.plan.folded.bounds import Bound, Growth, Unbounded, fusing
from pwoct.plan.folded.convolve import Convolution, Geometry, is_fusable
from pwoct.plan.folded.filters import pack_filters, scale_and_shift
from pwoct.plan.folded.fold import Layer, copy_for_folding, folded, lone_filter
from pwoct.plan.folded.packed import pack, unpack
from pwoct.plan.folded.sums import fold_layers
from pwoct.plan.shared.choose import is_packed, packed_channels, stored_channels
from pwoct.plan.shared.maps import Maps, octave_layer
from pwoct.plan.shared.resample import double, halve
from pwoct.plan.shared.snapshot import Snapshot
from pwoct.resnet import ResNet, blocks

Size = tuple[int, int]
Block = Callable[[Octave, Bound], Octave]
NOTHING = Octave(None, None)


class FoldedNetwork(Snapshot):
    """A snapshot of a `ResNet` for images of one size; it has no parameters, and no gradients.

    x: (n, in_channels, h, w) of any floating type. Returns logits (n, classes) in `dtype`.

    Args:
        model: the network; its weights and statistics are copied.
        size: (h, w) of the images.
        dtype: the type in which it computes.

    Raises:
        ValueError: if the network is not one that it knows, or an image has another size.
        RuntimeError: under a transformation of torch.func, since it has no gradients.
    """

    PLAN = "folded"

    @torch.no_grad()
    def __init__(self, model: ResNet, size: Size, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(model, size, dtype)
        model, size = copy_for_folding("folded", model), self.size
        self.first = folded(model.stem, scale_and_shift(model.stem_bn)).to(dtype)
        self.growth = self.first.growth
        self.blocks = list(_fold_blocks(blocks(model.stages), size, dtype))
        self.weight, self.bias = (value.detach().to(dtype) for value in (model.fc.weight, model.fc.bias))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, in_channels, h, w)."""
        if is_transformed():
            raise RuntimeError(
                'the plan "folded" is a snapshot that torch.func cannot trace: use the plan "lean"'
            )
        check_batched(x)
        if x.shape[-2:] != self.size:
            raise ValueError(f"this network was folded for images of {self.size}, got {tuple(x.shape[-2:])}")
        x = x.to(self.dtype).contiguous(memory_format=torch.channels_last)
        bound = Bound(x) if is_fusable(x) else Unbounded()
        with fusing(bound.grow(self.growth, x)):
            y = Octave(self.first(x, relu=True), None)
        for block in self.blocks:
            y = block(y, bound)
        assert y.high is not None
        return linear(adaptive_avg_pool2d(y.high, 1).flatten(1), self.weight, self.bias)


def _fold_blocks(blocks: Iterable[nn.Module], size: Size, dtype: torch.dtype) -> Iterator[Block]:
    packable: list[OctBlock] = []
    for block in blocks:
        if isinstance(block, OctBlock) and _is_packable(block, size, dtype):
            packable.append(block)
            continue
        if packable:
            yield PackedBlocks(packable, dtype)
            packable = []
        if isinstance(block, OctBlock):
            size = strided(size, block.stride)
            yield FoldedOctBlock(block, size, dtype)
        else:
            yield FoldedBlock(block, dtype)
    if packable:
        yield PackedBlocks(packable, dtype)


class FoldedBlock:
    """A block of plain convolutions."""

    def __init__(self, block: nn.Module, dtype: torch.dtype) -> None:
        assert isinstance(block, BasicBlock)
        self.conv1 = folded(block.conv1, scale_and_shift(block.bn1)).to(dtype)  # type: ignore[arg-type]
        self.conv2 = folded(block.conv2, scale_and_shift(block.bn2)).to(dtype)  # type: ignore[arg-type]
        self.shortcut = None if block.shortcut is None else folded(block.shortcut, None).to(dtype)  # type: ignore[arg-type]
        residual = Growth() if self.shortcut is None else self.shortcut.growth
        self.growth = self.conv1.growth.then(self.conv2.growth).plus(residual)

    def __call__(self, x: Octave, bound: Bound) -> Octave:
        """Compute the block of a high branch alone."""
        assert x.high is not None
        with fusing(bound.grow(self.growth, x.high)):
            y = self.conv1(x.high, relu=True)
            if self.shortcut is None:
                return Octave(self.conv2(y, plus=x.high, relu=True), None)
            return Octave(self.conv2(y, onto=self.shortcut(x.high), relu=True), None)


class FoldedOctBlock:
    """A block of octave layers, path by path."""

    def __init__(self, block: OctBlock, size: Size, dtype: torch.dtype) -> None:
        conv1, conv2 = octave_layer(block.conv1), octave_layer(block.conv2)
        shortcut = None if block.shortcut is None else octave_layer(block.shortcut)
        self.first = fold_layers([(conv1, block.bn1)], size, dtype)
        second: list[Layer] = [(conv2, block.bn2)]
        self.second = fold_layers(second if shortcut is None else [*second, (shortcut, None)], size, dtype)
        self.has_identity = shortcut is None
        self.c_in, self.c_out, self.size, self.dtype = conv1.split_in, conv2.split_out, size, dtype
        inner = self.first.growth([Growth()], Growth(0.0))
        self.growth = self.second.growth([inner, Growth()], Growth(float(self.has_identity)))

    def __call__(self, x: Octave, bound: Bound) -> Octave:
        """Compute the block."""
        with fusing(bound.grow(self.growth, *x)):
            maps = Maps(x)
            inner = Maps(self.first([maps], NOTHING))
            identity = self._rebranch(x) if self.has_identity else NOTHING
            return self.second([inner, maps], identity)

    def _rebranch(self, x: Octave) -> Octave:
        """Do what `pwoct.branches.rebranch` does, in stored channels."""
        (in_high, in_low), (out_high, out_low) = self.c_in, self.c_out
        if bool(in_high) == bool(out_high) and bool(in_low) == bool(out_low):
            return x
        if in_low == 0:
            assert x.high is not None
            high, low = x.high[:, :out_high], halve(_dense(x.high[:, out_high : out_high + out_low]))
            return Octave(self._store(high), self._store(low))
        assert x.low is not None
        doubled = double(_dense(x.low[:, :in_low]), self.size)
        high = doubled if x.high is None else torch.cat((x.high[:, :in_high], doubled), 1)
        return Octave(self._store(high), None)

    def _store(self, x: Tensor) -> Tensor | None:
        channels = x.shape[1]
        if channels == 0:
            return None
        unused = stored_channels(channels, self.dtype) - channels
        return _dense(pad(x, (0, 0, 0, 0, 0, unused))) if unused else x


class PackedBlocks:
    """Blocks of a narrow stage: each octave layer is one convolution of the packed map."""

    def __init__(self, blocks: list[OctBlock], dtype: torch.dtype) -> None:
        self.split = octave_layer(blocks[0].conv1).split_in
        self.dtype = dtype
        self.channels = packed_channels(self.split, dtype)
        self.convolutions = [
            (
                self._pack(octave_layer(block.conv1), block.bn1),
                self._pack(octave_layer(block.conv2), block.bn2),
            )
            for block in blocks
        ]
        self.growths = [conv1.growth.then(conv2.growth).plus(Growth()) for conv1, conv2 in self.convolutions]

    def __call__(self, x: Octave, bound: Bound) -> Octave:
        """Compute the blocks of (high, low)."""
        high, low = x
        assert high is not None
        assert low is not None
        packed = pack(Octave(high[:, : self.split[0]], low[:, : self.split[1]]), self.channels)
        for (conv1, conv2), growth in zip(self.convolutions, self.growths, strict=True):
            with fusing(bound.grow(growth, packed)):
                packed = conv2(conv1(packed, relu=True), plus=packed, relu=True)
        y = unpack(packed, self.split)
        return Octave(*(self._store(branch) for branch in y))

    def _store(self, x: Tensor | None) -> Tensor:
        assert x is not None
        unused = stored_channels(x.shape[1], self.dtype) - x.shape[1]
        return _dense(pad(x, (0, 0, 0, 0, 0, unused))) if unused else x

    def _pack(self, layer: OctConv, norm: nn.Module) -> Convolution:
        assert isinstance(norm, OctBatchNorm2d)
        filters = {name: lone_filter(path) for name, path in layer.named_children()}
        weight = pack_filters(filters, layer.split_in, layer.split_out)
        assert norm.high is not None
        assert norm.low is not None
        (high_scale, high_shift), (low_scale, low_shift) = map(scale_and_shift, (norm.high, norm.low))
        scale = torch.cat((high_scale.repeat(4), low_scale))
        shift = torch.cat((high_shift.repeat(4), low_shift))
        padding = (weight.shape[2] // 2, weight.shape[3] // 2)
        convolution = Convolution(weight * scale[:, None, None, None], shift, Geometry(padding))
        return convolution.padded(self.channels, self.channels).to(self.dtype)


def _is_packable(block: OctBlock, size: Size, dtype: torch.dtype) -> bool:
    conv1, conv2 = octave_layer(block.conv1), octave_layer(block.conv2)
    splits = {tuple(split) for layer in (conv1, conv2) for split in (layer.split_in, layer.split_out)}
    same = len(splits) == 1 and block.shortcut is None
    paths = [path for layer in (conv1, conv2) for path in layer.children()]
    lone = same and all(lone_filter(path) is not None for path in paths)
    return lone and is_packed(conv1.split_in, size, dtype)


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)
