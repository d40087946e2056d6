"""`pwoct-cost` without a subcommand: the cost of a layer and of a network, path by path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from costmodel.commands.shared.errors import bad_input, fail, warn
from costmodel.commands.shared.limits import check_listed
from costmodel.commands.shared.one_layer import show_one_layer
from costmodel.commands.shared.options import Choice, LayerOptions, NetworkOptions
from costmodel.commands.shared.question import Question, flags
from costmodel.commands.shared.request import LAYER_ONLY, NOT_OF_ONE_LAYER, OP_ONLY, Request
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_about
from costmodel.commands.shared.vocabulary import option
from costmodel.convention import dtype_bytes
from costmodel.networks.resnet import ResNetDesign
from costmodel.networks.stages import ordered
from costmodel.networks.wording import describe
from costmodel.operators.layer import layer_notes
from costmodel.release import installed_release
from costmodel.report import Table
from costmodel.tables.counting import Totals
from costmodel.tables.layer import formula_table, layer_table
from costmodel.tables.network import configurations_table, network_table, per_layer_table


def calculate(
    ctx: typer.Context,
    alpha: Annotated[str | None, option("alpha-any")] = None,
    beta: Annotated[str, option("beta-any")] = "2",
    paths: Annotated[str, option("paths")] = "none",
    model: Annotated[str, option("model")] = "resnet56",
    op: Annotated[str | None, option("op")] = None,
    c_in: Annotated[int, option("c-in")] = 16,
    c_out: Annotated[int | None, option("c-out")] = None,
    size: Annotated[str, option("size")] = "32",
    kernel: Annotated[str, option("kernel")] = "3",
    stride: Annotated[int, option("stride")] = 1,
    padding: Annotated[str | None, option("padding")] = None,
    dilation: Annotated[int, option("dilation")] = 1,
    groups: Annotated[int, option("groups")] = 1,
    bias: Annotated[bool, option("bias")] = False,
    depthwise: Annotated[bool, option("depthwise")] = False,
    exchange: Annotated[bool, option("exchange")] = False,
    dim: Annotated[int, option("dim", min=1, max=3)] = 2,
    output_padding: Annotated[str | None, option("output-padding")] = None,
    alpha_in: Annotated[str | None, option("alpha-in")] = None,
    alpha_out: Annotated[str | None, option("alpha-out")] = None,
    width_rule: Annotated[str, option("width-rule")] = "out",
    stride_rule: Annotated[str, option("stride-rule")] = "C",
    between: Annotated[str, option("between")] = "none",
    shortcut: Annotated[str, option("shortcut")] = "B",
    width: Annotated[int, option("width")] = 16,
    classes: Annotated[int, option("classes")] = 10,
    in_channels: Annotated[int, option("in-channels")] = 3,
    batch: Annotated[int, option("batch", min=1)] = 1,
    dtype: Annotated[str, option("dtype")] = "float32",
    unit: Annotated[str, option("unit")] = "mac",
    count: Annotated[str | None, option("count")] = None,
    per_layer: Annotated[bool, option("per-layer")] = False,
    format: FormatOption = Format.table,
    version: Annotated[bool, option("version")] = False,
) -> None:
    """Show the exact cost of convolutions: parameters and MACs of a layer and of a network.

    Without --alpha the network is plain; with --alpha and without --paths it is an OctConv network.
    Values for each of the three stages are joined by +: --alpha 1/8+1/4+1/2.
    """
    if ctx.invoked_subcommand is not None:
        _refuse_before(ctx.invoked_subcommand, Question.of(ctx))
        return
    if version:
        print(f"pwoct-cost {installed_release()}")
        return
    with bad_input():
        request = Request(
            NetworkOptions(
                model=model,
                alpha="0" if alpha is None else alpha,
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
            ),
            LayerOptions(
                c_in=c_in,
                c_out=c_in if op == "depthwise" and c_out is None else c_out,
                kernel=kernel,
                stride=stride,
                padding=padding,
                dilation=dilation,
                groups=groups,
                bias=bias,
                alpha_in=alpha_in,
                alpha_out=alpha_out,
                batch=batch,
                depthwise=depthwise,
                exchange=exchange,
                dim=dim,
                output_padding=output_padding,
            ),
            replace(Totals.read(count, unit), batch=batch),
            dtype,
            per_layer,
            format,
            Question.of(ctx),
        )
        dtype_bytes(dtype)
        if op is not None:
            show_one_layer(op, request.without("--op costs one layer", NOT_OF_ONE_LAYER))
        else:
            _networks(request.without("bytes are shown for --op", ("dtype",)))


def _refuse_before(command: str, question: Question) -> None:
    if question.typed:
        why = "calculator options cannot be used with a subcommand"
        fail(f"{flags(question)} before the subcommand {command}: {why}")


def _networks(request: Request) -> None:
    """Show one network, and a layer of its kind if its stages agree; or a list of networks."""
    request = request.without("it applies to --op standard, depthwise or separable", ("padding",))
    request = request.without("it describes one layer, with --op", OP_ONLY)
    choices = request.network.choices()
    if len(choices) > 1 or request.network.differs_by_stage(choices[0]):
        request = request.without("a list, or a choice that differs by stage, shows networks", LAYER_ONLY)
    if len(choices) == 1:
        _one(request, choices[0])
    else:
        _many(request.without("it does not apply to a list of configurations", ("per_layer",)), choices)


def _one(request: Request, choice: Choice) -> None:
    """Show a layer path by path, and the network."""
    net, totals = request.network.network(choice), request.totals
    tables = [*_layer_tables(request, choice), network_table(net, totals)]
    if request.per_layer:
        check_listed(net)
        tables.append(per_layer_table(net, totals))
    warn_about([net])
    warn(_missing_paths(net))
    payload = {"model": request.network.model, "unit": totals.unit, **describe(net.stages)}
    show("calculator", tables, request.format, payload | request.question.said())


def _layer_tables(request: Request, choice: Choice) -> list[Table]:
    """Return the layer's tables; none if a choice differs by stage, since a layer has one set of choices."""
    alpha, beta = choice
    if isinstance(alpha, tuple) or isinstance(beta, tuple) or request.network.differs_by_stage(choice):
        return []
    layer = _shown_layer(request).layer(request.network, alpha, beta)
    warn([f"layer: {note}" for note in layer_notes(layer)])
    return [layer_table(layer, request.totals), formula_table(layer, request.totals)]


