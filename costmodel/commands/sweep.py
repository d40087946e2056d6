"""`pwoct-cost sweep`: cost against alpha for every set of bottleneck paths."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.options import DEFAULT_MODEL, MODEL_ARGUMENT, given_model
from costmodel.commands.shared.plotting import check_plot, draw_result
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.reading import MOST_CONFIGURATIONS, joined, listed
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_about
from costmodel.commands.shared.space_options import read_space
from costmodel.commands.shared.vocabulary import argument, option

app = typer.Typer(add_completion=False)


@app.command()
def sweep(
    ctx: typer.Context,
    model: Annotated[str | None, argument("model", MODEL_ARGUMENT)] = None,
    named_model: Annotated[str | None, option("model")] = None,
    alpha: Annotated[str, option("alpha-list")] = "0:1:0.125",
    beta: Annotated[str, option("beta-list")] = "2",
    paths: Annotated[list[str] | None, option("path-sets")] = None,
    quantity: Annotated[list[str] | None, option("quantity")] = None,
    width_rule: Annotated[str, option("width-rule")] = "out",
    size: Annotated[str, option("size")] = "32",
    stride_rule: Annotated[str, option("stride-rule")] = "C",
    between: Annotated[str, option("between")] = "none",
    width: Annotated[int, option("width")] = 16,
    classes: Annotated[int, option("classes")] = 10,
    in_channels: Annotated[int, option("in-channels")] = 3,
    dtype: Annotated[str, option("dtype")] = "float32",
    unit: Annotated[str, option("unit")] = "mac",
    count: Annotated[str | None, option("count")] = None,
    plot: Annotated[str | None, option("plot")] = None,
    format: FormatOption = Format.table,
) -> None:
    """Show the cost of a network at each alpha, for every set of bottleneck paths."""
    with bad_input():
        check_plot(plot)
        from costmodel.report import to_json
        from costmodel.tables.measured import Measured
        from costmodel.tables.sweep import sweep_table

        name = given_model(model, named_model) or DEFAULT_MODEL
        measured = Measured.read(listed(quantity or ["params,macs"]), dtype, unit, count)
        space = read_space(
            [name],
            alpha,
            beta,
            paths,
            [width_rule],
            size=size,
            stride_rule=stride_rule,
            between=between,
            width=width,
            classes=classes,
            in_channels=in_channels,
        )
        if space.size > MOST_CONFIGURATIONS:
            raise ValueError(f"at most {MOST_CONFIGURATIONS:,} rows fit in a table, got {space.size:,}")
        depth, rule = space.depths[0], space.width_rules[0]
        warn_about([space.network(depth, rule, (pick,) * 3) for pick in range(space.size)])
        table = sweep_table(space, measured)
        question = Question.of(ctx, model=name, named_model=None, quantity=joined(measured.names))
        payload = {"model": name, "quantities": list(measured.names), "dtype": dtype} | question.said()
        show("sweep", [table], format, payload)
        if plot is not None:
            draw_result(to_json("sweep", payload, [table]), plot)
