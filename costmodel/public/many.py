"""`costmodel.grid` and `costmodel.pareto`: many configurations at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from costmodel.grids.evaluate import evaluate
from costmodel.grids.grid import grid as all_of
from costmodel.grids.quantities import amount, grid_quantities
from costmodel.networks.resnet import depth_of, resnet
from costmodel.networks.wording import stage_words
from costmodel.public.arguments import check_options, keyword_names, several, some
from costmodel.public.rows import Rows
from costmodel.search.search import search
from costmodel.search.search_table import front_table
from costmodel.search.space import space

LISTS = ("path_sets", "width_rules", "constraints", "widths")  # of a search


def grid(
    models: str | Iterable[str] = "resnet56",
    *,
    alphas: Iterable[Any] = (0,),
    betas: Iterable[Any] = (2,),
    path_sets: Iterable[Any] = ((),),
    widths: Iterable[int] = (16,),
    quantities: Sequence[str] = ("params", "macs"),
    dtype: str = "float32",
    **options: Any,
) -> Rows:
    """Return one row per combination of the values: the configuration, and its quantities.

    Quantities are those of `pwoct-cost sweep`: params, macs, activations, bytes, training-macs, element-ops,
    calls, flops, training-flops. A set of paths is a list of names, or a text: "HL,LH", "all", "none", or one
    per stage, "HL+none+all". Options: width_rule, stride_rule, between, shortcut, classes, in_channels, size,
    batch. Raises ValueError if a name is unknown, a value is out of range, or a count may exceed 64 bits.

    >>> rows = grid("resnet20", alphas=[0, "1/4", "1/2"])
    >>> [row["macs"] for row in rows]
    [40813184, 28230272, 18989696]
    """
    check_options(options, [name for name in keyword_names(evaluate) if name != "stage"], "a grid")
    names, depths = some(quantities, "quantities"), [depth_of(name) for name in some(models, "models")]
    configurations = all_of(
        some(alphas, "alphas"),
        some(betas, "betas"),
        some(path_sets, "path_sets"),
        depths,
        some(widths, "widths"),
    )
    counts = grid_quantities(configurations, names, dtype, **options)
    columns = {name: values.tolist() for name, values in counts.items()}
    return Rows(
        _configuration(configurations.network(i)) | {name: values[i] for name, values in columns.items()}
        for i in range(len(configurations))
    )


def pareto(
    models: str | Iterable[str] = "resnet56",
    *,
    budgets: Mapping[str, int | str] | None = None,
    minimise: Sequence[str] = (),
    maximise: Sequence[str] = (),
    alphas: Iterable[Any] = ("0", "1/4", "1/2", "3/4"),
    betas: Iterable[Any] = (2,),
    dtype: str = "float32",
    **options: Any,
) -> Rows:
    """Return the exact Pareto front of the configurations within the budgets, one row per point.

    Budgets are upper bounds of quantities: {"macs": "40M", "params": 450_000}. Options are those of
    `costmodel.search.space.space`: path_sets, width_rules, per_stage, constraints, widths, and further ones
    of the networks. Parameters, MACs and every quantity with a budget are minimised too, unless maximised.
    With per_stage=True, stages choose independently, except for constraints: same-alpha, same-beta,
    same-paths, and keep-hh (and so on) for paths without bottlenecks. Raises ValueError, which names the
    nearest configuration, if nothing fits.

    >>> front = pareto(budgets={"macs": "40M"}, alphas=[0, "1/4"])
    >>> front[0]["params"], front[0]["macs"], front[0]["options"]
    (409482, 36473472, '--model resnet56 --alpha 1/4 --beta 2 --paths all')
    """
    known = [
        name for name in keyword_names(space, resnet) if name not in ("alpha", "beta", "paths", "width_rule")
    ]
    check_options(options, ("path_sets", "width_rules", *known), "a search")
    lists: dict[str, Any] = {name: several(options.pop(name)) for name in LISTS if name in options}
    depths = [depth_of(name) for name in several(models)]
    searched = space(depths, several(alphas), several(betas), **lists, **options)
    limits = {name: amount(str(budget)) for name, budget in (budgets or {}).items()}
    found = search(searched, limits, minimise=several(minimise), maximise=several(maximise), dtype=dtype)
    return Rows.of(front_table(found, range(len(found))))


def _configuration(net: Any) -> dict[str, Any]:
    return {
        "model": f"resnet{net.backbone.depth}",
        "width": net.backbone.width,
        **stage_words(net.stages)._asdict(),
    }
