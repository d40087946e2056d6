"""`pwoct-cost convert`: any network with octave convolutions: its cost beside the original's; a module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.converting import (
    ConversionOptions,
    check_init,
    converted,
    layers_of,
    module_text,
    read_into,
)
from costmodel.commands.shared.errors import CHECK_FAILED, bad_input, say, writing
from costmodel.commands.shared.network import (
    NETWORK_HELP,
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    positional,
    traced,
    within,
)
from costmodel.commands.shared.options import needed_model
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.vocabulary import argument, option

if TYPE_CHECKING:
    from costmodel.report import Table

app = typer.Typer(add_completion=False)


@app.command()
def convert(
    ctx: typer.Context,
    network: Annotated[str | None, argument("model", NETWORK_HELP)] = None,
    named_model: Annotated[str | None, option("any-model")] = None,
    *,
    alpha: Annotated[str, option("alpha-one")],
    beta: Annotated[str, option("beta-one")] = "2",
    paths: Annotated[str, option("path-set")] = "none",
    layers: Annotated[list[str] | None, option("layers")] = None,
    width_rule: Annotated[str, option("width-rule")] = "out",
    stride_rule: Annotated[str, option("stride-rule")] = "C",
    between: Annotated[str, option("between")] = "none",
    init: Annotated[str, option("init")] = "random",
    weights: Annotated[Path | None, option("original-weights")] = None,
    input: InputOption = None,
    inputs: InputsOption = None,
    output: Annotated[Path | None, option("module")] = None,
    timeout: TimeoutOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Convert a network to octave convolutions, and compare its cost with the original's, layer by layer.

    The costs follow from formulas and are checked against the operators that run: exit code 1 if they differ.
    `cost`, `verify` and `diff` take the converted network by name: "convert(timm:resnet50, alpha=1/4)".
    """
    with bad_input():
        name = needed_model(network, named_model)
    question = Question.of(ctx, network=name, named_model=None)
    with bad_input(), within(timeout, name):
        check_init(init)
        if weights is not None and init != "pretrained":
            raise ValueError(f"--weights needs --init pretrained, got --init {init}")
        asked_for = ConversionOptions(alpha, beta, paths, layers or (), width_rule, stride_rule, between)
        found = asked(name, input, inputs)
        options = asked_for.read()
        tables, work = _compared(found, options, asked_for)
        if init == "pretrained":
            tables = [*tables, *_carried(found, options, weights)]
        if output is not None:
            whole = options | {"inputs": tuple(positional(found)[0].shape)}
            text = module_text(found.network.name, whole, question.command_line(), init)
            with writing(output):
                output.write_text(text, encoding="utf-8")
            call = "network(weights)" if init == "pretrained" else "network()"
            say(f"pwoct-cost: {output} builds the converted network: {call}")
    _say_what_has_no_effect(tables[0], paths)
    formula, runs = work
    payload = {"model": name, "inputs": found.inputs.shapes, **question.said(), "macs_of_the_code": runs}
    agrees = formula == runs
    verdict = f"Formulas and running code {'agree' if agrees else 'differ'}: {runs:,} MACs."
    show("convert", tables, format, payload, [found.title], [verdict])
    if not agrees:
        raise typer.Exit(CHECK_FAILED)


def _say_what_has_no_effect(table: Table, paths: str) -> None:
    from pwoct.channels import as_paths

    if len(table.rows) == 1:  # everything else
        say("pwoct-cost: no convolution became an octave layer; the reasons are listed")
    elif as_paths(paths) and not any(row.get("paths") for row in table.rows):
        rule = "bottlenecks replace only dense kxk convolutions between octave layers"
        say(f"pwoct-cost: --paths {paths} compresses no path: {rule}")


def _carried(found: NetworkOnInputs, options: dict[str, Any], weights: Path | None) -> Sequence[Table]:
    """Return the table of losses when an original's weights, read from a file, are transferred."""
    if weights is None:
        say("pwoct-cost: --weights FILE shows how much of a trained original's weights is carried over")
        return []
    from costmodel.tables.converted import carried_table
    from pwoct.conversion import conversion_of

    original, args, _ = found.network.with_data(found.inputs)
    read_into(original, weights)
    whole = {**options, "inputs": list(args), "init": "pretrained"}
    model = converted(found.network.name, original, whole)
    layers = [(layer.name, layer.carried) for layer in conversion_of(model).converted]
    return [carried_table([(name, carried) for name, carried in layers if carried is not None])]


def _compared(
    found: NetworkOnInputs, options: dict[str, Any], asked_for: ConversionOptions
) -> tuple[Sequence[Table], tuple[int, int]]:
    """Return the tables, and the MACs by the formulas and by the code that runs."""
    from dataclasses import replace

    from costmodel.tables.converted import converted_table, kept_table
    from pwoct.conversion import conversion_of

    args = positional(found)
    model = converted(found.network.name, found.network.module, {**options, "inputs": args})
    report = conversion_of(model)
    layers = layers_of(report, stride_rule=asked_for.stride_rule, between=asked_for.between)
    table = converted_table(traced(found), layers)
    runs = traced(replace(found, network=replace(found.network, module=model)))
    kept = kept_table([(layer.name, layer.reason) for layer in report.kept])
    assert table.total is not None
    return [table, kept], (table.total["macs"], int(runs.total().macs))
