"""Cost against alpha, for every set of bottleneck paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costmodel.grids.quantities import named_quantity
from costmodel.networks.wording import path_text
from costmodel.report import Column, Table, change, counted
from costmodel.search.space import Space
from costmodel.search.stage_costs import Measures, network_costs, plain_cost


def sweep_table(
    space: Space, quantities: Sequence[str] = ("params", "macs"), dtype: str = "float32"
) -> Table:
    """Return a row a configuration of a space whose stages agree: path sets, then betas, then alphas.

    Each quantity is compared with the plain network. Without bottlenecks beta is idle: one row for all of
    them. Raises ValueError where a quantity is unknown, the stages may differ, or depth or width rule are
    several.

    >>> from costmodel.search.space import space
    >>> table = sweep_table(space(alphas=["1/4"], path_sets=[("HL", "LH", "LL")]), ["macs"])
    >>> [(row["paths"], row["macs"]) for row in table.rows]
    [('HL,LH,LL', 79309440)]
    """
    if not space.is_tied or len(space.depths) > 1 or len(space.width_rules) > 1:
        raise ValueError("a sweep is of one depth and one width rule, with stages that agree")
    measures = Measures(tuple(dict.fromkeys(quantities)), dtype=dtype)
    depth, rule = space.depths[0], space.width_rules[0]
    costs = network_costs(space, depth, rule, measures).tolist()
    plain = plain_cost(space, depth, measures).tolist()
    choices = space.choices
    order = sorted(range(len(costs)), key=lambda i: (choices.paths[i], choices.beta[i], choices.alpha[i]))
    rows = [_row(space, i, measures.names, costs[i], plain) for i in order if _is_shown(space, i)]
    title = f"Cost against alpha: resnet{depth}, {counted(len(rows), 'configuration')}"
    return Table("sweep", title, _columns(measures.names), rows)


def _is_shown(space: Space, i: int) -> bool:
    choices = space.choices
    return bool(space.path_sets[choices.paths[i]]) or choices.beta[i] == 0


def _row(
    space: Space, i: int, names: Sequence[str], costs: Sequence[int], plain: Sequence[int]
) -> dict[str, Any]:
    choices, row = space.choices, {}
    paths = space.path_sets[choices.paths[i]]
    row = {
        "paths": path_text(paths),
        "beta": space.betas[choices.beta[i]] if paths else None,
        "alpha": space.alphas[choices.alpha[i]],
    }
    for name, cost, base in zip(names, costs, plain, strict=True):
        row |= {name: cost, f"{name}_vs_plain": change(cost, base)}
    return row


def _columns(names: Sequence[str]) -> list[Column]:
    columns = [Column("paths", "paths"), Column("beta", "beta"), Column("alpha", "alpha")]
    for name in names:
        columns.append(Column(name, named_quantity(name).heading, "count"))
        columns.append(Column(f"{name}_vs_plain", "vs plain", "percent"))
    return columns
