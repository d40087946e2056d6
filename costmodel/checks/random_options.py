"""Random layers and networks, of every option: what formulas and code are compared at.

Numbers are small, so that divisibility, sizes of 1, and ratios such as 3/8 occur naturally; nothing is
rounded to values that suit the code.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any
from unittest.mock import patch

from torch import nn

from costmodel.checks.octave_case import OctaveNet
from costmodel.operators.layer import Layer
from costmodel.operators.octave import PATHS, STRIDE_RULES, octave_map
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.rounding import WIDTH_RULES, split
from costmodel.sizes import Pair
from pwoct import resnet as code
from pwoct.pwise_octave import PwiseOctConv

_EIGHTHS = tuple(Fraction(count, 8) for count in range(9))
_OTHERS = ((1, 5), (2, 7), (1, 3), (2, 5), (3, 5), (2, 3), (5, 6))
ALPHAS = (*_EIGHTHS, *(Fraction(*ratio) for ratio in _OTHERS))
MOST_DRAWS = 50  # per point
BETAS = tuple(Fraction(twice, 2) for twice in (2, 3, 4, 5, 6, 8, 10))


def draws(points: int, each: int = 1) -> Iterator[list[None]]:
    """Yield, once per `each` draws, a list to which an accepted point is added, until there are enough.

    Raises ValueError if hardly any options fit.
    """
    found: list[None] = []
    for _ in range(MOST_DRAWS * points // each):
        if len(found) == points:
            return
        yield found
    raise ValueError(
        f"the formulas accept {len(found)} of {MOST_DRAWS * points} random options, not {points}"
    )


def layer_options(chosen: random.Random) -> dict[str, Any]:
    """Return options of `PwiseOctConv`, which may not fit one another."""
    depthwise = chosen.random() < 0.2
    scale = chosen.choice((1, 1, 2, 3, 4, 8))
    return {
        "c_in": scale * chosen.randrange(1, 22),
        "c_out": scale * chosen.randrange(1, 22),
        "kernel_size": (chosen.choice((1, 3, 3, 5, 7)), chosen.choice((1, 3, 3, 5, 7))),
        "alpha_in": _alpha(chosen),
        "alpha_out": _alpha(chosen),
        "paths": [path for path in PATHS if chosen.random() < 0.5],
        "beta": chosen.choice(BETAS),
        "width_rule": chosen.choice([*WIDTH_RULES]),
        "between": chosen.choice(BETWEEN),
        "stride": chosen.choice((1, 1, 2, 2, 3, 4, 5)),
        "dilation": chosen.choice((1, 1, 1, 2, 3)),
        "groups": 1 if depthwise else chosen.choice((1, 1, 1, scale)),
        "bias": chosen.random() < 0.5,
        "stride_rule": chosen.choice(STRIDE_RULES),
        "depthwise": depthwise,
        "exchange": depthwise and chosen.random() < 0.5,
    }


def _alpha(chosen: random.Random) -> Fraction:
    """Return an alpha; in a third of all cases one that leaves a single branch."""
    return chosen.choice(ALPHAS) if chosen.random() < 0.75 else Fraction(chosen.randrange(2))


def grouped_options(chosen: random.Random, groups: tuple[int, ...]) -> dict[str, Any]:
    """Return options with that many groups and a bottleneck, which few random channels and widths allow."""
    count = chosen.choice(groups)
    options = {**layer_options(chosen), "depthwise": False, "exchange": False, "groups": count}
    channels = {end: count * chosen.randrange(1, 17) for end in ("c_in", "c_out")}
    return {**options, **channels, "paths": sorted({chosen.choice(PATHS), *options["paths"]})}


def layer_of(options: Mapping[str, Any], image: Pair, batch: int) -> Layer:
    """Return the layer of the formulas.

    Raises ValueError if options do not fit one another; its operators may, too.
    """
    named = {"kernel" if name == "kernel_size" else name: value for name, value in options.items()}
    named["paths"] = frozenset(options.get("paths", ()))
    return Layer(size=image, batch=batch, **named)


def octave_net(options: Mapping[str, Any]) -> nn.Module:
    """Return the layer of the code, as the child `conv` of a model."""
    high, low = split(options["c_in"], options.get("alpha_in", Layer.alpha_in))
    return OctaveNet(PwiseOctConv(**options), "H" * (high != 0) + "L" * (low != 0))


def layer_shapes(options: Mapping[str, Any], image: Pair, batch: int) -> list[tuple[int, ...]]:
    """Return the shapes of a layer's inputs: of the branches that exist."""
    x = octave_map(split(options["c_in"], options.get("alpha_in", Layer.alpha_in)), image)
    return [(batch, branch.channels, *branch.size) for branch in x if branch]


