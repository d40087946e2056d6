"""Tables of what the stages of a converted network cost, to be merged stage by stage.

A layer is costed with the last of the stages on which it depends. Until then, what it needs of the earlier
ones is part of the state: their `StageState`, and of its own stage the whole choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from costmodel.convention import Cost
from costmodel.grids.grid import IntArray
from costmodel.grids.quantities import check_count
from costmodel.operators.converted import ConvertedLayer
from costmodel.rounding import hidden
from costmodel.search.space import MOST_CHOICES
from costmodel.search.stage_costs import Measures, Tables
from costmodel.search.staged import LayerForm, StagedLayer, StagedNetwork, StagedSpace

NOT, BY_STATE, BY_CHOICE = range(3)  # what later layers need of a stage


class StagedTables(NamedTuple):
    """Costs (`stages[s]`: (states before, choices, D)), and the state after each choice (states, choices)."""

    tables: Tables
    after: tuple[IntArray, ...]


def staged_tables(network: StagedNetwork, space: StagedSpace, measures: Measures) -> StagedTables:
    """Return the costs of all choices of all stages.

    Raises:
        ValueError: if a network's count may exceed 64 bits, or layers depend on too many stages at once.
    """
    needed = _needed(network, space.stages)
    state_of = np.array([space.states.index(choice.state) for choice in space.choices], dtype=np.int64)
    count = len(space.choices)
    before = np.empty((1, 0), dtype=np.int64)  # (states, stages that are remembered)
    remembered: list[int] = []
    stages, afters = [], []
    for stage in range(space.stages):
        if len(before) * count > MOST_CHOICES:
            raise ValueError(
                f"stage {stage + 1} has {len(before) * count:,} choices with what comes before it, and at "
                f"most {MOST_CHOICES:,} are tried: give fewer alphas or paths, or tie them (--constraint)"
            )
        stages.append(_stage_table(network, space, measures, stage, (remembered, before, needed)))
        keep = [k for k, one in enumerate(remembered) if needed[one][stage] != NOT]
        kept = [_reduced(before[:, k], needed[remembered[k]], stage, state_of).repeat(count) for k in keep]
        remembered = [remembered[k] for k in keep]
        if needed[stage][stage] != NOT:
            own = np.arange(count) if needed[stage][stage] == BY_CHOICE else state_of
            kept.append(np.tile(own, len(before)))
            remembered.append(stage)
        rows = np.stack(kept, axis=1) if kept else np.empty((len(before) * count, 0), dtype=np.int64)
        before, number = _numbered(rows)
        afters.append(number.reshape(-1, count))
    tables = Tables(measures.of(network.rest), tuple(stages))
    _check_size(tables)
    return StagedTables(tables, tuple(afters))


def _numbered(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distinct rows, and the number of each row among them."""
    if rows.shape[1] == 0:
        return rows[:1], np.zeros(len(rows), dtype=np.int64)
    distinct, number = np.unique(rows, axis=0, return_inverse=True)
    return distinct, number.reshape(-1)


def _needed(network: StagedNetwork, stages: int) -> list[list[int]]:
    """Return, for each stage, what layers that are costed after each stage need of it."""
    needed = [[NOT] * stages for _ in range(stages)]
    for layer in network.layers:
        for stage in layer.needs:
            what = BY_CHOICE if stage == layer.stage else BY_STATE
            for after in range(stage, layer.needs[-1]):
                needed[stage][after] = max(needed[stage][after], what)
    return needed


def _reduced(column: IntArray, needed: Sequence[int], stage: int, state_of: IntArray) -> IntArray:
    """Return what is remembered of an earlier stage after one more: a state, once no layer needs a choice."""
    had, needs = needed[stage - 1], needed[stage]
    return state_of[column] if had == BY_CHOICE and needs == BY_STATE else column


