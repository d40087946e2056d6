"""`pwoct-cost` without a subcommand: what a layer and a network cost, path by path."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Annotated, Any, TypeAlias

import typer

from costmodel.commands.shared import reading
from costmodel.commands.shared.errors import bad_input, fail, warn
from costmodel.commands.shared.showing import Format, FormatOption, show, warn_rounding
from costmodel.convention import DTYPE_BYTES, dtype_bytes
from costmodel.networks.resnet import ResNet, named
from costmodel.networks.stages import ordered
from costmodel.networks.wording import describe
from costmodel.operators.layer import KINDS, Layer, layer_cost, layer_notes
from costmodel.report import Table
from costmodel.rounding import check_alpha, check_beta
from costmodel.tables.counting import PARAMS, WORK, Totals, parse_counts
from costmodel.tables.layer import formula_table, kinds_table, layer_table, quantities, quantities_table
from costmodel.tables.network import configurations_table, network_table, per_layer_table

# Options that mean something only for a layer of octave kind, for one convolution, or for a network.
OCTAVE_ONLY = ("alpha", "alpha_in", "alpha_out", "beta", "paths", "width_rule", "stride_rule", "between")
BOTTLENECK_ONLY = ("beta", "paths", "width_rule", "between")
LAYER_ONLY = ("c_in", "c_out", "kernel", "stride", "dilation", "groups", "bias", "alpha_in", "alpha_out")
NETWORK_ONLY = ("model", "width", "classes", "count", "unit", "per_layer")

Choice: TypeAlias = tuple[Any, Any]  # alpha and beta: each a ratio, or three, one a stage


def calculate(
    ctx: typer.Context,
    alpha: Annotated[
        str | None,
        typer.Option(help="Share of low-frequency channels: 0.25, 1/4, a list, a range 0:0.75:0.125."),
    ] = None,
    beta: Annotated[str, typer.Option(help="Compression of the bottlenecks: 2, 8/3, a list, a range.")] = "2",
    paths: Annotated[
        str, typer.Option(help="Paths that are bottlenecks: HH,HL,LH,LL, all or none.")
    ] = "none",
    model: Annotated[
        str, typer.Option(help="The network: resnet20, resnet56, ..., resnet(6n+2).")
    ] = "resnet56",
    op: Annotated[str | None, typer.Option(help=f"Cost one layer of a kind: {', '.join(KINDS)}.")] = None,
    c_in: Annotated[int, typer.Option(help="The layer's input channels.")] = 16,
    c_out: Annotated[int, typer.Option(help="The layer's output channels.")] = 16,
    size: Annotated[
        str, typer.Option(help="Input size of the layer and of the network: 32 or 32x48.")
    ] = "32",
    kernel: Annotated[str, typer.Option(help="The layer's kernel: 3 or 3x5.")] = "3",
    stride: Annotated[int, typer.Option(help="The layer's stride.")] = 1,
    dilation: Annotated[int, typer.Option(help="The layer's dilation.")] = 1,
    groups: Annotated[int, typer.Option(help="The groups of the layer's kxk convolutions.")] = 1,
    bias: Annotated[bool, typer.Option("--bias", help="The layer has a bias.")] = False,
    alpha_in: Annotated[str | None, typer.Option(help="The layer's input alpha, if not --alpha.")] = None,
    alpha_out: Annotated[str | None, typer.Option(help="The layer's output alpha, if not --alpha.")] = None,
    width_rule: Annotated[
        str, typer.Option(help="Width of a bottleneck: out, in, min or mean over beta.")
    ] = "out",
    stride_rule: Annotated[str, typer.Option(help="Where a stride acts: A, B or C.")] = "C",
    between: Annotated[str, typer.Option(help="Inside a bottleneck: none, bn or bn_relu.")] = "none",
    width: Annotated[int, typer.Option(help="Channels of the network's first stage.")] = 16,
    classes: Annotated[int, typer.Option(help="Outputs of the network.")] = 10,
    dtype: Annotated[str, typer.Option(help=f"Element type of bytes: {', '.join(DTYPE_BYTES)}.")] = "float32",
    unit: Annotated[str, typer.Option(help="Unit of work: mac, or flop (2 per MAC).")] = "mac",
    count: Annotated[
        str | None,
        typer.Option(
            help="What enters totals, joined by commas: "
            "conv, linear, shortcut, bias, bn, activation, pool, upsample, add."
        ),
    ] = None,
    per_layer: Annotated[bool, typer.Option("--per-layer", help="Add the network layer by layer.")] = False,
    format: FormatOption = Format.table,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """What convolutions cost: parameters and MACs of a layer and of a network, exactly.

    Without --alpha the network is plain; with --alpha and without --paths it is an OctConv network.
    Values for each of the three stages are joined by +: --alpha 1/8+1/4+1/2.
    """
    given = _given(ctx)
    if ctx.invoked_subcommand is not None:
        _refuse_before(ctx.invoked_subcommand, given)
        return
    if version:
        _print_version()
        return
    with bad_input():
        # Typer has converted the arguments, but, before 0.29, not what the context holds.
        _calculate(SimpleNamespace(**{**ctx.params, "format": format}), given)


def _print_version() -> None:
    from costmodel import __version__

    print(f"pwoct-cost {__version__}")


def _calculate(options: SimpleNamespace, given: Sequence[str]) -> None:
    dtype_bytes(options.dtype)
    if options.op is not None:
        _refuse("--op costs one layer", given, NETWORK_ONLY)
        _one_kind(options, given)
        return
    _refuse("bytes are shown for --op", given, ("dtype",))
    choices = _choices(options)
    if len(choices) > 1 or _differs_by_stage(options, choices[0]):
        _refuse("a list, or a choice that differs by stage, shows networks", given, LAYER_ONLY)
    if len(choices) == 1:
        _one(options, *choices[0])
        return
    _refuse("a list of configurations has no place", given, ("per_layer",))
    _many(options, choices)


def _choices(options: SimpleNamespace) -> list[Choice]:
    """Every combination of the given alphas and betas; a value is a ratio, or three, one a stage."""
    alphas = _values("0" if options.alpha is None else options.alpha, reading.alphas, check_alpha)
    betas = _values(options.beta, reading.betas, check_beta)
    most, many = reading.MOST_CONFIGURATIONS, len(alphas) * len(betas)
    if many > most:
        raise ValueError(f"at most {most:,} configurations fit in a table, got {many:,}")
    return [(alpha, beta) for alpha in alphas for beta in betas]


def _values(text: str, read_list: Any, read_one: Any) -> list[Any]:
    if reading.STAGE_SEPARATOR in text:
        return [reading.per_stage(text, read_one)]
    return list(read_list(text))


def _one_kind(options: SimpleNamespace, given: Sequence[str]) -> None:
    """Cost one layer of a kind, and show the other kinds beside it."""
    (alpha, beta), *more = _choices(options)
    if more or isinstance(alpha, tuple) or isinstance(beta, tuple):
        raise ValueError("--op costs one layer: it needs one alpha and one beta")
    if options.op not in ("octave", "pwise"):
        _refuse(f"a {options.op} layer has no branches", given, OCTAVE_ONLY)
    if options.op == "octave":
        _refuse("an octave layer has no bottlenecks (see --op pwise)", given, BOTTLENECK_ONLY)
    if options.op in ("pointwise", "depthwise", "separable"):
        _refuse(f"the groups of a {options.op} layer are fixed", given, ("groups",))
    if options.op == "pointwise":
        _refuse("a pointwise layer is 1x1", given, ("kernel", "dilation"))
    layer = _layer(options, alpha, beta, reading.path_names(options.paths))
    cost = layer_cost(options.op, layer)
    tables = [
        quantities_table(cost, options.dtype),
        kinds_table(layer, options.op, options.dtype),
    ]
    warn(layer_notes(layer) if options.op in ("octave", "pwise") else [])
    if options.op == "pwise" and not layer.widths():
        warn(["no path is compressed: a pwise layer needs --paths that exist at its --alpha"])
    payload = {"op": options.op, "dtype": options.dtype, "cost": quantities(cost, options.dtype)}
    show("layer", tables, options.format, payload)


def _one(options: SimpleNamespace, alpha: Any, beta: Any) -> None:
    """Show a layer path by path, and the network."""
    net, totals = _network(options, alpha, beta), _totals(options)
    tables = [*_layer_tables(options, alpha, beta, totals), network_table(net, totals)]
    if options.per_layer:
        tables.append(per_layer_table(net, totals))
    warn_rounding([net])
    warn(_missing_paths(net))
    payload = {"model": options.model, "unit": options.unit, **describe(net.stages)}
    show("calculator", tables, options.format, payload)


def _layer_tables(options: SimpleNamespace, alpha: Any, beta: Any, totals: Totals) -> list[Table]:
    """The layer's tables; none where a choice differs by stage, since a layer has one set of choices."""
    if _differs_by_stage(options, (alpha, beta)):
        return []
    paths = reading.path_names(options.paths)
    layer = _layer(options, alpha, beta, paths)
    warn([f"layer: {note}" for note in layer_notes(layer)])
    return [layer_table(layer, totals), formula_table(layer, totals)]