def network_options(chosen: random.Random) -> tuple[int, int, tuple[int, int], dict[str, Any]]:
    """Return a depth, a batch, an image (h, w) and options of a network, which may not fit one another."""
    depth, batch = chosen.choice((8, 14)), chosen.randrange(1, 7)
    image = chosen.randrange(1, 41), chosen.randrange(1, 41)
    shortcut = chosen.choice("AB")
    alphas = [_alpha(chosen) for _ in range(3)]
    if shortcut == "A":  # no branch may lose channels, and the last block has a high branch alone
        depth, alphas = 14, sorted(alphas) if chosen.random() < 0.5 else [min(alphas)] * 3
    options: dict[str, Any] = {
        "alpha": alphas,
        "beta": [chosen.choice(BETAS) for _ in range(3)],
        "paths": [[path for path in PATHS if chosen.random() < 0.5] for _ in range(3)],
        "width_rule": chosen.choice([*WIDTH_RULES]),
        "stride_rule": "C" if shortcut == "A" else chosen.choice(STRIDE_RULES),
        "between": chosen.choice(BETWEEN),
        "shortcut": shortcut,
        "width": chosen.randrange(5, 40),
        "classes": chosen.randrange(1, 20),
        "in_channels": chosen.randrange(1, 6),
    }
    return depth, batch, image, options


def kept_alphas(chosen: random.Random) -> list[Fraction]:
    """Return alphas of three stages, the widths of which double, for shortcut A: no branch loses channels.

    From one stage to the next, either both branches double, or all new channels are in one branch.
    """
    alphas = [chosen.choice([alpha for alpha in ALPHAS if 0 < alpha < 1])]
    for _ in range(2):
        alpha = alphas[-1]
        alphas.append(chosen.choice((alpha, alpha / 2, (1 + alpha) / 2)))
    return alphas


def without_some(chosen: random.Random, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options some of which are left to the defaults, which both sides have of their own."""
    needed = ("c_in", "c_out", "in_channels")
    return {name: value for name, value in options.items() if name in needed or chosen.random() < 0.9}


def spelled(chosen: random.Random, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which alpha, beta and paths may be one for all stages, and written in other ways."""
    found = dict(options)
    for name in ("alpha", "beta"):
        write = chosen.choice((str, Fraction, _decimal))
        values = [write(value) for value in options[name]]
        found[name] = values[0] if chosen.random() < 0.3 else values
    sets = options["paths"]
    if chosen.random() < 0.5:
        found["paths"] = chosen.choice(([*sets[0]], ",".join(sets[0]) or "none", "all", ["LL", "HH", "HL"]))
    elif chosen.random() < 0.5:
        found["paths"] = "+".join(",".join(paths).lower() or "none" for paths in sets)
    return found


def _decimal(value: Fraction) -> float | Fraction:
    """Return a ratio as a float where its decimal text is exact, as 0.4 is."""
    return float(value) if Fraction(repr(float(value))) == value else value


def built_network(depth: int, options: Mapping[str, Any]) -> nn.Module:
    """Return the network of the code, without drawing its initial weights."""
    with patch.object(code, "he_normal_", lambda _: None):
        return code.resnet(depth, **options)
