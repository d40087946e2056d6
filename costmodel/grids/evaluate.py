"""The cost of whole grids of configurations at once, exact in 64 bits; and the cost of a single stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from costmodel.convention import QUANTITIES
from costmodel.grids.compiled import Columns, Kind, Setting, compiled
from costmodel.grids.grid import LARGEST, Grid, IntArray, Ratios, column, largest, path_masks, ratios
from costmodel.networks.closed_form import BRANCHES
from costmodel.networks.resnet import ResNetDesign
from costmodel.networks.stages import STAGES
from costmodel.operators.pwise_octave import BETWEEN
from costmodel.rounding import WIDTH_RULES
from costmodel.sizes import check_choice, pair

BLOCK = 4096  # configurations per block: all their columns fit into a second-level cache
HH = 1  # its bit in a path mask
SUMS = ("params", "macs_training", "element_ops")


def evaluate(
    grid: Grid,
    quantities: Iterable[str] = ("params", "macs"),
    *,
    width_rule: str = "out",
    stride_rule: str = "C",
    between: str = "none",
    classes: int = 10,
    in_channels: int = 3,
    size: int | tuple[int, int] = 32,
    batch: int = 1,
    stage: int | None = None,
    shortcut: str = "B",
) -> dict[str, IntArray]:
    """Return quantities of `costmodel.convention.Cost`, each of shape (N,): of the networks, or of a stage.

    With the shortcut "A", counts hold if no branch loses channels from stage to stage. Raises ValueError
    if a quantity, rule or stage is unknown, a size is not positive, or a count might exceed 64 bits.

    >>> from costmodel.grids.grid import grid
    >>> evaluate(grid(alphas=[0, "1/4"], path_subsets=[("HL", "LH", "LL")]))["macs"].tolist()
    [125747840, 79309440]
    """
    names = tuple(quantities)
    for name in names:
        check_choice("quantity", name, (*QUANTITIES, *SUMS))
    check_choice("width rule", width_rule, WIDTH_RULES)
    check_choice("between", between, BETWEEN)
    setting = Setting(
        names, width_rule, stride_rule, between, classes, in_channels, pair(size), batch, stage, shortcut
    )
    return _evaluate(grid, setting)


def _evaluate(grid: Grid, setting: Setting) -> dict[str, IntArray]:
    results = {name: np.empty(len(grid), dtype=np.int64) for name in setting.quantities}
    known: set[Kind] = set()
    for kind, where, columns in _blocks(grid):
        form = compiled(setting, kind)
        if kind not in known:
            _check_bound(form.bound(largest(grid.depth) // 6, largest(grid.width)), grid, setting)
            known.add(kind)
        for result, values in zip(results.values(), form(columns), strict=True):
            result[where] = values
    return results


def _check_bound(bound: int, grid: Grid, setting: Setting) -> None:
    if bound > LARGEST:
        (height, wide), batch = setting.size, setting.batch
        raise ValueError(
            f"counts may exceed 64 bits: depth up to {largest(grid.depth)}, "
            f"width up to {largest(grid.width)}, size {height}x{wide}, batch {batch}"
        )


def _blocks(grid: Grid) -> Iterator[tuple[Kind, Any, Columns]]:
    """Yield configurations of one kind: the kind, their positions in the grid, and their columns."""
    for start in range(0, len(grid), BLOCK):
        block = slice(start, min(start + BLOCK, len(grid)))
        columns = _columns(grid, block)
        codes = _kind_codes(columns)
        distinct = np.unique(codes)
        if len(distinct) == 1:
            yield _kind(int(distinct[0])), block, columns
            continue
        for code in distinct:
            where = np.flatnonzero(codes == code)
            yield _kind(int(code)), start + where, columns.take(where)


def _columns(grid: Grid, block: slice) -> Columns:
    """Return some of the configurations by column, with the rounding rule for channels applied."""
    alphas = _per_stage(grid.alpha, block)
    base = grid.width[block]
    totals = [base << stage for stage in STAGES]
    low = tuple(
        total * alpha.numerator // alpha.denominator for total, alpha in zip(totals, alphas, strict=True)
    )
    high = tuple(total - c_low for total, c_low in zip(totals, low, strict=True))
    paths = tuple(column(grid.paths[block], stage) for stage in STAGES)
    is_plain = np.logical_and.reduce(
        [(ratio.numerator == 0) & (mask & HH == 0) for ratio, mask in zip(alphas, paths, strict=True)]
    )
    return Columns(grid.depth[block] // 6, base, is_plain, _per_stage(grid.beta, block), paths, high, low)


def _per_stage(ratios: Ratios, block: slice) -> tuple[Ratios, ...]:
    numerator, denominator = ratios.take(block)
    return tuple(Ratios(column(numerator, stage), column(denominator, stage)) for stage in STAGES)


def _kind_codes(columns: Columns) -> IntArray:
    """Return the kind of each configuration as a number: one bit per special case, two bits per stage."""
    codes: IntArray = columns.is_plain * 2 + (columns.n == 1).astype(np.int64)
    for high, low in zip(columns.high, columns.low, strict=True):
        codes = codes << 2 | (low == 0) | (high == 0) << 1
    return codes


def _kind(code: int) -> Kind:
    first, second, third = (BRANCHES[code >> shift & 3] for shift in (4, 2, 0))
    return Kind((first, second, third), single_block=bool(code >> 6 & 1), is_plain=bool(code >> 7))


def evaluate_networks(
    nets: Sequence[ResNetDesign], quantities: Iterable[str] = ("params", "macs")
) -> dict[str, IntArray]:
    """Return quantities, each of shape (N,), of networks that differ only in the columns of a `Grid`.

    Raises ValueError if they differ in anything else.

    >>> from costmodel.networks.resnet import resnet
    >>> evaluate_networks([resnet(20), resnet(56)])["params"].tolist()
    [272282, 855578]
    """
    settings = {_setting_of(net) for net in nets}
    if len(settings) != 1:
        raise ValueError(f"the networks must share input, classes and rules; got {len(settings)} settings")
    stages = [net.stages for net in nets]
    grid = Grid(
        ratios([[stage.alpha for stage in choice] for choice in stages]),
        ratios([[stage.beta for stage in choice] for choice in stages]),
        path_masks([[stage.paths for stage in choice] for choice in stages]),
        np.array([net.backbone.depth for net in nets], dtype=np.int64),
        np.array([net.backbone.width for net in nets], dtype=np.int64),
    )
    return evaluate(grid, quantities, **dict(settings.pop()))


def _setting_of(net: ResNetDesign) -> tuple[tuple[str, Any], ...]:
    backbone = net.backbone
    return (
        ("width_rule", net.width_rule),
        ("between", net.between),
        ("stride_rule", backbone.stride_rule),
        ("shortcut", backbone.shortcut),
        ("classes", backbone.classes),
        ("in_channels", backbone.in_channels),
        ("size", backbone.size),
    )