def _differs_by_stage(options: SimpleNamespace, choice: Choice) -> bool:
    paths = reading.per_stage(options.paths, reading.path_names)
    return any(isinstance(value, tuple) for value in (*choice, paths))


def _many(options: SimpleNamespace, choices: Sequence[Choice]) -> None:
    """Show a row a configuration."""
    nets = [_network(options, alpha, beta) for alpha, beta in choices]
    warn(list(dict.fromkeys(note for net in nets for note in _missing_paths(net))))
    warn_rounding(nets)
    table = configurations_table(nets, _totals(options))
    show("calculator", [table], options.format, {"model": options.model, "unit": options.unit})


def _layer(options: SimpleNamespace, alpha: Fraction, beta: Fraction, paths: frozenset[str]) -> Layer:
    return Layer(
        c_in=options.c_in,
        c_out=options.c_out,
        size=reading.sides(options.size, "size"),
        kernel=reading.sides(options.kernel, "kernel", ("3", "3x5")),
        stride=options.stride,
        dilation=options.dilation,
        groups=options.groups,
        bias=options.bias,
        alpha_in=alpha if options.alpha_in is None else check_alpha(options.alpha_in, "alpha-in"),
        alpha_out=alpha if options.alpha_out is None else check_alpha(options.alpha_out, "alpha-out"),
        beta=beta,
        paths=paths,
        width_rule=options.width_rule,
        stride_rule=options.stride_rule,
        between=options.between,
    )


