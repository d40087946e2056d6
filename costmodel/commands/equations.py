"""`pwoct-cost equations`: the paper's equations, derived and proved, and when a bottleneck saves nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import CHECK_FAILED, bad_input
from costmodel.commands.shared.showing import Format, FormatOption, show

app = typer.Typer(add_completion=False)


@app.command()
def equations(
    alpha: Annotated[str, typer.Option(help="Share of low channels in the table by layer.")] = "1/4",
    beta: Annotated[str, typer.Option(help="Compression of the bottlenecks: 2, a list, a range.")] = "2",
    width_rule: Annotated[
        str, typer.Option(help="Width in the table by layer: out, in, min or mean.")
    ] = "out",
    kernel: Annotated[int, typer.Option(help="Kernel size: 1, 3, 5, ...", min=1, max=99)] = 3,
    format: FormatOption = Format.table,
) -> None:
    """Derive the paper's equations (3) to (14), prove each, and say when a bottleneck saves nothing.

    Exit code 1 where a derived form differs from the paper's.
    """
    from costmodel.paper import equation_tables as tables
    from costmodel.rounding import WIDTH_RULES, check_alpha
    from costmodel.sizes import check_choice

    with bad_input():
        share, betas = check_alpha(alpha), reading.betas(beta)
        check_choice("width rule", width_rule, WIDTH_RULES)
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
    proved = tables.equation_table()
    shown = [
        proved,
        tables.saving_table(),
        tables.beta_table(kernel),
        tables.alpha_table(betas, kernel),
        *(tables.layer_saving_table(share, each, width_rule, kernel) for each in betas),
    ]
    holds = all(row["holds"] for row in proved.rows)
    show("equations", shown, format, {"holds": holds, "alpha": str(share), "beta": [str(b) for b in betas]})
    if not holds:
        raise typer.Exit(CHECK_FAILED)
