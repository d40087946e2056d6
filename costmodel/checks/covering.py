"""Random layers whose options are spread: many triples of options at few points.

Points drawn independently repeat common options, so that a defect that needs three rare options at once is
met only by chance. Here each point is, out of several draws, the one with the most triples not seen before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any, NamedTuple

from costmodel.checks.random_options import draws, layer_of, layer_options
from costmodel.operators.layer import Layer
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator
from costmodel.sizes import Pair

DRAWS = 12  # per point
IMAGES, BATCHES = (1, 24), (1, 7)


class Point(NamedTuple):
    """A layer at a size: options of `PwiseOctConv`, the image's (h, w), the batch."""

    options: Mapping[str, Any]
    image: Pair
    batch: int

    def operators(self) -> Sequence[Operator]:
        """Return its operators; raise ValueError where its options do not fit one another."""
        return layer_of(self.options, self.image, self.batch).operators()


def spread_layers(
    chosen: random.Random,
    points: int,
    draw: Callable[[random.Random], Mapping[str, Any]] = layer_options,
    accept: Callable[[Point], object] = Point.operators,
) -> Iterator[Point]:
    """Yield `points` accepted points; each is the draw with the most triples of traits not seen before.

    Raises ValueError if hardly any options fit.
    """
    seen: set[tuple[Any, ...]] = set()
    for found in draws(points, DRAWS):
        tried = sorted((draw(chosen) for _ in range(DRAWS)), key=lambda one: len(triples(one) - seen))
        point = next(
            (point for point in map(partial(_placed, chosen), tried[::-1]) if _fits(point, accept)), None
        )
        if point is not None:
            found.append(None)
            seen |= triples(point.options)
            yield point


def _placed(chosen: random.Random, options: Mapping[str, Any]) -> Point:
    """Return a layer at a random size."""
    image = chosen.randrange(*IMAGES), chosen.randrange(*IMAGES)
    return Point(options, image, chosen.randrange(*BATCHES))


def _fits(point: Point, accept: Callable[[Point], object]) -> bool:
    try:
        return bool(accept(point))
    except ValueError:
        return False  # options that do not fit one another


def triples(options: Mapping[str, Any]) -> set[tuple[Any, ...]]:
    """Return all triples of a layer's traits."""
    return {*combinations(sorted(traits(options).items()), 3)}


def traits(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a layer is like: each option as one of a few kinds. Missing options have their defaults.

    >>> traits({"alpha_in": 1, "kernel_size": (3, 5)})["alpha_in"]
    'all'
    """
    o = {**_DEFAULTS, **options}
    k_h, k_w = o["kernel_size"]
    return {
        "kind": 2 + o["exchange"] if o["depthwise"] else int(o["groups"] > 1),
        "kernel": "point" if k_h == k_w == 1 else "square" if k_h == k_w else "rectangle",
        "alpha_in": _share(o["alpha_in"]),
        "alpha_out": _share(o["alpha_out"]),
        "dilated": o["dilation"] > 1,
        **{name: o[name] for name in ("stride", "stride_rule", "between", "bias", "width_rule")},
        **{path: path in o["paths"] for path in PATHS},
    }


_DEFAULTS: Mapping[str, Any] = {**vars(Layer()), "kernel_size": Layer.kernel}


def _share(alpha: Any) -> str:
    return "none" if alpha == 0 else "all" if alpha == 1 else "some"