def _stage_table(
    network: StagedNetwork,
    space: StagedSpace,
    measures: Measures,
    stage: int,
    known: tuple[Sequence[int], IntArray, Sequence[Sequence[int]]],
) -> IntArray:
    """Return the costs of the layers that are complete with this stage (states before, choices, D)."""
    remembered, before, needed = known
    table = np.zeros((len(before), len(space.choices), len(measures.names)), dtype=np.int64)
    state_of = np.array([space.states.index(choice.state) for choice in space.choices], dtype=np.int64)
    for layer in network.layers:
        if layer.needs[-1] != stage:
            continue
        costs = layer_costs(layer, space, measures)
        index = []
        for one in layer.needs:
            own = one == layer.stage
            if one == stage:
                index.append((np.arange(len(space.choices)) if own else state_of)[None, :])
                continue
            column = before[:, remembered.index(one)]
            has_choice = needed[one][stage - 1] == BY_CHOICE
            index.append((state_of[column] if has_choice and not own else column)[:, None])
        check_count("in one stage", int(table.max(initial=0)) + int(costs.max(initial=0)))
        table += costs[tuple(index)]
    return table


def layer_costs(layer: StagedLayer, space: StagedSpace, measures: Measures) -> IntArray:
    """Return the costs of a layer: one axis per stage that it needs, over its states (over the choices of the
    layer's own stage), then the D quantities.
    """
    states, choices = space.states, space.choices
    own = layer.needs.index(layer.stage)
    of_state = {state: [n for n, choice in enumerate(choices) if choice.state == state] for state in states}
    shape = tuple(len(choices) if k == own else len(states) for k in range(len(layer.needs)))
    costs = np.zeros((*shape, len(measures.names)), dtype=np.int64)
    for combination in product(range(len(states)), repeat=len(layer.needs)):
        key = tuple(states[k] for k in combination)
        if key not in layer.forms:
            continue  # states that no configuration has together
        members = of_state[key[own]]
        index = tuple(members if k == own else number for k, number in enumerate(combination))
        costs[index] = _of_choices(layer, layer.forms[key], space, measures, members)
    return costs


def _of_choices(
    layer: StagedLayer,
    form: LayerForm | None,
    space: StagedSpace,
    measures: Measures,
    members: Sequence[int],
) -> IntArray:
    """Return what some choices cost (n, D): all paths as they are, and what each bottleneck changes."""
    if form is None:
        return np.tile(measures.of(layer.plain), (len(members), 1))
    base = measures.of(_cost(replace(form.layer, name="", widths={})))
    changed: Mapping[tuple[str, object], IntArray] = {
        (path, beta): measures.of(_cost(replace(form.layer, name="", widths={path: width}))) - base
        for path in form.compressible
        for beta in space.betas
        for width in [_width(form.layer, path, beta, space.width_rule)]
    }
    chosen = [space.choices[n] for n in members]
    return np.stack(
        [
            sum((changed[path, choice.beta] for path in choice.paths & form.compressible), base)
            for choice in chosen
        ]
    )


def _width(layer: ConvertedLayer, path: str, beta: object, rule: str) -> int:
    c_in, c_out = (ends["HL".index(end)] for ends, end in zip((layer.c_in, layer.c_out), path, strict=True))
    width = hidden(c_in, c_out, beta, rule)
    assert isinstance(width, int)
    return width


class _Sizes(NamedTuple):
    """A layer without its name: layers of equal sizes are costed once."""

    fields: tuple[object, ...]
    widths: tuple[tuple[str, object], ...]


def _cost(layer: ConvertedLayer) -> Cost:
    fields = tuple(getattr(layer, name) for name in _FIELDS)
    return _cost_of_sizes(_Sizes(fields, tuple(sorted(layer.widths.items()))))


_FIELDS = tuple(name for name in ConvertedLayer.__dataclass_fields__ if name != "widths")


@lru_cache(maxsize=1 << 16)
def _cost_of_sizes(sizes: _Sizes) -> Cost:
    fields = dict(zip(_FIELDS, sizes.fields, strict=True))
    return ConvertedLayer(**fields, widths=dict(sizes.widths)).cost()  # type: ignore[arg-type]


def _check_size(tables: Tables) -> None:
    check_count("in all", sum(int(table.max(initial=0)) for table in (tables.constant, *tables.stages)))
