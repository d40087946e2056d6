"""The plan "blocked": training steps by this package's kernels, on feature maps in blocks of images."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torch.nn.modules.batchnorm import _BatchNorm

from pwoct.blocks import BasicBlock, OctBlock
from pwoct.branches import OctBatchNorm2d, strided
from pwoct.octave import OctConv
from pwoct.plan.compiled.branches import Branches, rebranching
from pwoct.plan.compiled.filters import NEEDS, Filters, filters_of
from pwoct.plan.compiled.layout import Layout, layout_of
from pwoct.plan.compiled.library import why_not
from pwoct.plan.compiled.operations import Map, Size, lanes_of
from pwoct.plan.compiled.paths_tape import LowPaths, PathsTape
from pwoct.plan.compiled.tape import Tape
from pwoct.plan.compiled.training import SIZES, Features, Pass, TrainingStep
from pwoct.plan.lean.network import LeanNetwork
from pwoct.plan.shared.known import PlanError, reason_of, why_not_known_parts
from pwoct.plan.shared.latest import Latest
from pwoct.plan.shared.maps import DOUBLED, HIGH, LOW, Term, octave_layer, terms
from pwoct.plan.shared.selecting import as_convolution
from pwoct.plan.shared.tracing import check_untraced
from pwoct.pwise_octave import Bottleneck
from pwoct.resnet import ResNet, blocks


class BlockedNetwork(LeanNetwork):
    """A `ResNet` computed by the plan "blocked"; it has the same children, so the same state dict.

    x: (n, in_channels, h, w) on the CPU, where n is a multiple of the images per block (in float32, 16 with
    AVX-512, 8 with AVX2, 4 with NEON or SSE; in float64, half as many) and all pooled maps have even sizes.
    Returns logits (n, classes). Under autocast, maps are stored in bfloat16, and multiplied in bfloat16 if
    the processor can; sums, statistics and everything else are in the parameters' type, float32 or float64.
    Evaluation uses "lean". Layers may change between steps; they are then recorded again.

    Raises:
        ValueError: in training, if the kernels do not run here, or do not support a layer, type or size.
        RuntimeError: in training, if something traces the operators, such as torch.compile or torch.func.
    """

    PLAN = "blocked"

    def __init__(self, model: ResNet) -> None:
        super().__init__(model)
        self._layout: Layout | None = None
        self._recorded: Latest[tuple[Size, bool, bool], tuple[TrainingStep, Tape]] = Latest(SIZES)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that a copy needs; the copy records its own steps."""
        return {**self.__dict__, "_layout": None}

    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, in_channels, h, w)."""
        in_training = {norm.training for norm in self.modules() if isinstance(norm, _BatchNorm)}
        if in_training == {False}:
            return super().forward(x)
        if len(in_training) > 1:
            raise ValueError(f"{NEEDS} all normalisations in training mode, or all in evaluation mode")
        return self.fc(adaptive_avg_pool2d(self._features(x), 1).flatten(1))  # type: ignore[no-any-return]

    def _features(self, x: Tensor) -> Tensor:
        check_untraced(self.PLAN, x, self.stem.weight)
        if reason := why_not_blocked(self, len(x)):
            raise ValueError(f"{reason}; {self._instead()}")
        wanted = self.stem.in_channels
        if x.dim() != 4 or x.shape[1] != wanted or x.device.type != "cpu":
            raise ValueError(
                f"{NEEDS} images (n, {wanted}, h, w) on the CPU, got {tuple(x.shape)} on {x.device}"
            )
        try:
            step, tape = self._step((x.shape[2], x.shape[3]), x.requires_grad)
        except ValueError as error:
            raise ValueError(f"{error}; {self._instead()}") from error
        passes: list[Pass] = []
        features: Tensor = Features.apply(step, passes, x, *tape.parameters)  # type: ignore[no-untyped-call]
        track(tape, passes[0].moments, len(x))
        if not features.requires_grad:
            step.release(passes[0])
        return features

    def _instead(self) -> str:
        plan = "lean" if why_not_known_parts(self, layers=False) is None else "reference"
        return f'use the plan "{plan}"'

    def _step(self, size: Size, to_images: bool) -> tuple[TrainingStep, Tape]:
        dtype = self.stem.weight.dtype
        casts = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        rounds = casts and dtype == torch.float32 and why_not(torch.bfloat16) is None
        layout = layout_of(self)
        if layout != self._layout:
            self._recorded.clear()
            self._layout = layout

        def recorded() -> tuple[TrainingStep, Tape]:
            tape, images, result = record(self, size, rounds)
            return TrainingStep(tape, images, result, to_images=to_images, dtype=dtype), tape

        return self._recorded.get((size, to_images, rounds), recorded)


def record(model: ResNet | LeanNetwork, size: Size, rounds: bool = False) -> tuple[Tape, Map, Map]:
    """Return a network recorded up to its features, with the maps of images and features.

    Raises:
        ValueError: if the kernels do not support a layer or a size.
    """
    if reason := why_not_known_parts(model, layers=True):
        raise PlanError("blocked", reason)
    tape, images = PathsTape(rounds), Map(model.stem.in_channels, *size)
    (stem,) = tape.normalise([(tape.convolve(images, model.stem), model.stem_bn, None)], relu=True)
    x = Branches(tape, stem, None)
    for block in blocks(model.stages):
        if isinstance(block, OctBlock):
            size = strided(size, block.stride)
            x = _octave_block(block, x, size)
        else:
            x = _plain_block(block, x)
    if x.high is None:
        raise ValueError(f"{NEEDS} a last block with a high branch")
    return tape, images, x.high


def why_no_batch(model: nn.Module, images: int) -> str | None:
    """Return why the kernels cannot train batches of so many images, whatever the layers, or None."""
    if reason := why_not(torch.float32):
        return f'the plan "blocked" does not run here: {reason}'
    dtypes = {parameter.dtype for parameter in model.parameters()}
    if dtypes not in ({torch.float32}, {torch.float64}):
        return f"{NEEDS} parameters in float32 or float64, got {', '.join(sorted(map(str, dtypes)))}"
    lanes = lanes_of(*dtypes)
    if images < 1 or images % lanes:
        return f"{NEEDS} batches of a multiple of {lanes} images, got {images}"
    return None


def why_not_blocked(model: ResNet | LeanNetwork, images: int, size: Size | None = None) -> str | None:
    """Return why a network cannot be trained by this plan at a batch size, or None if it can.

    size: of the images; if it is given, all layers are checked.
    """
    if reason := why_no_batch(model, images):
        return reason
    try:
        if size is not None:
            record(model, size)
    except ValueError as error:
        return reason_of(error)
    return None


@torch.no_grad()
def track(tape: Tape, moments: Tensor, images: int) -> None:
    """Update the running statistics as `BatchNorm2d` does: with the unbiased variance."""
    parts = torch.split(moments, [norm.channels for norm, _ in tape.norms])
    found: dict[float, list[tuple[Tensor, Tensor]]] = defaultdict(list)  # by momentum: old and new values
    counters: dict[nn.Module, Tensor] = {}
    for ((_, _, _, _, recorded, norm, kept), pixels), part in zip(tape.norms, parts, strict=True):
        if norm is None or norm.running_mean is None or norm.running_var is None:
            continue
        numbers, momentum = images * pixels, recorded if norm.momentum is None else norm.momentum
        whole = slice(kept.start, kept.stop)
        found[momentum].append((norm.running_mean[whole], part[:, 0]))
        found[momentum].append((norm.running_var[whole], part[:, 1] * (numbers / (numbers - 1))))
        if norm.num_batches_tracked is not None:
            counters[norm] = norm.num_batches_tracked
    for momentum, pairs in found.items():
        torch._foreach_lerp_([old for old, _ in pairs], [new for _, new in pairs], momentum)
    for counter in counters.values():
        counter.add_(1)


def _plain_block(block: nn.Module, x: Branches[PathsTape]) -> Branches[PathsTape]:
    assert isinstance(block, BasicBlock)
    assert x.high is not None
    tape = x.recorder
    (inner,) = tape.normalise([(_convolve(tape, block.conv1, x.high), block.bn1, None)], relu=True)
    y = _convolve(tape, block.conv2, inner)
    residual = x.high
    if block.shortcut is not None:
        residual = _convolve(tape, as_convolution(block.shortcut, octave=False), x.high)
    (high,) = tape.normalise([(y, block.bn2, residual)], relu=True)
    return Branches(tape, high, None)


def _octave_block(block: OctBlock, x: Branches[PathsTape], size: Size) -> Branches[PathsTape]:
    conv1, conv2 = octave_layer(block.conv1), octave_layer(block.conv2)
    nothing = Branches(x.recorder, None, None)
    inner = _normalise(block.bn1, _octave(conv1, x, size), nothing)
    residual = x
    if block.shortcut is not None:
        residual = _octave(octave_layer(as_convolution(block.shortcut, octave=True)), x, size)
    elif conv1.split_in != conv2.split_out:
        residual = _octave(rebranching(conv1, conv2), x, size)
    return _normalise(block.bn2, _octave(conv2, inner, size), residual)


def _octave(layer: OctConv, x: Branches[PathsTape], size: Size) -> Branches[PathsTape]:
    """Record an octave convolution whose high output has a given size; upsampled maps are added last."""
    found: dict[str, list[Term]] = {HIGH: [], DOUBLED: [], LOW: []}
    for term in terms(layer):
        found[term.target].append(term)
    low, doubled = _low_paths(found[LOW], found[DOUBLED], x)
    if doubled is not None and not found[HIGH]:
        return Branches(x.recorder, x.recorder.double(doubled, size), low)
    return Branches(x.recorder, _sum(found[HIGH], x, doubled), low)


def _low_paths(
    low: Sequence[Term], across: Sequence[Term], x: Branches[PathsTape]
) -> tuple[Map | None, Map | None]:
    """Record the paths to the low map, and that to the high map before it is upsampled."""
    by_path = {term.path: term for term in (*low, *across)}
    if set(by_path) == {"ll", "hl", "lh"} and all(
        isinstance(term.conv, nn.Conv2d) for term in by_path.values()
    ):
        maps = {name: x(term.source, term.pools) for name, term in by_path.items()}
        paths = LowPaths(
            *(_filters(x.recorder, by_path[name].conv, maps[name]) for name in ("ll", "hl", "lh"))
        )
        if maps["ll"] is maps["lh"] and x.recorder.joins(maps["ll"], maps["hl"], paths):
            return x.recorder.filter_paths(maps["ll"], maps["hl"], paths)
    return _sum(low, x, None), _sum(across, x, None)


def _filters(tape: PathsTape, convolution: nn.Module, x: Map) -> Filters:
    assert isinstance(convolution, nn.Conv2d)
    return filters_of(convolution, x.channels)._replace(first=tape.add_parameter(convolution.weight))


def _sum(found: Sequence[Term], x: Branches[PathsTape], doubled: Map | None) -> Map | None:
    y = None
    for position, term in enumerate(found, 1):
        last = doubled if position == len(found) else None
        y = _convolve(x.recorder, term.conv, x(term.source, term.pools), plus=y, doubled=last)
    return y


def _convolve(
    tape: Tape, path: nn.Module, x: Map, *, plus: Map | None = None, doubled: Map | None = None
) -> Map:
    """Record one path: a convolution, or a bottleneck of three."""
    if not isinstance(path, Bottleneck):
        assert isinstance(path, nn.Conv2d)
        return tape.convolve(x, path, plus=plus, doubled=doubled)
    for convolution, norm in ((path.reduce, path.reduce_bn), (path.spatial, path.spatial_bn)):
        x = tape.convolve(x, convolution)
        if norm is not None:
            (x,) = tape.normalise([(x, norm, None)], relu=path.between == "bn_relu")
    return tape.convolve(x, path.expand, plus=plus, doubled=doubled)


def _normalise(norm: nn.Module, x: Branches[PathsTape], plus: Branches[PathsTape]) -> Branches[PathsTape]:
    """Record relu(norm(x) + plus) of the branches that exist."""
    assert isinstance(norm, OctBatchNorm2d)
    inputs = [
        (branch, own, residual)
        for branch, own, residual in ((x.high, norm.high, plus.high), (x.low, norm.low, plus.low))
        if branch is not None and own is not None
    ]
    outputs = iter(x.recorder.normalise(inputs, relu=True))
    return Branches(
        x.recorder, None if x.high is None else next(outputs), None if x.low is None else next(outputs)
    )
