"""`pwoct-cost equations`: the paper's equations, derived and proved, and the break-even of bottlenecks."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import CHECK_FAILED, bad_input
from costmodel.commands.shared.limits import MOST_BETAS
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.vocabulary import option

app = typer.Typer(add_completion=False)


@app.command()
def equations(
    ctx: typer.Context,
    alpha: Annotated[str, option("alpha-one")] = "1/4",
    beta: Annotated[str, option("beta-list")] = "2",
    width_rule: Annotated[str, option("width-rule")] = "out",
    kernel: Annotated[int, option("kernel-one", min=1, max=99)] = 3,
    format: FormatOption = Format.table,
) -> None:
    """Derive and prove equations (3) to (14) of the PwiseOct paper, and show when a bottleneck saves nothing.

    The paper is that of Inoue and Gotoh. Exit code 1 if a derived form differs from the paper's.
    """
    from costmodel.paper import equation_tables as tables
    from costmodel.rounding import WIDTH_RULES, check_alpha
    from costmodel.sizes import check_choice, check_most

    with bad_input():
        share, betas = check_alpha(alpha), reading.betas(beta)
        check_most("the number of betas", len(betas), MOST_BETAS)
        check_choice("width rule", width_rule, WIDTH_RULES)
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
    with at_work("deriving and proving"):
        proved = tables.equation_table()
        shown = [
            proved,
            tables.saving_table(),
            tables.beta_table(kernel),
            tables.alpha_table(betas, kernel),
            *(tables.layer_saving_table(share, each, width_rule, kernel) for each in betas),
        ]
    holds = all(row["holds"] for row in proved.rows)
    payload = {"holds": holds, "alpha": str(share), "beta": [str(b) for b in betas]}
    show("equations", shown, format, payload | Question.of(ctx).said())
    if not holds:
        raise typer.Exit(CHECK_FAILED)
