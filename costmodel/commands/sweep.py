"""`pwoct-cost sweep`: cost against alpha for every set of bottleneck paths."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.plotting import check_plot, draw_result
from costmodel.commands.shared.reading import MOST_CONFIGURATIONS, listed
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_rounding
from costmodel.commands.shared.space_options import (
    QUANTITIES,
    AlphasOption,
    BetasOption,
    BetweenOption,
    ClassesOption,
    DtypeOption,
    PathSetsOption,
    PlotOption,
    SizeOption,
    StrideRuleOption,
    WidthOption,
    read_space,
)

app = typer.Typer(add_completion=False)


@app.command()
def sweep(
    model: Annotated[str, typer.Option(help="The network: resnet20, resnet56, ...")] = "resnet56",
    alpha: AlphasOption = "0:1:0.125",
    beta: BetasOption = "2",
    paths: PathSetsOption = None,
    quantity: Annotated[
        list[str] | None,
        typer.Option(help=f"{QUANTITIES}; one or more, joined by commas. Default: params,macs."),
    ] = None,
    width_rule: Annotated[str, typer.Option(help="Width of bottlenecks: out, in, min or mean.")] = "out",
    size: SizeOption = "32",
    stride_rule: StrideRuleOption = "C",
    between: BetweenOption = "none",
    width: WidthOption = 16,
    classes: ClassesOption = 10,
    dtype: DtypeOption = "float32",
    plot: PlotOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show what a network costs at each alpha, for every set of bottleneck paths."""
    with bad_input():
        check_plot(plot)
        from costmodel.report import to_json
        from costmodel.tables.sweep import sweep_table

        space = read_space(
            [model],
            alpha,
            beta,
            paths,
            [width_rule],
            size=size,
            stride_rule=stride_rule,
            between=between,
            width=width,
            classes=classes,
        )
        if space.size > MOST_CONFIGURATIONS:
            raise ValueError(f"at most {MOST_CONFIGURATIONS:,} rows fit in a table, got {space.size:,}")
        depth, rule = space.depths[0], space.width_rules[0]
        warn_rounding([space.network(depth, rule, (pick,) * 3) for pick in range(space.size)])
        quantities = listed(quantity or ["params,macs"])
        table = sweep_table(space, quantities, dtype)
        payload = {"model": model, "quantities": list(dict.fromkeys(quantities)), "dtype": dtype}
        show("sweep", [table], format, payload)
        if plot is not None:
            draw_result(to_json("sweep", payload, [table]), plot)
