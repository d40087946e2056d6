"""The plan "native": a trained network for inference, computed by this package's kernels."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from pwoct.blocks import BasicBlock, OctBlock
from pwoct.branches import strided
from pwoct.plan.compiled.branches import Branches, rebranching
from pwoct.plan.compiled.library import why_not
from pwoct.plan.compiled.operations import Map, Size
from pwoct.plan.compiled.program import Program, ProgramRecorder, joins_maps
from pwoct.plan.folded.convolve import Convolution
from pwoct.plan.folded.fold import FoldedPath, Layer, copy_for_folding, fold_paths, folded, why_not_folded
from pwoct.plan.folded.kernels import scale_and_shift
from pwoct.plan.known import refusal
from pwoct.plan.maps import DOUBLED, HIGH, LOW, octave_layer
from pwoct.plan.snapshot import Snapshot
from pwoct.plan.tracing import check_untraced
from pwoct.resnet import ResNet, blocks


class NativeNetwork(Snapshot):
    """A snapshot of a `ResNet` for images of one size, in compiled kernels; no parameters or gradients.

    x: (n, in_channels, h, w) of any floating type, on the CPU. Returns logits (n, classes) in `dtype`.
    Images are computed in blocks of as many images as a vector has floats, 4, 8 or 16: batches should be
    multiples of that.

    Args:
        model: the network; its weights and statistics are copied.
        size: (h, w) of the images.
        dtype: float32, float64 or bfloat16.

    Raises:
        ValueError: if the kernels cannot compute in `dtype` here, if the network is not supported, or
            if an image has another size.
        RuntimeError: if something traces the operators, such as torch.compile or torch.func.
    """

    PLAN = "native"

    @torch.no_grad()
    def __init__(self, model: ResNet, size: Size, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        if reason := why_not(dtype):
            raise ValueError(f'the plan "native" does not run here: {reason}')
        self.size, self.dtype = size, dtype
        if reason := why_not_native(model, dtype):
            raise refusal("native", model, reason)
        model = copy_for_folding("native", model).cpu()
        recorder = ProgramRecorder(dtype)
        images = Map(model.stem.in_channels, *size)
        stem = recorder.convolve(images, folded(model.stem, scale_and_shift(model.stem_bn)), relu=True)
        x = Branches(recorder, stem, None)
        for block in blocks(model.stages):
            if isinstance(block, OctBlock):
                size = strided(size, block.stride)
                x = _octave_block(block, x, size)
            else:
                x = _plain_block(block, x)
        assert x.high is not None
        mean = recorder.pool(x.high, max(x.high.height, x.high.width))
        head = Convolution(model.fc.weight[:, :, None, None], model.fc.bias)
        self.program = Program(recorder, images, recorder.convolve(mean, head))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, in_channels, h, w)."""
        check_untraced("native", "lean", x)
        wanted = (self.program.images.channels, *self.size)
        if tuple(x.shape[1:]) != wanted:
            raise ValueError(
                f"this network was made for images (n, {', '.join(map(str, wanted))}), got {tuple(x.shape)}"
            )
        if x.device.type != "cpu":
            raise ValueError(f"this network computes on the CPU, got images on {x.device}")
        return self.program(x).flatten(1)


def why_not_native(model: nn.Module, dtype: torch.dtype) -> str | None:
    """Return why a network cannot be computed by this plan in `dtype` on this machine, or None if it can."""
    if reason := why_not_folded(model):
        return reason
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.groups != 1:
            return f"{name}: its kernels have no groups, got {module}"
    return why_not(dtype)


def _plain_block(block: nn.Module, x: Branches[ProgramRecorder]) -> Branches[ProgramRecorder]:
    assert isinstance(block, BasicBlock)
    assert x.high is not None
    convolve = x.recorder.convolve
    y = convolve(x.high, _fold(block.conv1, block.bn1), relu=True)
    residual = x.high if block.shortcut is None else convolve(x.high, _fold(block.shortcut, None))
    return Branches(x.recorder, convolve(y, _fold(block.conv2, block.bn2), plus=residual, relu=True), None)


