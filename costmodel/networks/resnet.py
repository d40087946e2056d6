"""Concrete networks: alpha, beta and paths for each stage of a CIFAR ResNet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from costmodel.networks.network import Backbone, fold, record_resnet
from costmodel.networks.stages import STAGES, Stage, paths_per_stage, per_stage
from costmodel.operators.octave import PATHS, STRIDE_RULES, PathConvolution, PathRequest
from costmodel.operators.pwise_octave import BETWEEN, compressing
from costmodel.operators.recorder import Operator
from costmodel.rounding import (
    WIDTH_RULES,
    RatioLike,
    check_alpha,
    check_beta,
    hidden,
    split,
    split_note,
    width_note,
)
from costmodel.sizes import Pair, Size, check_choice, pair, plain

MODELS: Mapping[str, int] = {f"resnet{depth}": depth for depth in (20, 32, 44, 56, 110, 1202)}

# Depths at which ResNet usually means a network for ImageNet (He et al. 2016, both papers).
IMAGENET_DEPTHS = (18, 34, 50, 101, 152, 200)


@dataclass(frozen=True)
class ResNetDesign:
    """A network to be costed: a backbone and three stages of choices. Made by `resnet`."""

    backbone: Backbone
    stages: tuple[Stage, Stage, Stage]
    width_rule: str = "out"
    between: str = "none"

    @property
    def is_plain(self) -> bool:
        """Whether every convolution is a standard one, since all alphas are 0 and HH is never compressed."""
        return all(stage.alpha == 0 and "HH" not in stage.paths for stage in self.stages)

    @property
    def is_compressed(self) -> bool:
        """Whether some path is a bottleneck."""
        return any(stage.paths for stage in self.stages)

    def split(self, stage: int) -> Pair:
        """Return the (high, low) channels of a stage."""
        return split(self.backbone.channels(stage), self.stages[stage].alpha)

    def convolve(self, source: int, stage: int) -> PathConvolution:  # noqa: ARG002 - all channels are known
        """Return the recorder of a path: a bottleneck if the stage compresses it."""
        choice = self.stages[stage]

        def width(request: PathRequest) -> Size | None:
            return self.width_of(choice, *request.channels) if request.path in choice.paths else None

        return compressing(width, self.between)

    def operators(self, batch: Size = 1) -> list[Operator]:
        """Return the operators in the order in which they run."""
        return record_resnet(self.backbone, self, batch)

    def folded(self) -> list[Operator]:
        """Return operators with the same total cost, in which identical inner blocks occur only once."""
        inner = self.backbone.n - 2
        if inner <= 1:
            return self.operators()
        return fold(replace(self, backbone=replace(self.backbone, n=3)).operators(), inner)

    def width_of(self, stage: Stage, c_in: Size, c_out: Size) -> Size:
        """Return the width m of a bottleneck c_in -> c_out in a stage."""
        return hidden(c_in, c_out, stage.beta, self.width_rule)


def resnet(
    depth: int,
    *,
    alpha: RatioLike | Sequence[RatioLike] = 0,
    beta: RatioLike | Sequence[RatioLike] = 2,
    paths: Iterable[str] | Sequence[Iterable[str]] = (),
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    shortcut: str = "B",
    width: int = 16,
    classes: int = 10,
    in_channels: int = 3,
    size: int | tuple[int, int] = 32,
) -> ResNetDesign:
    """Return a network of depth 6n + 2; alpha, beta and paths are one value or three, one per stage.

    The shortcut of a stage change is B, a 1x1 convolution, or A, without parameters: every second pixel, and
    zeros for new channels, branch by branch.

    Raises ValueError if a value is out of range, a path or rule is unknown, beta exceeds the output channels,
    or shortcut A would lose channels of a branch.

    >>> from costmodel.operators.recorder import cost_of
    >>> cost = cost_of(resnet(56).operators())
    >>> cost.params, cost.macs
    (855578, 125747840)
    >>> cost_of(resnet(20, shortcut="A").operators()).params
    269722
    """
    depth = plain(depth)
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 with n >= 1 (8, 14, 20, 26, ...), got {depth}")
    check_choice("width rule", width_rule, WIDTH_RULES)
    check_choice("stride rule", stride_rule, STRIDE_RULES)
    check_choice("between", between, BETWEEN)
    alphas = [check_alpha(a) for a in per_stage(alpha, "alpha")]
    betas = [check_beta(b) for b in per_stage(beta, "beta")]
    first, second, third = map(Stage, alphas, betas, paths_per_stage(paths))
    sizes = plain(width), plain(classes), plain(in_channels), pair(size)
    backbone = Backbone((depth - 2) // 6, *sizes, stride_rule, shortcut)
    net = ResNetDesign(backbone, (first, second, third), width_rule, between)
    _check_widths(net)
    _check_shortcuts(net)
    return net


def named(name: str, **options: Any) -> ResNetDesign:
    """Return a network by the name of its backbone; options as for `resnet`.

    Raises ValueError, with the nearest known name, if the name is unknown.

    >>> named("resnet20", alpha="1/4").backbone.n
    3
    """
    return resnet(depth_of(name), **options)


def depth_of(name: str) -> int:
    """Return the depth in a name: resnet followed by 6n + 2.

    >>> depth_of("resnet56")
    56
    """
    digits = name.removeprefix("resnet")
    if name in MODELS or (
        name.startswith("resnet") and digits.isdecimal() and int(digits) % 6 == 2 and int(digits) > 2
    ):
        return int(digits)
    near = _nearest(name, digits)
    hint = f"; did you mean {near}?" if near else ""
    if digits.isdecimal() and int(digits) in IMAGENET_DEPTHS:
        hint += f" ImageNet's is `pwoct-cost cost timm:{name}`"
    needed = f"resnetN with N = 6n + 2, n >= 1, such as {', '.join(MODELS)}{hint}"
    raise ValueError(f"unknown model {name or repr(name)}: need {needed}")


def _nearest(name: str, digits: str) -> str | None:
    if digits.isdecimal():
        return min(MODELS, key=lambda model: abs(MODELS[model] - int(digits)))
    return next(iter(get_close_matches(name, MODELS, n=1)), None)


def _check_widths(net: ResNetDesign) -> None:
    for stage, choice in enumerate(net.stages):
        channels = net.backbone.channels(stage)
        if choice.paths and choice.beta > channels:
            raise ValueError(
                f"beta must be at most the {channels} output channels of stage {stage + 1}, got {choice.beta}"
            )


def _check_shortcuts(net: ResNetDesign) -> None:
    if net.backbone.shortcut == "B":
        return
    for stage in STAGES[1:]:
        is_last = stage == STAGES[-1] and net.backbone.n == 1
        behind = (net.backbone.channels(stage), 0) if is_last else net.split(stage)
        for branch, c_in, c_out in zip(("high", "low"), net.split(stage - 1), behind, strict=True):
            if c_in > c_out or (c_in == 0) != (c_out == 0):
                raise ValueError(
                    f"shortcut A keeps all channels of a branch and adds zeros, but the {branch} branch has"
                    f" {c_in} channels before stage {stage + 1} and {c_out} after the change; use shortcut B"
                )


def depth_note(depth: int) -> str:
    """Return a note if a depth usually means another network, else nothing.

    >>> depth_note(56)
    ''
    >>> print(depth_note(152).partition(";")[0])
    resnet152 here is the CIFAR network of that depth, not ImageNet's ResNet-152
    """
    if depth not in IMAGENET_DEPTHS:
        return ""
    usual = min(MODELS, key=lambda model: (abs(MODELS[model] - depth), -MODELS[model]))
    return (
        f"resnet{depth} here is the CIFAR network of that depth, not ImageNet's ResNet-{depth};"
        f" that one is `pwoct-cost cost timm:resnet{depth}`, and the usual one for CIFAR is {usual}"
    )


def rounding_notes(net: ResNetDesign) -> list[str]:
    """Return one note for each size that the rounding rule changed; none if all sizes are integers."""
    splits = [split_note(net.backbone.channels(stage), net.stages[stage].alpha) for stage in STAGES]
    widths = [note for stage in STAGES for note in _width_notes(net, stage)]
    return [note for note in dict.fromkeys(splits + widths) if note]


def _width_notes(net: ResNetDesign, stage: int) -> Iterable[str]:
    choice, c_out = net.stages[stage], net.split(stage)
    changes = [net.split(stage - 1)] if stage else []
    # A single last block holds the stage change and the last convolution, which is never compressed.
    regular = [] if stage == STAGES[-1] and net.backbone.n == 1 else [c_out]
    for c_in in changes + regular:
        for path in PATHS:
            ends = c_in["HL".index(path[0])], c_out["HL".index(path[1])]
            if path in choice.paths and 0 not in ends:
                yield width_note(path, *ends, choice.beta, net.width_rule)
