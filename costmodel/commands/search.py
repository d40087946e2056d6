"""`pwoct-cost search`: the configurations that fit into budgets, and that no other one beats."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.errors import bad_input, say
from costmodel.commands.shared.plotting import check_plot, draw_result
from costmodel.commands.shared.reading import listed
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

if TYPE_CHECKING:
    from costmodel.report import Table
    from costmodel.search.search import Found

app = typer.Typer(add_completion=False)


@app.command()
def search(
    model: Annotated[
        list[str] | None, typer.Option(help="The networks: resnet20, resnet56, ..., joined by commas.")
    ] = None,
    alpha: AlphasOption = "0:0.75:0.125",
    beta: BetasOption = "2,4",
    paths: PathSetsOption = None,
    width_rule: Annotated[
        list[str] | None, typer.Option(help="Widths of bottlenecks: some of out (default), in, min, mean.")
    ] = None,
    per_stage: Annotated[
        bool, typer.Option("--per-stage", help="Each stage has its own alpha, beta and paths.")
    ] = False,
    constraint: Annotated[
        list[str] | None,
        typer.Option(help="Some of keep-hh (never a bottleneck), ..., same-alpha, same-beta, same-paths."),
    ] = None,
    max_params: Annotated[str | None, typer.Option(help="Most parameters: 0.4M.")] = None,
    max_macs: Annotated[str | None, typer.Option(help="Most MACs: 60M.")] = None,
    max_activations: Annotated[str | None, typer.Option(help="Most activation elements: 1M.")] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Most bytes read and written: 12M.")] = None,
    max_training_macs: Annotated[str | None, typer.Option(help="Most MACs of a training step.")] = None,
    max_element_ops: Annotated[str | None, typer.Option(help="Most element operations.")] = None,
    max_calls: Annotated[str | None, typer.Option(help="Most operator calls.")] = None,
    max_latency: Annotated[
        str | None, typer.Option(help="Longest predicted latency of one image: 5ms. Needs --machine.")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option(help="MACs a second, bytes a second, time a call, as bench measures: 25G,10G,5us."),
    ] = None,
    minimise: Annotated[
        list[str] | None, typer.Option(help=f"Make this small too: some of {QUANTITIES}, latency.")
    ] = None,
    maximise: Annotated[
        list[str] | None, typer.Option(help="Make this large: params, say, for capacity in a MAC budget.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Rows of a table, spread over the front; JSON, CSV: all.")] = 20,
    size: SizeOption = "32",
    stride_rule: StrideRuleOption = "C",
    between: BetweenOption = "none",
    width: WidthOption = 16,
    classes: ClassesOption = 10,
    dtype: DtypeOption = "float32",
    plot: PlotOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Find the exact Pareto front of a space of configurations, within budgets.

    On the front nothing can be made smaller without making something else larger: parameters, MACs, and
    whatever has a budget. Budgets are exact, in units or with k, M, G. No configuration is left out.
    """
    given = {
        "params": max_params,
        "macs": max_macs,
        "activations": max_activations,
        "bytes": max_bytes,
        "training-macs": max_training_macs,
        "element-ops": max_element_ops,
        "calls": max_calls,
    }
    with bad_input():
        check_plot(plot)
        from costmodel.grids.quantities import LATENCY, amount
        from costmodel.search.latency import duration, read_machine
        from costmodel.search.search import search

        budgets = {name: amount(text) for name, text in given.items() if text is not None}
        if max_latency is not None:
            budgets[LATENCY] = duration(max_latency)
        space = read_space(
            listed(model or ["resnet56"]),
            alpha,
            beta,
            paths,
            listed(width_rule or ["out"]),
            per_stage=per_stage,
            constraints=listed(constraint),
            size=size,
            stride_rule=stride_rule,
            between=between,
            width=width,
            classes=classes,
        )
        found = search(
            space,
            budgets,
            minimise=listed(minimise),
            maximise=listed(maximise),
            dtype=dtype,
            machine=None if machine is None else read_machine(machine, dtype),
        )
        _show(found, budgets, rows, format)
        if plot is not None:
            _draw(found, budgets, plot)


def _show(found: Found, budgets: Mapping[str, Fraction], rows: int, format: Format) -> None:
    from costmodel.search.search_table import describe_search, front_table

    shown = found.spread(rows)  # also checks the number, whatever the format
    complete = format in (Format.json, Format.csv)
    table = front_table(found, range(len(found)) if complete else shown)
    if format is Format.table:
        _show_on_terminal(table)
    else:
        show("search", [table], format, describe_search(found, budgets))
    warn_rounding([found.point(i).network for i in (range(len(found)) if complete else shown)])
    if not complete and len(shown) < len(found):
        say(
            f"{len(shown)} of {len(found):,} points, spread over the front; --format json or csv has them all"
        )


def _show_on_terminal(table: Table) -> None:
    """Options stand below the table, on a line each however long: to be pasted."""
    note = "equal: how many configurations cost exactly the same, this one included"
    show("search", [table], Format.table, notes=[note])
    print()
    for row in table.rows:
        print(f"{row['position']:>6,}  pwoct-cost {row['options']}")


def _draw(found: Found, budgets: Mapping[str, Fraction], path: str) -> None:
    from costmodel.report import to_json
    from costmodel.search.search_table import describe_search, front_table

    draw_result(
        to_json("search", describe_search(found, budgets), [front_table(found, range(len(found)))]), path
    )
