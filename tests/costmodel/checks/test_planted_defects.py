"""Verify and prove can fail: each planted defect is found by both, at the right layer.

A defect is planted in the code of a layer, or in its formula. Both checks get the same pair: verify with
numbers for sizes, prove with symbols.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from costmodel.checks import octave_case
from costmodel.checks.octave_case import ClaimedLayer
from costmodel.checks.prove import Case, Sizes, failures
from costmodel.checks.theorems import h, n, w
from costmodel.checks.verify import verify_operators
from costmodel.operators.octave import PATHS, OctaveLayer
from pwoct.branches import pool, upsample
from pwoct.pwise_octave import Bottleneck, PwiseOctConv
from tests.costmodel.checks.differences import layers_of

SMALL = {octave_case.C_H: 12, octave_case.C_L: 4, octave_case.F_H: 24, octave_case.F_L: 8, n: 2, h: 3, w: 2}


def both(case: Case) -> tuple[list[str], list[str]]:
    """Return what verify finds, and what prove finds."""
    v = Sizes(case.instances[0])
    inputs = [torch.zeros(*map(v, shape), requires_grad=True) for shape in case.inputs]
    report = verify_operators(case.make(v), inputs, case.formulas(v))
    return report.differences, failures(replace(case, instances=()))


def case_of(image: tuple[Any, Any] = (4 * h, 4 * w), **options: Any) -> Case:
    """Return a case with one instance, for verify."""
    layer = ClaimedLayer(**options)
    return replace(layer.case(image), instances=[layer.completed({**layer.trials()[1], **SMALL})])


def planted(case: Case, plant: Callable[[nn.Module], None]) -> Case:
    """Return the case with something done to the layer that its constructor makes."""

    def make(v: Any) -> nn.Module:
        net: Any = case.make(v)
        plant(net.conv)
        return net  # type: ignore[no-any-return]

    return replace(case, make=make)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compressed": ("HH", "HL", "LH", "LL")},
        {"compressed": ("LH",), "stride": 2},
        {"stride": 2, "rule": "A"},
        {"stride": 2, "rule": "B", "bias": True},
    ],
    ids=str,
)
def test_without_a_defect_both_agree(options: dict[str, Any]) -> None:
    assert both(case_of(**options)) == ([], [])


class ConvolvesAtTheHighResolution(nn.Conv2d):
    """HL that pools after its convolution, or LH that upsamples before it."""

    def forward(self, x: Tensor) -> Tensor:
        return pool(super().forward(upsample(x)))


@pytest.mark.parametrize("path", ["hl", "lh"])
def test_a_path_at_the_wrong_resolution(path: str) -> None:
    def plant(conv: Any) -> None:
        getattr(conv, path).__class__ = ConvolvesAtTheHighResolution

    verified, proved = both(planted(case_of(), plant))
    assert layers_of(proved) == {f"conv.{path}"}
    assert layers_of(line for line in verified if "MACs" in line) == {f"conv.{path}"}
    assert not any("parameters" in line for line in (*verified, *proved))


class SkipsSpatial(Bottleneck):
    """A forgotten kernel: the convolution between the two 1x1 ones is made, and never run."""

    def forward(self, x: Tensor) -> Tensor:
        return self.expand(self.reduce(x))  # type: ignore[no-any-return]


def test_a_kernel_that_is_never_run() -> None:
    def plant(conv: Any) -> None:
        conv.ll.__class__ = SkipsSpatial

    verified, proved = both(planted(case_of(compressed=("LL",)), plant))
    assert proved[0] == "conv.ll.spatial: the formulas have a layer that the code lacks"
    assert layers_of(proved) == {"conv.ll.spatial"}
    assert "conv.ll.spatial" in layers_of(verified)


def test_a_kernel_that_is_not_even_made() -> None:
    def plant(conv: Any) -> None:
        conv.ll.spatial = nn.Identity()

    verified, proved = both(planted(case_of(compressed=("LL",)), plant))
    assert "conv.ll.spatial" in layers_of(verified)
    assert layers_of(proved) == {"conv.ll.spatial"}


def test_alpha_of_the_output_swapped_with_its_complement(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapped(PwiseOctConv):
        def __init__(self, *arguments: Any, alpha_out: Fraction, **options: Any) -> None:
            super().__init__(*arguments, alpha_out=1 - alpha_out, **options)

    case = case_of()
    monkeypatch.setattr(octave_case, "PwiseOctConv", Swapped)
    verified, proved = both(case)
    paths = {"conv.hh", "conv.hl", "conv.lh", "conv.ll"}
    assert layers_of(proved) == paths
    assert layers_of(verified) == paths


def test_alpha_of_the_input_swapped_with_its_complement(monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapped(PwiseOctConv):
        def __init__(self, *arguments: Any, alpha_in: Fraction, **options: Any) -> None:
            super().__init__(*arguments, alpha_in=1 - alpha_in, **options)

    case = case_of()
    monkeypatch.setattr(octave_case, "PwiseOctConv", Swapped)
    (verified,), (proved,) = both(case)  # the branches do not even fit
    assert verified.startswith("conv.hh: the code fails: ")
    assert proved.startswith("conv.hh: the code fails on symbolic sizes: ")


def test_a_bottleneck_of_the_wrong_width(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wide(PwiseOctConv):
        def __init__(self, *arguments: Any, beta: Any, **options: Any) -> None:
            super().__init__(*arguments, beta=(beta + 1) / 2, **options)

    case = case_of(compressed=("LH",))
    monkeypatch.setattr(octave_case, "PwiseOctConv", Wide)
    verified, proved = both(case)
    assert layers_of(verified) == {"conv.lh.reduce", "conv.lh.spatial", "conv.lh.expand"}
    assert layers_of(proved) >= {"conv.lh.reduce", "conv.lh.spatial", "conv.lh.expand"}


def test_a_stride_on_the_wrong_convolution() -> None:
    def plant(conv: Any) -> None:
        conv.ll.reduce.stride, conv.ll.spatial.stride = (1, 1), (2, 2)

    verified, proved = both(planted(case_of(compressed=("LL",), stride=2), plant))
    assert layers_of(proved) == {"conv.ll.reduce"}
    assert "conv.ll.reduce" in layers_of(verified)


def test_another_stride_rule() -> None:
    def plant(conv: Any) -> None:
        conv.stride_rule = "A"
        for path in (conv.hh, conv.hl, conv.lh, conv.ll):
            path.stride = (1, 1)

    # As rule A does: LH at the output's high resolution, four times the work.
    verified, proved = both(planted(case_of(stride=2), plant))
    assert layers_of(proved) == {"conv.lh"}
    assert "conv.lh" in layers_of(verified)


def test_a_bias_that_the_formula_does_not_know() -> None:
    def plant(conv: Any) -> None:
        conv.hl.bias = nn.Parameter(torch.zeros(conv.hl.out_channels))

    verified, proved = both(planted(case_of(), plant))
    assert proved[0] == "conv.hl: parameters: code f_L*(9*c_H + 1), formula 9*c_H*f_L"
    assert layers_of(proved) == {"conv.hl"}
    assert verified == [
        f"conv.hl: parameters: formula {9 * 12 * 8}, parameters() {9 * 12 * 8 + 8}",
        f"total: parameters: formula {9 * 16 * 32:,}, parameters() {9 * 16 * 32 + 8:,}",
    ]


NORMALISED = {f"conv.{path}.{part}_bn" for path in ("hh", "hl", "lh", "ll") for part in ("reduce", "spatial")}


def test_normalisation_that_the_formulas_do_not_know() -> None:
    without, code = (case_of(compressed=PATHS, between=between) for between in ("none", "bn_relu"))
    verified, proved = both(replace(code, formulas=without.formulas))
    assert layers_of(line for line in verified if "parameters" in line) == NORMALISED
    assert {f"{name}: the code has parameters that the formulas lack" for name in NORMALISED} <= {*proved}
    assert any(line.startswith("all layers: parameters: ") for line in proved)


def test_normalisation_that_the_code_does_not_have() -> None:
    formulas, without = (case_of(compressed=PATHS, between=between) for between in ("bn", "none"))
    verified, proved = both(replace(without, formulas=formulas.formulas))
    assert layers_of(verified) >= NORMALISED
    assert layers_of(proved) == NORMALISED


def test_a_parameter_outside_all_layers() -> None:
    def plant(conv: Any) -> None:
        conv.scale = nn.Parameter(torch.ones(conv.split_out.low))

    verified, proved = both(planted(case_of(), plant))
    assert layers_of(verified) == layers_of(proved) == {"conv"}
    assert proved[0] == "conv: the code has parameters that the formulas lack"


def test_a_grouped_layer_counted_as_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    grouped = case_of(groups=2)

    class Dense(OctaveLayer):
        def groups_of(self, channels: Any) -> Any:
            return 1

    monkeypatch.setattr(octave_case, "OctaveLayer", Dense)
    verified, proved = both(grouped)
    paths = {"conv.hh", "conv.hl", "conv.lh", "conv.ll"}
    assert layers_of(proved) == paths
    assert layers_of(verified) == paths


def test_an_upsampling_that_is_kept_for_the_backward_pass() -> None:
    class Keeps(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).exp()

    def plant(conv: Any) -> None:
        conv.lh.__class__ = Keeps

    verified, _ = both(planted(case_of(), plant))
    assert any(line.startswith("conv.lh: bytes saved: ") for line in verified)
    assert layers_of(verified) == {"conv.lh"}
