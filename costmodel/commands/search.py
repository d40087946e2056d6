"""`pwoct-cost search`: the configurations within budgets that no other one dominates."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import bad_input
from costmodel.commands.shared.network import InputOption, InputsOption, TimeoutOption
from costmodel.commands.shared.options import DEFAULT_MODEL
from costmodel.commands.shared.plotting import check_plot, draw_result
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.reading import joined, listed
from costmodel.commands.shared.searching import (
    OWN,
    StagedQuestion,
    own_network,
    search_own,
    show_front,
    show_own,
    without_built_in,
)
from costmodel.commands.shared.showing import Format, FormatOption, warn_about
from costmodel.commands.shared.space_options import read_space
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.vocabulary import argument, option
from costmodel.report import counted

if TYPE_CHECKING:
    from costmodel.search.search import Found
    from costmodel.search.staged_search import StagedFound

MODELS_HELP = "The networks: resnet20, resnet56, ...; or one of your own: net.py:Net, timm:resnet50."

app = typer.Typer(add_completion=False)


@app.command()
def search(
    ctx: typer.Context,
    models: Annotated[list[str] | None, argument("models", MODELS_HELP)] = None,
    named_models: Annotated[list[str] | None, option("models")] = None,
    alpha: Annotated[str, option("alpha-list")] = "0:0.75:0.125",
    beta: Annotated[str, option("beta-list")] = "2,4",
    paths: Annotated[list[str] | None, option("path-sets")] = None,
    width_rule: Annotated[list[str] | None, option("width-rules")] = None,
    per_stage: Annotated[bool, option("per-stage")] = False,
    constraint: Annotated[list[str] | None, option("constraint")] = None,
    max_params: Annotated[str | None, option("max-params")] = None,
    max_macs: Annotated[str | None, option("max-macs")] = None,
    max_activations: Annotated[str | None, option("max-activations")] = None,
    max_bytes: Annotated[str | None, option("max-bytes")] = None,
    max_training_macs: Annotated[str | None, option("max-training-macs")] = None,
    max_element_ops: Annotated[str | None, option("max-element-ops")] = None,
    max_calls: Annotated[str | None, option("max-calls")] = None,
    max_latency: Annotated[str | None, option("max-latency")] = None,
    machine: Annotated[str | None, option("machine")] = None,
    minimise: Annotated[list[str] | None, option("minimise")] = None,
    maximise: Annotated[list[str] | None, option("maximise")] = None,
    rows: Annotated[int, option("rows")] = 20,
    stages: Annotated[str, option("stages")] = "resolution",
    input: InputOption = None,
    inputs: InputsOption = None,
    timeout: TimeoutOption = None,
    size: Annotated[str, option("size")] = "32",
    stride_rule: Annotated[str, option("stride-rule")] = "C",
    between: Annotated[str, option("between")] = "none",
    width: Annotated[str, option("widths")] = "16",
    classes: Annotated[int, option("classes")] = 10,
    in_channels: Annotated[int, option("in-channels")] = 3,
    dtype: Annotated[str, option("dtype")] = "float32",
    plot: Annotated[str | None, option("plot")] = None,
    format: FormatOption = Format.table,
) -> None:
    """Find the exact Pareto front of a space of configurations, within budgets.

    On the front, no quantity (parameters, MACs, and any with a budget) can be improved without worsening
    another: lower is better, except for what --maximise names. Budgets are exact numbers, optionally with k,
    M, G or T. No configuration is left out.

    Your own network is converted to octave convolutions; its layers of one resolution form a stage.
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
        from costmodel.search.search_table import describe_search

        budgets = {name: amount(text) for name, text in given.items() if text is not None}
        own = own_network([*(models or []), *(named_models or [])])
        objectives = listed(minimise), listed(maximise)
        if own is not None:
            asked_for = StagedQuestion(
                *(alpha, beta, paths, listed(width_rule or ["out"]), stages, stride_rule, between),
                per_stage=per_stage,
                constraints=listed(constraint),
            )
            of_own = without_built_in(Question.of(ctx, models=[own], named_models=None))
            answer = search_own(own, asked_for, (input, inputs, timeout), budgets, objectives)
            _show_own(answer, budgets, of_own, (rows, format, plot))
            return
        Question.of(ctx).without("needs a network of your own", OWN)
        names = listed([*(models or []), *(named_models or [])]) or [DEFAULT_MODEL]
        if max_latency is not None:
            budgets[LATENCY] = duration(max_latency)
        space = read_space(
            names,
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
            in_channels=in_channels,
        )
        with at_work(f"searching {counted(space.size, 'configuration')}"):
            found = search(
                space,
                budgets,
                minimise=objectives[0],
                maximise=objectives[1],
                dtype=dtype,
                machine=None if machine is None else read_machine(machine, dtype),
            )
        question = Question.of(
            ctx,
            models=names,
            named_models=None,
            width_rule=joined(width_rule),
            constraint=joined(constraint),
            minimise=joined(minimise),
            maximise=joined(maximise),
            stages=None,
        )
        said = describe_search(found, budgets) | question.said()
        _show(found, said, rows, format)
        if plot is not None:
            _draw(found, said, plot)


def _show(found: Found, said: Mapping[str, Any], rows: int, format: Format) -> None:
    from costmodel.search.search_table import front_table

    shown = show_front(found, partial(front_table, found), "{options}", said, rows, format)
    warn_about([found.point(i).network for i in shown])


def _show_own(
    answer: tuple[StagedFound, str, dict[str, Any]],
    budgets: Mapping[str, Fraction],
    question: Question,
    shown: tuple[int, Format, str | None],
) -> None:
    from costmodel.report import to_json
    from costmodel.search.staged_table import describe_staged, staged_front_table

    found, title, rules = answer
    rows, how, plot = shown
    said = describe_staged(found, budgets) | question.said()
    show_own(found, title, rules, said, rows, how)
    if plot is not None:
        draw_result(to_json("search", said, [staged_front_table(found, range(len(found)), rules)]), plot)


def _draw(found: Found, said: Mapping[str, Any], path: str) -> None:
    from costmodel.report import to_json
    from costmodel.search.search_table import front_table

    draw_result(to_json("search", said, [front_table(found, range(len(found)))]), path)
