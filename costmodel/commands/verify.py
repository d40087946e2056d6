"""`pwoct-cost verify`: formulas compared with independent counters, layer by layer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.errors import CHECK_FAILED, bad_input, say
from costmodel.commands.shared.limits import check_built
from costmodel.commands.shared.network import (
    NETWORK_HELP,
    InputOption,
    InputsOption,
    TimeoutOption,
    asked,
    is_own,
    refused,
    within,
)
from costmodel.commands.shared.options import NETWORK_FIELDS, NetworkOptions, given_model
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_about
from costmodel.commands.shared.terminal import at_work, followed
from costmodel.commands.shared.vocabulary import argument, option
from costmodel.report import counted

if TYPE_CHECKING:
    from costmodel.checks.comparison import Report
    from costmodel.checks.foreign import NetworkReport

app = typer.Typer(add_completion=False)

MOST_LINES = 20  # lines of differences on stderr; the JSON has all of them

NETWORK_ONLY = (*NETWORK_FIELDS, "batch")  # options that apply only to built-in networks
ONE_MODEL = ("model", "named_model", *NETWORK_ONLY, "input", "inputs", "timeout", "strict", "per_module")


@app.command()
def verify(
    ctx: typer.Context,
    model: Annotated[str | None, argument("model", NETWORK_HELP)] = None,
    named_model: Annotated[str | None, option("model")] = None,
    alpha: Annotated[str | None, option("alpha")] = None,
    beta: Annotated[str, option("beta")] = "2",
    paths: Annotated[str, option("paths")] = "none",
    size: Annotated[str, option("size")] = "32",
    batch: Annotated[int, option("batch", min=1)] = 1,
    width_rule: Annotated[str, option("width-rule")] = "out",
    stride_rule: Annotated[str, option("stride-rule")] = "C",
    between: Annotated[str, option("between")] = "none",
    shortcut: Annotated[str, option("shortcut")] = "B",
    width: Annotated[int, option("width", min=1)] = 16,
    classes: Annotated[int, option("classes", min=1)] = 10,
    in_channels: Annotated[int, option("in-channels", min=1)] = 3,
    input: InputOption = None,
    inputs: InputsOption = None,
    timeout: TimeoutOption = None,
    strict: Annotated[bool, option("strict")] = False,
    per_module: Annotated[bool, option("per-module")] = False,
    all: Annotated[bool, option("every-network")] = False,
    jobs: Annotated[int | None, option("jobs", min=1)] = None,
    format: FormatOption = Format.table,
) -> None:
    """Compare formulas with fvcore, FlopCounterMode, parameters and hooks, layer by layer.

    Exit code 1 if any count differs. Known defects of counters, and operators without a formula, are listed.
    Your own network agrees, differs or is partly compared; with --strict, partly compared is exit code 1 too.
    """
    with bad_input():
        question = Question.of(ctx)
        if all:
            question = question.without("cannot be used with --all", ONE_MODEL)
            _verify_all(jobs or os.cpu_count() or 1, format, question)
            return
        name = given_model(model, named_model)
        if name is None:
            raise ValueError("which model? Give resnet20, resnet56, ..., package.module:factory, or --all")
        question = Question.of(ctx, model=name, named_model=None).without(
            "cannot be used with one model", ("jobs",)
        )
        if is_own(name):
            question = question.without("cannot be used with your own model", (*NETWORK_ONLY, "per_module"))
            found = _verify_own(name, input, inputs, timeout)
        else:
            question = _of_built_in(question)
            options = NetworkOptions(
                model=name,
                alpha=alpha or "0",
                beta=beta,
                paths=paths,
                width_rule=width_rule,
                stride_rule=stride_rule,
                between=between,
                shortcut=shortcut,
                width=width,
                classes=classes,
                in_channels=in_channels,
                size=size,
            )
            report = _verify_network(options, batch)
    if is_own(name):
        _show_own(found, format, question)
        _leave(found.differences + (_gaps(found) if strict else []))
    else:
        _show(report, format, question, per_module=per_module)
        _leave(report.differences)


def _of_built_in(question: Question) -> Question:
    """Reject options that go only with a network of your own."""
    why = "cannot be used with a built-in network, whose"
    question = question.without(f"{why} input is set by --size and --batch", ("input", "inputs", "timeout"))
    return question.without(f"{why} formulas cover every operator", ("strict",))


def _verify_network(options: NetworkOptions, batch: int) -> Report:
    # An unknown name, or a value out of range, is reported before torch is loaded.
    network = options.only()
    check_built(network, batch, training=True)
    warn_about([network])

    with at_work(f"counting {options.model} in four ways"):
        from costmodel.checks.verify import verify_named

        return verify_named(options.model, **options.read(), batch=batch)


def _verify_own(
    model: str, input: Sequence[str] | None, inputs: str | None, timeout: float | None
) -> NetworkReport:
    from costmodel.checks.verify_foreign import verify_loaded

    with within(timeout, model):
        found = asked(model, input, inputs)
    with at_work(f"counting {model} in several ways"), refused(f"not verified: {model}"):
        return verify_loaded(found.network, found.inputs, timeout=timeout)


def _show_own(report: NetworkReport, format: Format, question: Question) -> None:
    from costmodel.checks import foreign_report as tables

    payload = {
        "model": question.values()["model"],
        "verdict": report.verdict,
        "numbers_compared": report.numbers_compared,
        "share_of_macs": float(report.share_of_macs),
        "share_of_parameters": float(report.share_of_parameters),
        "differences": report.differences,
        "notes": list(report.notes),
    }
    shown = tables.tables(report, short=format is Format.table)
    notes = [*report.notes, tables.summary(report)]
    show("verify", shown, format, payload | question.said(), [report.title], notes)


def _gaps(report: NetworkReport) -> list[str]:
    """Return the reasons why a network can't be compared in full."""
    uncovered = [f"not covered: {call.module or '(model)'}: {call.reason}" for call in report.uncovered]
    failed = [f"not compared: {name}: {why}" for name, why in report.failures.items()]
    if report.verdict == "agrees":
        return []
    return [*uncovered, *report.disputes, *failed] or ["not all of the network was compared"]


