"""Defects that only some layers, layouts or dimensions show are found at the points that are checked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from torch import Tensor, nn

from costmodel.checks import covering, octave_theorems, point_theorems
from costmodel.checks.prove import Claim, Identity, equal, runs
from costmodel.convention import Cost
from costmodel.operators import elementwise, spatial
from costmodel.operators.standard import convolution
from costmodel.sizes import Size
from pwoct import branches, octave


def fails(cases: Any) -> bool:
    return any(equal(case).failures for case in cases if isinstance(case, Identity))


def test_a_padding_that_does_not_keep_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "same_padding", lambda kernel, dilation=1: dilation * (kernel + 1) // 2)
    assert fails(point_theorems._spatial(20))


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
