"""Cost against alpha, for every set of bottleneck paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costmodel.networks.resnet import resnet
from costmodel.networks.wording import path_text
from costmodel.report import Column, Table, change, counted
from costmodel.search.space import Space
from costmodel.search.stage_costs import Measures, network_costs, plain_cost
from costmodel.tables.measured import DEFAULT, Measured


def sweep_table(space: Space, measured: Measured = DEFAULT) -> Table:
    """Return one row per configuration of a space whose stages agree: path sets, then betas, then alphas.

    Each quantity is compared with the plain network. Without bottlenecks beta has no effect: there is one row
    for all betas. Raises ValueError if the stages may differ, or there are several depths or width rules.

    >>> from costmodel.search.space import space
    >>> table = sweep_table(space(alphas=["1/4"], path_sets=[("HL", "LH", "LL")]))
    >>> [(row["paths"], row["macs"]) for row in table.rows]
    [('HL,LH,LL', 79309440)]
    """
    if not space.is_tied or len(space.depths) > 1 or len(space.width_rules) > 1:
        raise ValueError("a sweep needs one depth, one width rule, and stages that agree")
    costs, plain = (_counted if measured.totals.is_default else _totalled)(space, measured)
    choices = space.choices
    order = sorted(range(len(costs)), key=lambda i: (choices.paths[i], choices.beta[i], choices.alpha[i]))
    rows = [_row(space, i, measured.names, costs[i], plain) for i in order if _is_shown(space, i)]
    title = f"Cost against alpha: resnet{space.depths[0]}, {counted(len(rows), 'configuration')}"
    return Table("sweep", title, _columns(measured), rows)


def _counted(space: Space, measured: Measured) -> tuple[list[list[int]], list[int]]:
    """The quantities of all choices, and of the plain network, by the grid evaluator."""
    measures = Measures(measured.names, dtype=measured.dtype)
    depth, rule = space.depths[0], space.width_rules[0]
    costs: list[list[int]] = network_costs(space, depth, rule, measures).tolist()
    plain: list[int] = plain_cost(space, depth, measures).tolist()
    return costs, plain


def _totalled(space: Space, measured: Measured) -> tuple[list[list[int]], list[int]]:
    """The same for a choice of parts, which the grid evaluator does not support: network by network."""
    depth, rule = space.depths[0], space.width_rules[0]
    nets = [space.network(depth, rule, (pick,) * 3) for pick in range(space.size)]
    plain = resnet(depth, **space.options)
    return [measured.values(net.folded()) for net in nets], measured.values(plain.folded())


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


def _columns(measured: Measured) -> list[Column]:
    columns = [Column("paths", "paths"), Column("beta", "beta"), Column("alpha", "alpha")]
    for name in measured.names:
        columns.append(measured.column(name))
        columns.append(Column(f"{name}_vs_plain", "vs plain", "percent"))
    return columns