def _network(options: SimpleNamespace, alpha: Any, beta: Any) -> ResNet:
    return named(
        options.model,
        alpha=alpha,
        beta=beta,
        paths=reading.per_stage(options.paths, reading.path_names),
        width_rule=options.width_rule,
        stride_rule=options.stride_rule,
        between=options.between,
        width=options.width,
        classes=options.classes,
        size=reading.sides(options.size, "size"),
    )


def _totals(options: SimpleNamespace) -> Totals:
    """Parameters count all and work by convention, unless --count says otherwise."""
    counts = None if options.count is None else parse_counts(options.count)
    return Totals(counts or WORK, counts or PARAMS, options.unit)


def _missing_paths(net: ResNet) -> list[str]:
    """Say where compressed paths do not exist because a stage has only one branch."""
    notes = (_missing_in_stage(net, stage) for stage in range(len(net.stages)))
    return list(dict.fromkeys(note for note in notes if note))


def _missing_in_stage(net: ResNet, stage: int) -> str:
    branches = {branch for branch, channels in zip("HL", net.split(stage), strict=True) if channels}
    asked = net.stages[stage].paths
    missing = [path for path in ordered(asked) if not set(path) <= branches]
    return (
        f"alpha {net.stages[stage].alpha} leaves no path {', '.join(missing)} to compress" if missing else ""
    )


def _given(ctx: typer.Context) -> list[str]:
    """The names of the options that stand on the command line."""
    return [
        name for name in ctx.params if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]


def _refuse_before(command: str, given: Sequence[str]) -> None:
    if given:
        fail(
            f"{_flags(given)} before the subcommand {command}: calculator options don't go with a subcommand"
        )


def _refuse(why: str, given: Sequence[str], options: Sequence[str]) -> None:
    wrong = [name for name in given if name in options]
    if wrong:
        raise ValueError(f"{_flags(wrong)} does not apply here: {why}")


def _flags(names: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)