def _octave_block(block: OctBlock, x: Branches[ProgramRecorder], size: Size) -> Branches[ProgramRecorder]:
    conv1, conv2 = octave_layer(block.conv1), octave_layer(block.conv2)
    inner = _add_up([(conv1, block.bn1)], [x], (None, None), size)
    layers: list[Layer] = [(conv2, block.bn2)]
    if block.shortcut is not None:
        layers.append((octave_layer(block.shortcut), None))
    elif conv1.split_in != conv2.split_out:
        layers.append((rebranching(conv1, conv2), None))
    return _add_up(layers, [inner, x], (x.high, x.low) if len(layers) == 1 else (None, None), size)


def _add_up(
    layers: Sequence[Layer],
    inputs: Sequence[Branches[ProgramRecorder]],
    residual: tuple[Map | None, Map | None],
    size: Size,
) -> Branches[ProgramRecorder]:
    """Record relu(sum of all paths + residual), branch by branch; upsampled maps are added last."""
    recorder = inputs[0].recorder
    paths: dict[str, list[FoldedPath]] = {HIGH: [], DOUBLED: [], LOW: []}
    for path in fold_paths(layers, _merges):
        paths[path.term.target].append(path)
    high, low = residual
    low = _sum(recorder, paths[LOW], inputs, low, None, relu=True)
    doubled = _sum(recorder, paths[DOUBLED], inputs, None, None, relu=False)
    if doubled is not None and not paths[HIGH]:
        high = recorder.add(high, doubled, size, relu=True)
    else:
        high = _sum(recorder, paths[HIGH], inputs, high, doubled, relu=True)
    return Branches(recorder, high, low)


def _sum(
    recorder: ProgramRecorder,
    paths: Sequence[FoldedPath],
    inputs: Sequence[Branches[ProgramRecorder]],
    plus: Map | None,
    doubled: Map | None,
    relu: bool,
) -> Map | None:
    parts = list(_parts(recorder, paths, inputs))
    for position, (x, second, convolution) in enumerate(parts, 1):
        is_last = position == len(parts)
        plus = recorder.convolve(
            x,
            convolution,
            second=second,
            plus=plus,
            doubled=doubled if is_last else None,
            relu=relu and is_last,
        )
    return plus


def _parts(
    recorder: ProgramRecorder, paths: Sequence[FoldedPath], inputs: Sequence[Branches[ProgramRecorder]]
) -> Iterator[tuple[Map, Map | None, Convolution]]:
    """Yield the terms of a sum: a map, a second map or None, and the convolution that reads them."""
    alone: tuple[Map, Convolution] | None = None
    for path in paths:
        x = inputs[path.number](path.term.source, path.term.pools)
        for convolution, rectified in path.before:
            x = recorder.convolve(x, convolution, relu=rectified)
        if alone is not None and joins_maps(alone[1], path.last, alone[0], x):
            yield alone[0], x, _joined(alone[1], path.last)
            alone = None
            continue
        if alone is not None:
            yield alone[0], None, alone[1]
        alone = x, path.last
    if alone is not None:
        yield alone[0], None, alone[1]


def _joined(first: Convolution, second: Convolution) -> Convolution:
    biases = [convolution.bias for convolution in (first, second) if convolution.bias is not None]
    bias = torch.stack(biases).sum(0) if biases else None
    return Convolution(torch.cat([first.weight, second.weight], 1), bias, first.geometry)


def _merges(c_in: int, hidden: int, c_out: int, kernel: Size) -> bool:
    """Whether 1x1, kxk, 1x1 are merged into one kxk: decided by MACs, plus half for the maps in between."""
    k = kernel[0] * kernel[1]
    return 2 * k * c_in * c_out <= 3 * hidden * (c_in + k * hidden + c_out)


def _fold(convolution: nn.Module, norm: nn.Module | None) -> Convolution:
    assert isinstance(convolution, nn.Conv2d)
    if norm is None:
        return folded(convolution, None)
    assert isinstance(norm, nn.BatchNorm2d)
    return folded(convolution, scale_and_shift(norm))
