"""Residual networks for small images, with plain, octave and pointwise octave convolutions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu

from pwoct.blocks import BasicBlock, OctBlock, OctSequential
from pwoct.branches import OctBatchNorm2d, as_octave, size_of
from pwoct.channels import (
    PATHS,
    WIDTH_RULES,
    Ratio,
    as_alpha,
    as_beta,
    as_paths,
    as_sizes,
    check_choice,
    path_names,
    plain_int,
    split_channels,
)
from pwoct.he_normal import he_normal_
from pwoct.octave import STRIDE_RULES, OctConv
from pwoct.pointwise import pointwise_conv
from pwoct.pwise_octave import BETWEEN, PwiseOctConv
from pwoct.shortcut import ZeroPadShortcut, check_shortcut

__all__ = ["MODELS", "ResNet", "build", "resnet"]

T = TypeVar("T")
Ratios = Ratio | Sequence[Ratio]
PathSets = Iterable[str] | Iterable[Iterable[str]]

MODELS = {f"resnet{depth}": depth for depth in (20, 32, 44, 56, 110, 1202)}


class ResNet(nn.Module):
    """A 3x3 convolution, stages of blocks, global average pooling and a linear layer.

    x: (n, in_channels, h, w) of any size. Returns logits (n, classes). `torch.export` with octave layers
    and dynamic h and w needs them to be multiples of 8, the only sizes that are even in all branches.
    """

    def __init__(
        self, stages: nn.Sequential, *, in_channels: int, width: int, features: int, classes: int
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(width)
        self.stages = stages
        self.fc = nn.Linear(features, classes)

    @property
    def width(self) -> int:
        """Channels of the first stage."""
        return self.stem.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Classify images (n, in_channels, h, w)."""
        size = size_of(x)
        x = relu(self.stem_bn(self.stem(x)))
        y = self.stages(x, size) if isinstance(self.stages, OctSequential) else self.stages(x)
        high = as_octave(y).high
        assert high is not None
        return self.fc(adaptive_avg_pool2d(high, 1).flatten(1))  # type: ignore[no-any-return]


def blocks(stages: nn.Module) -> Iterator[nn.Module]:
    """Yield the blocks of all stages."""
    for stage in stages.children():
        yield from stage.children()


@dataclass(frozen=True)
class StageOptions:
    """Options of one stage: share of low channels, compression, compressed paths."""

    alpha: Fraction
    beta: Fraction
    paths: tuple[str, ...]


@dataclass(frozen=True)
class BlockSpec:
    """One block: widths, stride, alpha before, inside and after it, compressed paths of each convolution."""

    c_in: int
    c_out: int
    stride: int
    alphas: tuple[Fraction, Fraction, Fraction]
    beta: Fraction
    paths: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def changes_shape(self) -> bool:
        """Whether the shortcut needs a convolution."""
        return self.stride != 1 or self.c_in != self.c_out


@dataclass(frozen=True)
class OctaveOptions:
    """Options of every octave layer in a network, and its shortcuts."""

    width_rule: str
    stride_rule: str
    between: str
    shortcut: str


def resnet(
    depth: int,
    *,
    alpha: Ratios = 0,
    beta: Ratios = 2,
    paths: PathSets = (),
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    shortcut: str = "B",
    width: int = 16,
    classes: int = 10,
    in_channels: int = 3,
) -> ResNet:
    """Return a ResNet of depth 6n + 2 with He-normal weights; plain, Oct or PwiseOct by its options.

    Every 3x3 convolution in the blocks and the shortcut of a stage change is an octave layer, unless
    alpha is 0 and HH stays uncompressed everywhere. The first octave layer has only a high input and the
    last only a high output; neither is ever compressed. No convolution has a bias.

    Args:
        depth: 6n + 2 with n blocks per stage.
        alpha: share of low channels, in [0, 1]; one value or three, one per stage.
        beta: compression of the bottlenecks, at least 1; one value or three.
        paths: the paths that become bottlenecks: `"HL,LH"`, `"all"`, `"none"` or `["HL", "LH"]`; one set, or
            three, such as `"HL+none+all"`.
        width_rule: see `PwiseOctConv`.
        stride_rule: see `OctConv`.
        between: see `PwiseOctConv`.
        shortcut: of a stage change: "B", a 1x1 convolution; "A", no parameters, see `ZeroPadShortcut`. "A"
            needs stride rule "C", and stages in which no branch has fewer channels than in the one before.
        width: channels of the first stage; the others have twice and four times as many.
        classes: number of logits.
        in_channels: channels of an image.

    Raises:
        ValueError: if an option is out of its range.

    Source: He et al. (CVPR 2016), sections 3.3 and 4.2; Inoue and Gotoh, section 6.1.

    >>> sum(p.numel() for p in resnet(20).parameters())
    272282
    >>> sum(p.numel() for p in resnet(20, shortcut="A").parameters())
    269722
    """
    n = _blocks_a_stage(plain_int(depth))
    width, classes, in_channels = as_sizes(width=width, classes=classes, in_channels=in_channels)
    check_choice("width_rule", width_rule, WIDTH_RULES)
    check_choice("stride_rule", stride_rule, STRIDE_RULES)
    check_choice("between", between, BETWEEN)
    check_shortcut(shortcut, stride_rule)
    stages = _stages(alpha, beta, paths)
    plain = all(stage.alpha == 0 and "HH" not in stage.paths for stage in stages)
    options = OctaveOptions(width_rule, stride_rule, between, shortcut)
    row, make = (nn.Sequential, _plain_block) if plain else (OctSequential, _oct_block)
    block = partial(make, options)
    specs = _block_specs(n, width, stages)
    body = row(*(row(*map(block, of_stage)) for of_stage in specs))
    model = ResNet(body, in_channels=in_channels, width=width, features=4 * width, classes=classes)
    he_normal_(model)
    return model


