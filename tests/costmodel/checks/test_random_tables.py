"""Defects that only some option shows are found in tables, grids and layers at random points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from costmodel.checks import (
    closed_theorems,
    grid_theorems,
    printed_theorems,
    random_layer_tables,
    random_tables,
)
from costmodel.checks.prove import Claim
from costmodel.grids import compiled, evaluate
from costmodel.grids import grid as grids
from costmodel.operators import layer as layers
from costmodel.tables import diff, network, sweep, whole
from costmodel.tables import layer as layer_tables
from tests.costmodel.checks.differences import differs

CLAIMS = [
    *closed_theorems.closed_claims(),
    *random_layer_tables.layer_table_claims(),
    *random_tables.random_table_claims(),
    *grid_theorems.grid_claims(),
]


@pytest.fixture(autouse=True)
def _fresh_grids() -> Iterator[None]:
    for cached in (compiled.compiled, compiled._operators, compiled._readers):
        cached.cache_clear()
    yield
    for cached in (compiled.compiled, compiled._operators, compiled._readers):
        cached.cache_clear()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.name)
def test_nothing_differs(claim: Claim) -> None:
    assert not differs(claim.cases())


def _standard_without_groups(patch: pytest.MonkeyPatch) -> None:
    right = layer_tables._standard
    patch.setattr(layer_tables, "_standard", lambda one: replace(right(one), groups=1))


def _intensity_in_float32(patch: pytest.MonkeyPatch) -> None:
    right = layer_tables._kind_row
    patch.setattr(layer_tables, "_kind_row", lambda *row: right(*row[:3], "float32", row[4]))


def _same_symbols_for_other_alphas(patch: pytest.MonkeyPatch) -> None:
    right = layers._channels

    def wrong(layer: Any, end: str) -> Any:
        return right(replace(layer, alpha_in=layer.alpha_out) if layer.c_in == layer.c_out else layer, end)

    patch.setattr(layers, "_channels", wrong)


def _plain_of_default_options(patch: pytest.MonkeyPatch) -> None:
    right = sweep.resnet
    patch.setattr(sweep, "resnet", lambda depth, **_: right(depth))


def _flops_of_one_image(patch: pytest.MonkeyPatch) -> None:
    right = network._count_all

    def wrong(nets: Any, totals: Any) -> Any:
        return right(nets, replace(totals, batch=1) if totals.unit == "flop" else totals)

    patch.setattr(network, "_count_all", wrong)


def _cache_without_classes(patch: pytest.MonkeyPatch) -> None:
    kept: dict[Any, Any] = {}
    right = compiled.compiled
    patch.setattr(
        evaluate,
        "compiled",
        lambda setting, kind: kept.setdefault((setting._replace(classes=10), kind), right(setting, kind)),
    )


def _no_least_width_by_the_mean(patch: pytest.MonkeyPatch) -> None:
    right = compiled._hidden

    def wrong(rule: str, place: Any, columns: Any) -> Any:
        found = right(rule, place, columns)
        beta = columns.beta[place.stage]
        ends = ({"H": columns.high, "L": columns.low}[b] for b in place.path)
        c_in, c_out = (end[s] for end, s in zip(ends, (place.source, place.stage), strict=True))
        return (
            np.where((c_in + c_out) * beta.denominator < 2 * beta.numerator, 0, found)
            if rule == "mean"
            else found
        )

    patch.setattr(compiled, "_hidden", wrong)


def _splits_in_floating_point(patch: pytest.MonkeyPatch) -> None:
    right = evaluate._columns

    def wrong(grid: Any, block: slice) -> Any:
        columns = right(grid, block)
        totals = [columns.width << stage for stage in range(3)]
        alphas = (ratio.numerator / ratio.denominator for ratio in evaluate._per_stage(grid.alpha, block))
        low = tuple((t * alpha).astype(np.int64) for t, alpha in zip(totals, alphas, strict=True))
        return columns._replace(low=low, high=tuple(t - one for t, one in zip(totals, low, strict=True)))

    patch.setattr(evaluate, "_columns", wrong)


def _closed_form_without(*dropped: str) -> Callable[[pytest.MonkeyPatch], None]:
    def plant(patch: pytest.MonkeyPatch) -> None:
        right = closed_theorems.closed_form

        def wrong(**options: Any) -> Any:
            return right(**{name: value for name, value in options.items() if name not in dropped})

        patch.setattr(closed_theorems, "closed_form", wrong)

    return plant


def _ceilings_one_too_large(patch: pytest.MonkeyPatch) -> None:
    right = whole._rounded

    def wrong(top: Any, bottom: Any, *, up: bool) -> Any:
        return right(top + int(up), bottom, up=up)

    patch.setattr(whole, "_rounded", wrong)


def _blocks_written_at_the_start(patch: pytest.MonkeyPatch) -> None:
    right = evaluate._blocks

    def wrong(grid: Any) -> Any:
        for kind, where, columns in right(grid):
            yield kind, where % evaluate.BLOCK if isinstance(where, np.ndarray) else where, columns

    patch.setattr(evaluate, "_blocks", wrong)


def _products_beyond_64_bits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(grids, "_check_products", lambda grid: None)


def _no_row_where_one_end_is_high(patch: pytest.MonkeyPatch) -> None:
    right = layer_tables._distinct_kinds

    def wrong(layer: Any) -> list[str]:
        return [kind for kind in right(layer) if kind != "octave" or (layer.alpha_in and layer.alpha_out)]

    patch.setattr(layer_tables, "_distinct_kinds", wrong)


def _no_note_on_the_output(patch: pytest.MonkeyPatch) -> None:
    right = random_layer_tables.layer_notes
    patch.setattr(
        random_layer_tables,
        "layer_notes",
        lambda one: [note for note in right(one) if f"of {one.c_out} channels" not in note],
    )


def _verbs_swapped(patch: pytest.MonkeyPatch) -> None:
    right = diff._path_change
    patch.setattr(diff, "_path_change", lambda a, b: right(b, a))


DEFECTS: list[tuple[str, Callable[[pytest.MonkeyPatch], None], str]] = [
    ("the row of the standard layer ignores groups", _standard_without_groups, "tables of random layers"),
    ("an intensity ignores the dtype", _intensity_in_float32, "tables of random layers"),
    ("both ends have one symbol", _same_symbols_for_other_alphas, "tables of random layers"),
    ("a sweep compares with another plain network", _plain_of_default_options, "random sweeps"),
    ("a list counts the FLOPs of one image", _flops_of_one_image, "tables of random networks"),
    ("compiled forms are kept for other classes", _cache_without_classes, "grids where one option"),
    ("a width by the mean is 0", _no_least_width_by_the_mean, "grids where one option"),
    ("channels are split in floating point", _splits_in_floating_point, "grids at whole channels"),
    ("a closed form of a stage is the network's", _closed_form_without("stage"), "closed forms of other"),
    (
        "a closed form has no bottleneck",
        _closed_form_without("paths"),
        "closed forms of other",
    ),
    ("a closed form has the other shortcut", _closed_form_without("shortcut"), "closed forms of other"),
    ("exported ceilings are too large", _ceilings_one_too_large, "exported Python"),
    ("blocks of a grid are written at its start", _blocks_written_at_the_start, "grids of several blocks"),
    ("ratios are too precise for 64 bits", _products_beyond_64_bits, "grids refuse ratios"),
    ("a kind of layer is not shown", _no_row_where_one_end_is_high, "tables of random layers"),
    ("a rounding is not noted", _no_note_on_the_output, "tables of random layers"),
    ("a change of paths has the wrong name", _verbs_swapped, "random sweeps and diffs"),
]


@pytest.mark.parametrize(("plant", "name"), [row[1:] for row in DEFECTS], ids=[row[0] for row in DEFECTS])
def test_a_defect_in_what_is_printed(
    plant: Callable[[pytest.MonkeyPatch], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    (claim,) = (one for one in CLAIMS if one.name.startswith(name))
    assert differs(claim.cases())


def test_a_rounding_in_floating_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        grid_theorems, "split", lambda c, ratio: (c - int(c * float(ratio)), int(c * float(ratio)))
    )
    monkeypatch.setattr(grid_theorems, "CHANNELS", range(49, 50))
    monkeypatch.setattr(grid_theorems, "DENOMINATORS", range(49, 50))
    (claim,) = (one for one in CLAIMS if one.name == "both roundings agree")
    assert differs(claim.cases())
    assert int(49 * float(Fraction(1, 49))) == 0


def test_a_bound_that_ignores_the_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    right = compiled._largest_value
    monkeypatch.setattr(compiled, "_largest_value", lambda symbol, _, width: right(symbol, 3, width))
    assert differs(printed_theorems._overflow())


def test_a_float_that_is_read_in_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grid_theorems, "as_ratio", Fraction)
    (claim,) = (one for one in CLAIMS if one.name == "both roundings agree")
    assert differs(claim.cases())
