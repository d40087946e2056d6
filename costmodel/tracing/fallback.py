"""A closed form by interpolation, for code that fixes a size on symbols but runs at other sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import sympy as sp

from costmodel.convention import QUANTITIES, Cost
from costmodel.tracing.calls import Call, Trace, TraceError
from costmodel.tracing.domain import Domain, Residues
from costmodel.tracing.interpolation import Interpolation, NotPolynomialError
from costmodel.tracing.sized import SizedModule
from costmodel.tracing.symbolic import size_symbol

# Quantities that depend on memory layout: whether a permutation of axes is a view or a copy.
MOVEMENT = ("other_outputs", "elements_read", "elements_written", "calls")
STEP = 32  # most networks halve their feature maps five times


@dataclass(frozen=True)
class Interpolated:
    """Costs by layer, the sizes for which they hold, at how many they were checked, and what they lack."""

    layers: Mapping[str, Cost]
    domain: Domain
    movement: Domain
    checks: int
    uncovered: tuple[Call, ...]  # at the given sizes


def interpolated(subject: SizedModule) -> Interpolated | None:
    """Return costs from runs at concrete sizes; None if the module takes no other sizes or a check fails."""

    def count(sizes: Mapping[str, int]) -> dict[str, Cost]:
        return _layers(subject.at(sizes))

    given = subject.given
    steps = {name: STEP if size >= STEP else 1 for name, size in given.items()}
    degrees = {name: 2 if steps[name] > 1 else 1 for name in given}
    start = {name: max(size, 2) for name, size in given.items()}  # at 1, views and copies may differ
    grid = Interpolation(start, steps, degrees)
    try:
        # The farthest point first: it reveals soonest that the code accepts no other sizes.
        count(grid.sizes(grid.points[-1]))
        layers = grid.layers(count)
        ones = _sizes_of_one(given, grid.sizes(grid.points[-1]))
        here = subject.at(given)
        at_one = _holds_at(layers, _layers(here), given) and all(
            _holds_at(layers, count(sizes), sizes) for sizes in ones
        )
    except (TraceError, NotPolynomialError):
        return None
    residues = {
        size_symbol(name): Residues(step, frozenset({given[name] % step}))
        for name, step in steps.items()
        if step > 1
    }
    movement = Domain({size_symbol(name): size for name, size in start.items()}, residues)
    least = {size_symbol(name): size for name, size in (given if at_one else start).items()}
    checks = len(grid.checks) + (1 + len(ones) if at_one else 0)
    return Interpolated(layers, Domain(least, residues), movement, checks, here.uncovered())


def _sizes_of_one(given: Mapping[str, int], far: Mapping[str, int]) -> list[dict[str, int]]:
    """Return sizes far away, once with each choice of the given sizes of 1.

    At 1, code may take another path, perhaps only if the other sizes are small, or only if they are large.
    """
    ones = [name for name, size in given.items() if size == 1]
    chosen = [names for k in range(1, len(ones) + 1) for names in combinations(ones, k)]
    return [{**far, **dict.fromkeys(names, 1)} for names in chosen]


def _layers(traced: Trace) -> dict[str, Cost]:
    unregistered = traced.parameters.unregistered
    layers = {"": Cost(weights=unregistered)} if unregistered else {}
    for call in traced.calls:
        layers[call.module] = layers.get(call.module, Cost()) + call.cost
    return layers


def _holds_at(layers: Mapping[str, Cost], counted: Mapping[str, Cost], sizes: Mapping[str, int]) -> bool:
    """Return whether the formulas of all layers match the counts, except for movement."""
    values = {size_symbol(name): size for name, size in sizes.items()}
    names = [quantity for quantity in QUANTITIES if quantity not in MOVEMENT]
    return all(
        sp.sympify(getattr(layers.get(path, Cost()), name)).subs(values)
        == getattr(counted.get(path, Cost()), name)
        for path in {**layers, **counted}
        for name in names
    )