def build(name: str, **options: Any) -> ResNet:
    """Build a CIFAR ResNet by name: `resnet` and a depth of 6n + 2.

    The options are those of `pwoct.resnet.resnet`: alpha, beta, paths, width_rule, stride_rule, between,
    shortcut, width, classes and in_channels.

    Raises:
        ValueError: if the name is unknown or an option is out of its range.

    >>> len(build("resnet20", alpha=0.5).stages[0])
    3
    """
    digits = name.removeprefix("resnet") if isinstance(name, str) and name.startswith("resnet") else ""
    if not digits.isdecimal() or int(digits) % 6 != 2 or int(digits) <= 2:
        known = ", ".join(MODELS)
        raise ValueError(
            f"model must be resnetN with N = 6n + 2 and n of at least 1, such as {known}, got {name}"
        )
    return resnet(int(digits), **options)


def _blocks_a_stage(depth: int) -> int:
    if not isinstance(depth, int) or depth < 8 or depth % 6 != 2:
        raise ValueError(f"depth must be 6n + 2 with n of at least 1, such as 20 or 56, got {depth!r}")
    return depth // 6


def _stages(alpha: Ratios, beta: Ratios, paths: PathSets) -> list[StageOptions]:
    alphas, betas = _one_a_stage("alpha", alpha), _one_a_stage("beta", beta)
    return [
        StageOptions(as_alpha(a), as_beta(b), as_paths(p))
        for a, b, p in zip(alphas, betas, _paths_a_stage(paths), strict=True)
    ]


def _one_a_stage(name: str, value: Ratios) -> list[Ratio]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        return [value] * 3
    return _three(name, list(value))


def _paths_a_stage(paths: PathSets) -> list[Iterable[str]]:
    """One set for all stages, or three: a text joins these by +; a list of single names is one set."""
    if isinstance(paths, str):
        sets: list[Iterable[str]] = [*paths.split("+")]
        return sets * 3 if len(sets) == 1 else _three("paths", sets)
    items = path_names(paths)
    names = [item for item in items if isinstance(item, str)]
    if len(names) == len(items) and (len(names) != 3 or all(n.strip().upper() in PATHS for n in names)):
        return [names] * 3
    return _three("paths", items)


def _three(name: str, values: list[T]) -> list[T]:
    if len(values) != 3:
        raise ValueError(f"{name} must be one value or three, one per stage, got {len(values)}: {values}")
    return values


def _block_specs(n: int, width: int, stages: list[StageOptions]) -> Iterator[list[BlockSpec]]:
    """Yield the blocks of each stage; the first and the last convolution of all are never compressed."""
    for s, stage in enumerate(stages):
        specs = []
        for i in range(n):
            first, last, enters = (s, i) == (0, 0), (s, i) == (2, n - 1), s > 0 and i == 0
            before = Fraction(0) if first else stages[s - 1].alpha if enters else stage.alpha
            behind = Fraction(0) if last else stage.alpha
            specs.append(
                BlockSpec(
                    c_in=width * 2 ** (s - 1) if enters else width * 2**s,
                    c_out=width * 2**s,
                    stride=2 if enters else 1,
                    alphas=(before, stage.alpha, behind),
                    beta=stage.beta,
                    paths=(() if first else stage.paths, () if last else stage.paths),
                )
            )
        yield specs


def _plain_block(options: OctaveOptions, spec: BlockSpec) -> BasicBlock:
    c_in, c_out, stride = spec.c_in, spec.c_out, spec.stride
    return BasicBlock(
        nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.Conv2d(c_out, c_out, 3, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        _shortcut(options, spec, lambda: pointwise_conv(c_in, c_out, stride)),
    )


def _shortcut(
    options: OctaveOptions, spec: BlockSpec, convolution: Callable[[], nn.Module]
) -> nn.Module | None:
    if not spec.changes_shape:
        return None
    if options.shortcut == "B":
        return convolution()
    before, _, behind = spec.alphas
    return ZeroPadShortcut(split_channels(spec.c_in, before), split_channels(spec.c_out, behind), spec.stride)


def _oct_block(options: OctaveOptions, spec: BlockSpec) -> OctBlock:
    before, inside, behind = spec.alphas
    first, second = spec.paths
    conv = partial(
        PwiseOctConv,
        kernel_size=3,
        beta=spec.beta,
        width_rule=options.width_rule,
        stride_rule=options.stride_rule,
        between=options.between,
    )
    shortcut = partial(OctConv, kernel_size=1, stride=spec.stride, stride_rule=options.stride_rule)
    c_in, c_out = spec.c_in, spec.c_out
    return OctBlock(
        conv(c_in, c_out, alpha_in=before, alpha_out=inside, stride=spec.stride, paths=first),
        OctBatchNorm2d(c_out, inside),
        conv(c_out, c_out, alpha_in=inside, alpha_out=behind, paths=second),
        OctBatchNorm2d(c_out, behind),
        _shortcut(options, spec, partial(shortcut, c_in, c_out, alpha_in=before, alpha_out=behind)),
    )
