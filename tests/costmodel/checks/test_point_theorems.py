"""Defects that only some layers, layouts or dimensions show are found at the points that are checked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn

from costmodel import rounding
from costmodel.checks import covering, octave_theorems, point_theorems, training_theorems
from costmodel.checks.prove import Case, Claim, Identity, equal, failures, runs
from costmodel.convention import Cost
from costmodel.operators import elementwise, spatial
from costmodel.operators.octave import OctaveLayer
from costmodel.operators.standard import convolution
from costmodel.sizes import Size
from pwoct import branches, octave, shortcut


def fails(cases: Any) -> bool:
    return any(equal(case).failures for case in cases if isinstance(case, Identity))


def test_a_padding_that_does_not_keep_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "same_padding", lambda kernel, dilation=1: dilation * (kernel + 1) // 2)
    assert fails(point_theorems._spatial(20))


def test_an_output_padding_that_is_cut_to_the_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch also allows one above the stride, if it is below the dilation."""
    right = spatial.SpatialLayer._spread

    def cut(layer: spatial.SpatialLayer, paddings: Any) -> Any:
        extras = tuple(min(extra, layer.stride - 1) for extra in layer.output_padding or ())
        return right(replace(layer, output_padding=extras or None), paddings)

    assert not fails(point_theorems._spatial(60))
    monkeypatch.setattr(spatial.SpatialLayer, "_spread", cut)
    assert fails(point_theorems._spatial(60))


def test_a_width_rule_that_is_wrong_for_a_third_of_the_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    def minimum(c_in: Any, c_out: Any) -> Any:
        return 2 * min(c_in, c_out) + (1 if c_in == 3 * c_out else 0)

    (claim,) = (one for one in octave_theorems.octave_claims() if one.name.endswith("width rule min"))
    monkeypatch.setitem(rounding.WIDTH_RULES, "min", minimum)  # type: ignore[arg-type]
    *_, shrinking = claim.cases()
    assert isinstance(shrinking, Case)
    assert "holds only if Ne(c_H - 3*f_H, 0)" in failures(shrinking)


def test_a_bias_that_depends_on_the_stride_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OctaveLayer.has_bias

    def wrong(layer: OctaveLayer, path: str) -> bool:
        return right(layer, path) and (layer.exchange, layer.stride_rule, path) != (True, "A", "LL")

    (claim,) = (one for one in octave_theorems.octave_claims() if one.name.startswith("depthwise"))
    monkeypatch.setattr(OctaveLayer, "has_bias", wrong)
    _, exchange, *_ = claim.cases()
    assert isinstance(exchange, Case)
    assert any(failure.startswith("conv.ll: parameters") for failure in failures(exchange))


def test_a_shortcut_that_copies_nothing_where_no_channels_are_new(monkeypatch: pytest.MonkeyPatch) -> None:
    right = shortcut.ZeroPadShortcut._padded

    def sliced(module: shortcut.ZeroPadShortcut, x: Tensor, c_out: int) -> Tensor:
        step = module.stride
        return x[..., ::step, ::step] if c_out == x.shape[1] else right(module, x, c_out)

    monkeypatch.setattr(shortcut.ZeroPadShortcut, "_padded", sliced)
    assert fails(training_theorems._padded(5))


def test_an_upsampling_that_is_wrong_for_channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def repeated(x: Tensor) -> Tensor:
        times = 1 if branches.is_channels_last(x) else 2
        return x.repeat_interleave(times, -1).repeat_interleave(times, -2)

    monkeypatch.setattr(branches, "_repeat_pixels", repeated)
    assert fails(point_theorems._layers(15, groups=(2,)))


def test_a_depthwise_layer_of_one_branch_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    existing = octave._existing_paths

    def refusing(c_in: Any, c_out: Any, *, across: bool) -> Any:
        if not across and not all(c_in):
            raise ValueError("two branches are needed")
        return existing(c_in, c_out, across=across)

    monkeypatch.setattr(octave, "_existing_paths", refusing)
    (claim,) = (one for one in octave_theorems.octave_claims() if one.name.startswith("depthwise"))
    *_, last = (run for run in runs(claim))
    assert "two branches are needed" in last.failures[0]


def test_formulas_that_refuse_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any) -> Any:
        raise ValueError("no")

    monkeypatch.setattr(covering, "layer_of", refuse)
    (run,) = runs(Claim("random layers", partial(point_theorems._layers, 30, groups=(2, 3))))
    assert run.failures == [
        "the cases can't be made: ValueError: the formulas accept 0 of 1500 random options, not 30"
    ]


def test_a_formula_in_symbols_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers stay right; only sizes that are symbols fail."""

    def refuses_symbols(*args: Any, **options: Any) -> Cost:
        if not isinstance(args[0], int):
            raise ValueError("a symbol")
        return convolution(*args, **options)

    monkeypatch.setattr(point_theorems, "convolution", refuses_symbols)
    assert fails(point_theorems._spatial(20))


def test_buffers_of_a_normalisation_that_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def few_buffers(channels: Size, elements: Size) -> Cost:
        return replace(batch_norm(channels, elements), bn_buffers=2 + channels)

    batch_norm = elementwise.batch_norm
    monkeypatch.setattr(elementwise, "batch_norm", few_buffers)
    assert fails(point_theorems._layers(5))


def test_a_map_without_elements_is_no_output() -> None:
    """Torch returns it, where the formulas refuse the layer."""
    shape, make = (2, 2, 4, 8, 9), partial(nn.ConvTranspose3d, 2, 1, (1, 5, 5), padding=(2, 0, 0))
    (pair,) = point_theorems._refused("layer", make, [shape])
    assert pair.code == pair.formula == 0