def _shown_layer(request: Request) -> LayerOptions:
    """Return the options of a layer of the network's first stage, except channels given by the user."""
    layer, width, typed = request.layer, request.network.width, request.question.typed
    return replace(
        layer,
        c_in=layer.c_in if "c_in" in typed else width,
        c_out=layer.c_out if "c_out" in typed else width,
    )


def _many(request: Request, choices: Sequence[Choice]) -> None:
    """Show one row per configuration."""
    nets = [request.network.network(choice) for choice in choices]
    warn(list(dict.fromkeys(note for net in nets for note in _missing_paths(net))))
    warn_about(nets)
    table = configurations_table(nets, request.totals)
    payload = {"model": request.network.model, "unit": request.totals.unit}
    show("calculator", [table], request.format, payload | request.question.said())


def _missing_paths(net: ResNetDesign) -> list[str]:
    """Return notes on compressed paths that do not exist because a stage has only one branch."""
    notes = (_missing_in_stage(net, stage) for stage in range(len(net.stages)))
    return list(dict.fromkeys(note for note in notes if note))


def _missing_in_stage(net: ResNetDesign, stage: int) -> str:
    branches = {branch for branch, channels in zip("HL", net.split(stage), strict=True) if channels}
    asked = net.stages[stage].paths
    missing = [path for path in ordered(asked) if not set(path) <= branches]
    return (
        f"alpha {net.stages[stage].alpha} leaves no path {', '.join(missing)} to compress" if missing else ""
    )
