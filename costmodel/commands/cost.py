"""`pwoct-cost cost`: the exact cost of any network, operator by operator; and its closed form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import CHECK_FAILED, bad_input, say
from costmodel.commands.shared.network import (
    NETWORK_HELP,
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    closed_form_of,
    say_uncovered,
    traced,
    within,
)
from costmodel.commands.shared.options import needed_model
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.vocabulary import argument, option
from costmodel.report import counted

if TYPE_CHECKING:
    from costmodel.tables.traced_total import TracedTotal
    from costmodel.tracing.calls import Call, Trace

app = typer.Typer(add_completion=False)

# Options without a meaning for a formula.
NUMBERS_ONLY = ("depth", "by", "sort", "top", "training", "count", "unit", "strict", "cite")
MOST_EXPENSIVE = 10  # rows shown unless all are requested


@app.command()
def cost(
    ctx: typer.Context,
    network: Annotated[str | None, argument("model", NETWORK_HELP)] = None,
    named_model: Annotated[str | None, option("any-model")] = None,
    input: InputOption = None,
    inputs: InputsOption = None,
    symbols: Annotated[list[str] | None, option("symbols")] = None,
    as_: Annotated[str | None, option("as")] = None,
    per_layer: Annotated[bool, option("every-layer")] = False,
    depth: Annotated[int | None, option("depth", min=0)] = None,
    by: Annotated[str, option("by")] = "module",
    sort: Annotated[str | None, option("sort")] = None,
    top: Annotated[int | None, option("top", min=0)] = None,
    training: Annotated[bool, option("training")] = False,
    count: Annotated[str | None, option("traced-count")] = None,
    unit: Annotated[str, option("unit")] = "mac",
    strict: Annotated[bool, option("strict")] = False,
    cite: Annotated[bool, option("cite")] = False,
    timeout: TimeoutOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Show the exact cost of any PyTorch network, from the operators that run; weights are never loaded.

    Operators without a formula are listed, and never counted as 0; with --strict they give exit code 1.
    """
    with bad_input():
        from costmodel.tables.traced_total import parse_total

        name = needed_model(network, named_model)
        question = Question.of(ctx, network=name, named_model=None)
        choice = parse_total(count, unit)
        with within(timeout, name):
            found = asked(name, input, inputs)
            if symbols:
                _in_symbols(found, symbols, as_, format, question, per_layer=per_layer)
                return
            question = question.without("needs --symbols", ("as_",))
            trace = traced(found, training=training or sort == "training")
        if cite:
            _print_sentence(found, trace, choice)
            return
        order, most = _rows(sort, top, everything=per_layer or depth is not None or by != "module")
        options: dict[str, Any] = {"by": by, "depth": depth, "sort": order, "most": most}
        _show(found, trace, choice, options, format, question)
    if strict and _uncovered(trace):
        say(f"pwoct-cost: not covered: {counted(len(_uncovered(trace)), 'call')} of operators")
        raise typer.Exit(CHECK_FAILED)


def _in_symbols(
    found: NetworkOnInputs,
    symbols: Sequence[str],
    language: str | None,
    format: Format,
    question: Question,
    *,
    per_layer: bool,
) -> None:
    """Show the closed form in the input sizes that have symbols."""
    from costmodel.tables import closed
    from costmodel.tables.traced_totals import COMPLEX, uncovered_table, unregistered

    question = question.without("cannot be used with --symbols", NUMBERS_ONLY)
    form = closed_form_of(found, symbols)
    if language not in (None, "json"):
        say_uncovered(form)
        print(closed.code(form, language or "text"))
        return
    tables = [closed.formula_table(form), closed.specialised_table(form)]
    tables += [closed.layers_table(form)] if per_layer else []
    tables += [uncovered_table(form.uncovered, "formula")]
    tables = [table for table in tables if table.rows or format is Format.json]
    remarks = [COMPLEX] if any(call.of_complex for call in form.calls) else []
    remarks += [*unregistered(form.unregistered), *filter(None, [form.caveat]), *closed.unlisted(form)]
    payload = {
        "model": found.network.name.text,
        "inputs": found.inputs.shapes,
        **question.said(),
        "status": form.status,
        "domain": form.domain.text,
        "covered": not form.uncovered,
        "remarks": remarks,
    }
    show("cost", tables, Format.json if language == "json" else format, payload, [found.title], remarks)


def _print_sentence(found: NetworkOnInputs, trace: Trace, choice: TracedTotal) -> None:
    from costmodel.tables.citation import sentence

    print(sentence(found.network.name.text, found.inputs.shapes, trace, choice))


def _uncovered(trace: Trace) -> Sequence[Call]:
    return (*trace.uncovered(), *trace.uncovered_in_training())


def _rows(sort: str | None, top: int | None, *, everything: bool) -> tuple[str, int | None]:
    """Return the order and the number of rows: the most expensive ones, unless all are requested."""
    if everything:
        return sort or "order", top or None
    return sort or "macs", MOST_EXPENSIVE if top is None else top or None


def _show(
    found: NetworkOnInputs,
    trace: Trace,
    choice: TracedTotal,
    options: dict[str, Any],
    format: Format,
    question: Question,
) -> None:
    from costmodel.tables import traced_totals as tables
    from costmodel.tables.traced import sums_table

    uncovered = _uncovered(trace)
    shown = [
        tables.totals_table(trace, choice),
        sums_table(trace, choice, **options),
        tables.uncovered_table(uncovered),
    ]
    shown = [table for table in shown if table.rows or format is Format.json]
    remarks = tables.remarks(trace)
    payload = {
        "model": found.network.name.text,
        "inputs": found.inputs.shapes,
        "device": found.network.device,
        **question.said(),
        "total": tables.total_values(trace, choice),
        "covered": not uncovered,
        "remarks": remarks,
    }
    show("cost", shown, format, payload, [found.title], remarks)
