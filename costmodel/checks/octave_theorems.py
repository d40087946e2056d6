"""What is proved of octave layers: every pattern of branches, set of bottlenecks, stride rule and option.

`octave_case` says how alpha, beta and the split of channels enter a theorem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, combinations

from costmodel.checks.octave_case import C_H, C_L, F_H, F_L, K_P, K_Q, ClaimedLayer, D
from costmodel.checks.prove import Case, Claim
from costmodel.checks.theorems import h, n, residue_sizes, w
from costmodel.operators.octave import PATHS
from costmodel.operators.pwise_octave import BETWEEN

SUBSETS = tuple(chain.from_iterable(combinations(PATHS, count) for count in range(len(PATHS) + 1)))
PATTERNS = tuple((one, two) for one in ("HL", "H", "L") for two in ("HL", "H", "L"))
STRIDES = (("C", 1), ("C", 2), ("B", 2), ("A", 2))  # at stride 1 all rules coincide
RULES = ("in", "min", "mean")


def octave_claims(*, every: bool = False) -> Iterator[Claim]:
    """Yield the claims about octave layers; `every` takes all pairs of residues everywhere."""
    yield _claim("OctConv", _strided(), every)
    for compressed in SUBSETS[1:]:
        layers = (
            _strided(compressed=compressed)
            if every or compressed == PATHS
            else [ClaimedLayer(compressed=compressed)]
        )
        yield _claim(f"PwiseOctConv {','.join(compressed)}", layers, every, short=True)
    yield from _branch_claims(every)
    yield from _option_claims(every)
    yield from _bottleneck_claims(every)
    yield Claim("OctConv and PwiseOctConv, sizes that are 1", _small_cases)


def _strided(**options: object) -> list[ClaimedLayer]:
    return [ClaimedLayer(rule=rule, stride=stride, **options) for rule, stride in STRIDES]  # type: ignore[arg-type]


def _branch_claims(every: bool) -> Iterator[Claim]:
    for ends in PATTERNS[1:]:
        existing = tuple(path for path in PATHS if path[0] in ends[0] and path[1] in ends[1])
        layers = [ClaimedLayer(ends, compressed, bias=True) for compressed in ((), existing)]
        if "HL" in ends or every:
            layers += [replace(layer, stride=2, rule=rule) for layer in layers for rule in "ABC"]
        text = " to ".join("+".join(end) for end in ends)
        yield _claim(f"from {text}, plain and bottlenecks, with bias", layers, every, short=True)


def _option_claims(every: bool) -> Iterator[Claim]:
    strided = [ClaimedLayer(rule=r, stride=3) for r in "BC"]
    yield _claim("OctConv, stride 3, rules B and C", strided, every, short=True)
    both = [ClaimedLayer(compressed=compressed, bias=True) for compressed in ((), PATHS)]
    yield _claim("with bias on all four paths, plain and bottlenecks", both, every, short=True)
    free = [replace(layer, kernel=None, dilation=None) for layer in both]
    kernels = [*free, *(replace(layer, stride=2, rule=rule) for layer in free for rule in "CB" if every)]
    yield _claim("any odd kernel and dilation", kernels, every, short=True)
    grouped = [replace(layer, groups=None) for layer in both]
    yield _claim("any number of groups", grouped, every, short=True)
    depthwise = ClaimedLayer(depthwise=True, alike=True)
    layers = [
        depthwise,
        replace(depthwise, exchange=True, bias=True, rule="A"),  # at stride 1 all rules cost the same
        replace(depthwise, exchange=True, bias=True, rule="B", compressed=PATHS),
        *(replace(depthwise, ends=(branch, branch)) for branch in "HL"),
    ]
    yield _claim(
        "depthwise, all branches alike, also with exchange and bottlenecks", layers, every, short=True
    )


def _bottleneck_claims(every: bool) -> Iterator[Claim]:
    for between in BETWEEN[1:]:
        layers = [ClaimedLayer(compressed=PATHS, between=between)]
        yield _claim(f"PwiseOctConv {','.join(PATHS)}, between {between}", layers, every, short=True)
    for rule in RULES:
        layers = [ClaimedLayer(compressed=PATHS, width_rule=rule)]
        layers += [replace(layer, shrinking=True) for layer in layers if rule == "min"]
        yield _claim(f"PwiseOctConv {','.join(PATHS)}, width rule {rule}", layers, every, short=True)
    raised = [ClaimedLayer(compressed=PATHS, widths=1), ClaimedLayer(("H", "H"), ("HH",), widths=1)]
    narrow = [ClaimedLayer(compressed=PATHS, stride=2, narrow=True)]
    yield _claim("strided bottlenecks of fewer than 16 input channels", narrow, every, short=True)
    yield _claim("widths of bottlenecks that are rounded to 0 or 1", raised, every, short=True)


def _claim(name: str, layers: Sequence[ClaimedLayer], every: bool, *, short: bool = False) -> Claim:
    """Return a claim about layers; a short one takes one residue per axis, since other claims take all."""
    return Claim(name, partial(_cases, layers, every, short))


def _cases(layers: Sequence[ClaimedLayer], every: bool, short: bool) -> Iterator[Case]:
    for layer in layers:
        sizes = residue_sizes(layer.period, pairs=every)
        for image in sizes[:1] if short and not every else sizes:
            yield layer.case(image)


def _small_cases() -> Iterator[Case]:
    """Yield runs in which sizes are 1, one at a time and all together, and images of one and of two rows."""
    every = {n: 1, h: 1, w: 1, C_H: 1, C_L: 1, F_H: 1, F_L: 1}
    image = residue_sizes(2, pairs=False)[0]
    for small in ({n: 1}, {h: 1}, {w: 1}, {C_H: 1}, {C_L: 1}, {F_H: 1}, {F_L: 1}, every):
        yield ClaimedLayer(small=small).case(image)
        if not set(small) & {F_H, F_L}:
            yield ClaimedLayer(compressed=PATHS, small=small).case(image)
    for side in (1, 2, 3, 5):
        yield ClaimedLayer(stride=2).case((side, side + 1))
    for kernel in ({K_P: 0, K_Q: 0}, {K_P: 0}, {D: 1}):
        yield ClaimedLayer(kernel=None, dilation=None, small=kernel).case(image)