def _show(report: Report, format: Format, question: Question, *, per_module: bool) -> None:
    from costmodel.checks import verify_report as tables
    from costmodel.checks.defects import DEFECTS

    name_of = str if per_module else tables.layer_of
    terminal = format is Format.table
    shown = [
        *(tables.short_tables(report, name_of) if terminal else [tables.full_table(report, name_of)]),
        tables.total_table(report),
        tables.excuse_table(report, {defect.name: defect.reason for defect in DEFECTS}),
    ]
    payload = {
        "model": report.model,
        "verdict": "differs" if report.differences else "agrees",
        "numbers_compared": report.numbers_compared,
        "differences": report.differences,
        "uncovered": [],  # its formulas cover every module, and a module without one differs
    }
    shown = [table for table in shown if table.rows or format is Format.json]
    show("verify", shown, format, payload | question.said(), notes=[_summary(report)])


def _summary(report: Report) -> str:
    found = counted(len(report.differences), "difference") if report.differences else "no difference"
    modules, numbers = counted(len(report.rows), "module"), counted(report.numbers_compared, "number")
    return (
        f"{modules}, {numbers} compared, {found}; "
        f"known counter defects: {len(report.excuses)}. torch: FlopCounterMode / 2."
    )


def _leave(problems: Sequence[str]) -> None:
    for line in problems[:MOST_LINES]:
        say(f"pwoct-cost: {line}")
    if len(problems) > MOST_LINES:
        say(f"pwoct-cost: ... and {len(problems) - MOST_LINES} more")
    if problems:
        raise typer.Exit(CHECK_FAILED)


def _verify_all(jobs: int, format: Format, question: Question) -> None:
    from costmodel.checks.verify_sweep import configurations, summary_table, sweep

    chosen = list(configurations())
    outcomes = list(followed(sweep(chosen, jobs), "networks", len(chosen)))
    differences = [f"{o.configuration}: {text}" for o in outcomes for text in o.differences]
    verdict = "differs" if differences else "agrees"
    payload = {"verdict": verdict, "differences": differences} | question.said()
    show("verify", [summary_table(outcomes)], format, payload)
    _leave(differences)
