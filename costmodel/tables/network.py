"""Tables of the calculator: networks compared, lists of configurations, a network layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

from costmodel.networks.network import layers
from costmodel.networks.resnet import IMAGENET_DEPTHS, ResNetDesign
from costmodel.networks.stages import Stage
from costmodel.networks.wording import kind_of, stage_words
from costmodel.operators.recorder import Operator, cost_of
from costmodel.report import PARAMS_COLUMN, Column, Table, change
from costmodel.tables.counting import Totals

BASES = (("plain", "plain"), ("octave", "Oct"))  # the networks to compare with: key and heading


def network_table(net: ResNetDesign, totals: Totals) -> Table:
    """Return the plain network, the octave one and the network itself, each compared with the first two."""
    plain, octave = _uncompressed(net, keep_alpha=False), _uncompressed(net, keep_alpha=True)
    variants = [plain, *([octave] if octave != plain else []), *([net] if net not in (plain, octave) else [])]
    counts = [totals.of(variant.folded()) for variant in variants]
    octave_counts = counts[variants.index(octave)]
    rows = [
        _network_row(variant, count, counts[0], octave_counts)
        for variant, count in zip(variants, counts, strict=True)
    ]
    return Table(
        "network",
        f"Network: {_network_title(net, totals)}",
        [Column("network", "network"), *_compared_columns(totals, with_octave=octave != plain)],
        rows,
    )


def configurations_table(nets: Sequence[ResNetDesign], totals: Totals) -> Table:
    """Return one row per network: its alpha and beta, and its totals compared with plain and octave."""
    counts, plain, octave = (
        _count_all(variants, totals)
        for variants in (
            nets,
            [_uncompressed(net, keep_alpha=False) for net in nets],
            [_uncompressed(net, keep_alpha=True) for net in nets],
        )
    )
    words_of_all = [stage_words(net.stages) for net in nets]
    rows = [
        {"alpha": words.alpha, "beta": words.beta, **_changes(*of_net)}
        for words, *of_net in zip(words_of_all, counts, plain, octave, strict=True)
    ]
    columns = [Column("alpha", "alpha"), Column("beta", "beta"), *_compared_columns(totals, with_octave=True)]
    return Table("configurations", _configurations_title(nets[0], totals), columns, rows)


def per_layer_table(net: ResNetDesign, totals: Totals) -> Table:
    """Return one row per layer of the network, in order of execution, and the sum.

    Shares refer to the sum.
    """
    operators = net.operators()
    grouped = [(name, group) for name, group in layers(operators) if any(op.cost.calls for op in group)]
    whole = totals.of(operators)
    rows = [_layer_row(name, group, totals, whole) for name, group in grouped]
    columns = [
        Column("layer", "layer"),
        PARAMS_COLUMN,
        Column("params_share", "share", "share"),
        totals.column,
        Column(f"{totals.key}_share", "share", "share"),
        Column("activations", "activ.", "count"),
        Column("calls", "calls", "count"),
    ]
    total = _layer_row("sum", operators, totals, whole)
    return Table("layers", f"Layer by layer: {_network_title(net, totals)}", columns, rows, total)


def _configurations_title(net: ResNetDesign, totals: Totals) -> str:
    """What all configurations have in common: they differ in alpha and beta."""
    return f"Configurations of {_backbone_title(net, totals)}, bottlenecks on {stage_words(net.stages).paths}"


def _count_all(nets: Sequence[ResNetDesign], totals: Totals) -> list[dict[str, Any]]:
    """Count networks of one backbone, with the grid evaluator if it supports the choice of parts."""
    if not totals.is_default:
        return [totals.of(net.folded()) for net in nets]
    from costmodel.grids.evaluate import evaluate_networks

    counts = evaluate_networks(nets)
    scale = totals.batch * (2 if totals.unit == "flop" else 1)
    pairs = zip(counts["params"].tolist(), counts["macs"].tolist(), strict=True)
    return [{"params": params, totals.key: scale * macs} for params, macs in pairs]


def _uncompressed(net: ResNetDesign, keep_alpha: bool) -> ResNetDesign:
    first, second, third = (Stage(stage.alpha if keep_alpha else Fraction(0)) for stage in net.stages)
    return replace(net, stages=(first, second, third))


def _network_row(
    net: ResNetDesign, counts: Mapping[str, int], plain: Mapping[str, int], octave: Mapping[str, int]
) -> dict[str, Any]:
    return {"network": kind_of(net), **_changes(counts, plain, octave)}


def _changes(
    counts: Mapping[str, int], plain: Mapping[str, int], octave: Mapping[str, int]
) -> dict[str, Any]:
    row: dict[str, Any] = dict(counts)
    for key, value in counts.items():
        row[f"{key}_vs_plain"] = change(value, plain[key])
        row[f"{key}_vs_octave"] = change(value, octave[key])
    return row


def _compared_columns(totals: Totals, with_octave: bool) -> list[Column]:
    columns = [PARAMS_COLUMN, totals.column]
    return [column for counted in columns for column in (counted, *_changes_of(counted.key, with_octave))]


def _changes_of(key: str, with_octave: bool) -> list[Column]:
    plain, octave = (Column(f"{key}_vs_{name}", f"vs {short}", "percent") for name, short in BASES)
    return [plain, octave] if with_octave else [plain]


def _backbone_title(net: ResNetDesign, totals: Totals) -> str:
    backbone = net.backbone
    shape = "x".join(map(str, (backbone.in_channels, *backbone.size)))
    batch = f"{totals.batch} images of " if totals.batch > 1 else ""
    kind = " for CIFAR" if backbone.depth in IMAGENET_DEPTHS else ""
    return f"resnet{backbone.depth}{kind}, input {batch}{shape}"


def _network_title(net: ResNetDesign, totals: Totals) -> str:
    title = _backbone_title(net, totals)
    if net.is_plain:
        return title
    words = stage_words(net.stages)
    title += f", alpha {words.alpha}"
    return f"{title}, beta {words.beta}, bottlenecks on {words.paths}" if net.is_compressed else title


def _layer_row(
    name: str, operators: Sequence[Operator], totals: Totals, whole: Mapping[str, int]
) -> dict[str, Any]:
    cost, counts = cost_of(operators), totals.of(operators)
    shares = {f"{key}_share": Fraction(n, whole[key]) if whole[key] else None for key, n in counts.items()}
    activations = totals.batch * cost.activations
    return {"layer": name, **counts, **shares, "activations": activations, "calls": cost.calls}
