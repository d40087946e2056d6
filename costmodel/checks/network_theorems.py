"""What is proved of whole networks: every layer, for all widths, splits, bottleneck widths and image sizes.

For all depths: a stage of n blocks has a first one, a last one, and n - 2 alike in between, made by the same
code on the same sizes. What a network costs is therefore affine in n from n = 2 on, and two depths fix it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import sympy as sp
from torch import nn

from costmodel.checks.octave_theorems import SUBSETS
from costmodel.checks.prove import Case, Claim
from costmodel.checks.symbolic import Dimensions, size
from costmodel.checks.theorems import IMAGE, h, n, residue_sizes, w
from costmodel.networks.network import Backbone, record_resnet
from costmodel.networks.stages import STAGES
from costmodel.operators.octave import PATHS, PathConvolution, PathRequest
from costmodel.operators.pwise_octave import BETWEEN, compressing
from costmodel.sizes import Pair, Size
from pwoct.resnet import resnet

WIDTH, IN_CHANNELS, CLASSES = size("c"), size("c_image"), size("classes")
LOW = [size(f"c_L{stage + 1}") for stage in STAGES]
HIDDEN = [{branch: size(f"m_{branch}{stage + 1}") for branch in "HL"} for stage in STAGES]

BETA = Fraction(7, 2)
NUMBERS = (
    {WIDTH: 100, LOW[0]: 23, LOW[1]: 59, LOW[2]: 171, IN_CHANNELS: 5, CLASSES: 11},
    {WIDTH: 90, LOW[0]: 31, LOW[1]: 83, LOW[2]: 121, IN_CHANNELS: 4, CLASSES: 13},
)
PERIOD = 8  # of image sizes: two strides, and the low branch


@dataclass(frozen=True)
class TheoremDesign:
    """A network's choices in symbols; None as the paths is the plain network."""

    paths: tuple[str, ...] | None
    between: str = "none"

    @property
    def is_plain(self) -> bool:
        """Whether every convolution is a standard one."""
        return self.paths is None

    def split(self, stage: int) -> Pair:
        """Return the (high, low) channels of a stage."""
        channels = WIDTH * 2**stage
        return (channels, 0) if self.is_plain else (channels - LOW[stage], LOW[stage])

    def convolve(self, source: int, stage: int) -> PathConvolution:  # noqa: ARG002 - see `width`
        """Return what records a path."""

        def width(request: PathRequest) -> Size | None:
            """By the rule "out", it depends on the branch that the path leads to."""
            return HIDDEN[stage][request.path[1]] if request.path in (self.paths or ()) else None

        return compressing(width, self.between)


def network_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about networks; `every` takes all paths, stride rules, bottlenecks, and odd sizes."""
    for kind in (None, (), PATHS):
        yield _claim(kind, odd_sizes=every)
    if every:
        for paths in SUBSETS[1:-1]:
            yield _claim(paths)
        for rule in "AB":
            yield _claim(PATHS, rule)
        for between in BETWEEN[1:]:
            yield _claim(PATHS, between=between)


def _claim(
    paths: tuple[str, ...] | None, rule: str = "C", between: str = "none", *, odd_sizes: bool = False
) -> Claim:
    kind = "plain" if paths is None else f"PwiseOct {','.join(paths)}" if paths else "Oct"
    symbols = [
        "n",
        "c",
        "c_image",
        "classes",
        *([] if paths is None else ["c_L1, c_L2, c_L3 of c, 2c, 4c"]),
        *(["m_H1, ..., m_L3"] if paths else []),
    ]
    residues = "8h, 8w" + ("; for b = 1 also 8h + r, 8w + s (each r, each s)" if odd_sizes else "")
    changed = [f", rule {rule}"] * (rule != "C") + [f", between {between}"] * (between != "none")
    return Claim(
        "".join([f"ResNet-(6b+2) {kind}", *changed]),
        f"{', '.join(symbols)}, b; image {residues}",
        partial(_cases, paths, rule, between, odd_sizes),
        grid="b in {2, 3}, and b = 1 alone: degree 1 from b = 2 on, since all blocks of a stage but its "
        "first and last are made and recorded alike",
    )


def _cases(paths: tuple[str, ...] | None, rule: str, between: str, odd_sizes: bool) -> Iterator[Case]:
    for blocks in (1, 2, 3):
        yield network_case(blocks, paths, rule, (PERIOD * h, PERIOD * w), between)
    if odd_sizes:
        for image in residue_sizes(PERIOD, pairs=False):
            yield network_case(1, paths, rule, image, between)


def network_case(
    blocks: int, paths: tuple[str, ...] | None, rule: str, image: Pair, between: str = "none"
) -> Case:
    """Return the run of a network of 6 `blocks` + 2 layers on images of a size."""
    backbone = Backbone(blocks, WIDTH, CLASSES, IN_CHANNELS, image, rule)
    return Case(
        partial(_build, blocks, paths, rule, between),
        _dimensions(paths),
        [(n, IN_CHANNELS, *image)],
        record_resnet(backbone, TheoremDesign(paths, between), n),
        IMAGE,
        sums=[{WIDTH: (size(f"c_H{stage + 1}") + LOW[stage]) / 2**stage} for stage in STAGES],
    )


def _build(
    blocks: int, paths: tuple[str, ...] | None, rule: str, between: str, v: Mapping[sp.Symbol, int]
) -> nn.Module:
    alphas = [Fraction(v[LOW[stage]], v[WIDTH] * 2**stage) for stage in STAGES]
    return resnet(
        6 * blocks + 2,
        alpha=0 if paths is None else alphas,
        beta=BETA,
        paths=paths or (),
        stride_rule=rule,
        between=between,
        width=v[WIDTH],
        classes=v[CLASSES],
        in_channels=v[IN_CHANNELS],
    )


def _dimensions(paths: tuple[str, ...] | None) -> Dimensions:
    sizes: list[Size] = [WIDTH * 2**stage for stage in STAGES] + [IN_CHANNELS, CLASSES]
    if paths is not None:
        sizes += [branch for stage in STAGES for branch in TheoremDesign(paths).split(stage)]
        sizes += [hidden for by_branch in HIDDEN for hidden in by_branch.values()]
    return Dimensions(tuple(sizes), tuple({**v, **_hidden(v)} for v in NUMBERS))


def _hidden(v: Mapping[sp.Symbol, int]) -> dict[sp.Symbol, int]:
    found = {}
    for stage in STAGES:
        low = v[LOW[stage]]
        for branch, channels in (("H", v[WIDTH] * 2**stage - low), ("L", low)):
            found[HIDDEN[stage][branch]] = int(channels / BETA)
    return found
