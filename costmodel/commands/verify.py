"""`pwoct-cost verify`: formulas beside what independent counters say, layer by layer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import CHECK_FAILED, bad_input, say
from costmodel.commands.shared.reading import AlphaOption, BetaOption, PathsOption
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_rounding
from costmodel.networks.resnet import named
from costmodel.report import counted
from costmodel.rounding import as_ratio

if TYPE_CHECKING:
    from costmodel.checks.comparison import Report
    from costmodel.checks.verify_sweep import Outcome

app = typer.Typer(add_completion=False)

MOST_LINES = 20  # of differences on stderr; all of them are in the JSON

# Options that describe a network of ours, and mean nothing for other models.
NETWORK_ONLY = (
    *("alpha", "beta", "paths", "size", "batch"),
    *("width_rule", "stride_rule", "between", "width", "classes"),
)


@app.command()
def verify(
    ctx: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="resnet20, resnet56, ..., or package.module:factory.")
    ] = None,
    alpha: AlphaOption = None,
    beta: BetaOption = "2",
    paths: PathsOption = "none",
    size: Annotated[str, typer.Option(help="Input size: 32 or 32x48.")] = "32",
    batch: Annotated[int, typer.Option(help="Images in a batch.", min=1)] = 1,
    width_rule: Annotated[str, typer.Option(help="Width of bottlenecks: out, in, min or mean.")] = "out",
    stride_rule: Annotated[str, typer.Option(help="Where a stride acts: A, B or C.")] = "C",
    between: Annotated[str, typer.Option(help="Inside a bottleneck: none, bn or bn_relu.")] = "none",
    width: Annotated[int, typer.Option(help="Channels of the first stage.", min=1)] = 16,
    classes: Annotated[int, typer.Option(help="Outputs of the network.", min=1)] = 10,
    input: Annotated[
        list[str] | None,
        typer.Option(help="Shape of an input of another model, such as 1,3,224,224; one option an input."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="What no formula covers is a failure.")] = False,
    per_module: Annotated[bool, typer.Option("--per-module", help="A row a module.")] = False,
    all: Annotated[
        bool, typer.Option("--all", help="Verify 665 networks: depths, alphas, betas, sets of paths.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(help="Processes for --all; default: one a core.", min=1)] = None,
    format: FormatOption = Format.table,
) -> None:
    """Compare formulas with fvcore, FlopCounterMode, parameters and hooks, layer by layer.

    Exit code 1 where any count differs. Known defects of counters, and what no formula covers, are listed.
    """
    given = [name for name in ctx.params if _is_given(ctx, name)]
    with bad_input():
        if all:
            _refuse("--all", given, ("model", *NETWORK_ONLY, "input", "strict", "per_module"))
            _verify_all(jobs or os.cpu_count() or 1, format)
            return
        if model is None:
            raise ValueError("which model? Give resnet20, resnet56, ..., package.module:factory, or --all")
        _refuse("one model", given, ("jobs",))
        if ":" in model:
            _refuse("a model of your own", given, NETWORK_ONLY)
            report = _verify_foreign(model, input)
        else:
            _refuse("a network of ours, whose input is set by --size and --batch", given, ("input",))
            options: dict[str, Any] = {
                "alpha": reading.per_stage(alpha or "0", as_ratio),
                "beta": reading.per_stage(beta, as_ratio),
                "paths": reading.per_stage(paths, reading.path_names),
                "size": reading.sides(size, "size"),
            }
            report = _verify_network(
                model,
                **options,
                batch=batch,
                width_rule=width_rule,
                stride_rule=stride_rule,
                between=between,
                width=width,
                classes=classes,
            )
    _show(report, format, per_module=per_module)
    problems = report.differences + ([f"not covered: {u}" for u in report.uncovered] if strict else [])
    _leave(problems)


def _is_given(ctx: typer.Context, name: str) -> bool:
    return getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"


def _refuse(what: str, given: Sequence[str], options: Sequence[str]) -> None:
    wrong = [name if name == "model" else f"--{name.replace('_', '-')}" for name in given if name in options]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} does not go with {what}")


def _verify_network(model: str, **options: Any) -> Report:
    # An unknown name, or a value out of its range, is said before torch is loaded.
    warn_rounding([named(model, **{name: value for name, value in options.items() if name != "batch"})])

    from costmodel.checks.verify import verify_named

    return verify_named(model, **options)


def _verify_foreign(model: str, shapes: Sequence[str] | None) -> Report:
    from costmodel.checks.factory import build, zeros
    from costmodel.checks.generic import verify_module

    module = build(model)
    if not shapes:
        raise ValueError(f"{model} needs an input: --input 1,3,224,224")
    return verify_module(module, [zeros(shape) for shape in shapes], title=model)


def _show(report: Report, format: Format, *, per_module: bool) -> None:
    from costmodel.checks import verify_report as tables
    from costmodel.checks.defects import DEFECTS

    name_of = str if per_module or ":" in report.model else tables.layer_of
    terminal = format is Format.table
    shown = [
        *(tables.short_tables(report, name_of) if terminal else [tables.full_table(report, name_of)]),
        tables.total_table(report),
        tables.excuse_table(report, {defect.name: defect.reason for defect in DEFECTS}),
        tables.uncovered_table(report),
    ]
    payload = {
        "model": report.model,
        "verdict": "differs" if report.differences else "agrees",
        "numbers_compared": report.numbers_compared,
        "differences": report.differences,
    }
    shown = [table for table in shown if table.rows or format is Format.json]
    show("verify", shown, format, payload, notes=[_summary(report)])


def _summary(report: Report) -> str:
    found = counted(len(report.differences), "difference") if report.differences else "no difference"
    listed = len(report.excuses), len(report.uncovered)
    modules, numbers = counted(len(report.rows), "module"), counted(report.numbers_compared, "number")
    return (
        f"{modules}, {numbers} compared, {found}; "
        f"known counter defects: {listed[0]}, not covered: {listed[1]}. torch: FlopCounterMode / 2."
    )


def _leave(problems: Sequence[str]) -> None:
    for line in problems[:MOST_LINES]:
        say(f"pwoct-cost: {line}")
    if len(problems) > MOST_LINES:
        say(f"pwoct-cost: ... and {len(problems) - MOST_LINES} more")
    if problems:
        raise typer.Exit(CHECK_FAILED)


def _verify_all(jobs: int, format: Format) -> None:
    from costmodel.checks.verify_sweep import configurations, summary_table, sweep

    chosen = list(configurations())
    outcomes = list(_with_progress(sweep(chosen, jobs), len(chosen)))
    differences = [f"{o.configuration}: {text}" for o in outcomes for text in o.differences]
    verdict = "differs" if differences else "agrees"
    show("verify", [summary_table(outcomes)], format, {"verdict": verdict, "differences": differences})
    _leave(differences)


def _with_progress(outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
    from rich.console import Console
    from rich.progress import track

    yield from track(outcomes, "networks", total, console=Console(stderr=True))
