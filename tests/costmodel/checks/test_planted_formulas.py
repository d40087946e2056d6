"""Defects planted in formulas are found in whole networks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from costmodel.checks import network_theorems
from costmodel.checks.network_theorems import EVEN, OCT, PLAIN, ClaimedNetwork
from costmodel.checks.prove import failures
from costmodel.checks.verify import verify_named
from costmodel.convention import Cost
from costmodel.networks import network
from costmodel.operators import pwise_octave, recorder
from costmodel.operators.octave import plain_path
from costmodel.operators.standard import convolution
from costmodel.sizes import Pair
from pwoct import resnet as code
from tests.costmodel.checks.differences import layers_of


def forgets_kernels(*arguments: Any, **options: Any) -> Cost:
    c_in, c_out, _, *rest = arguments
    return convolution(c_in, c_out, 1, *rest, **options)


def forgets_strides(*arguments: Any, stride: Any = 1, **options: Any) -> Cost:
    return convolution(*arguments, **options)


def forgets_batches(*arguments: Any, batch: Any = 1, **options: Any) -> Cost:
    return convolution(*arguments, **options)


def whole_layers_of(differences: Iterable[str]) -> set[str]:
    """Return the layers that are named, without their paths."""
    return {".".join(name.split(".")[:4]) for name in layers_of(differences)}


@pytest.mark.parametrize("kind", ["plain", "Oct"])
@pytest.mark.parametrize(
    ("defect", "wrong"),
    [
        (forgets_kernels, {"stem", "stages.0.0.conv1", "stages.2.0.conv2"}),
        (
            forgets_strides,
            {"stages.1.0.conv1", "stages.1.0.shortcut", "stages.2.0.conv1", "stages.2.0.shortcut"},
        ),
        (forgets_batches, {"stem", "stages.0.0.conv1", "stages.1.0.shortcut"}),
    ],
)
def test_a_wrong_formula_of_convolutions(
    defect: Callable[..., Cost], wrong: set[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "convolution", defect)
    options, network = ({}, PLAIN) if kind == "plain" else ({"alpha": "1/4"}, OCT)
    verified = whole_layers_of(verify_named("resnet8", batch=2, **options).differences)
    proved = whole_layers_of(failures(network.case(1, EVEN)))
    assert wrong <= verified
    assert wrong <= proved
    if defect is forgets_strides:
        assert proved == verified == wrong


def test_a_bottleneck_without_its_first_convolution_in_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(rec: Any, request: Any, *_: Any) -> Any:
        y = plain_path(rec, replace(request, name=f"{request.name}.spatial"))
        return rec.conv(f"{request.name}.expand", y, request.channels[1], 1)

    monkeypatch.setattr(pwise_octave, "record_bottleneck", record)
    verified = verify_named("resnet8", alpha="1/4", paths=["LL"]).differences
    proved = failures(ClaimedNetwork((("LL",),) * 3).case(1, EVEN))
    bottlenecks = {f"stages.{layer}.ll" for layer in ("0.0.conv2", "1.0.conv1", "1.0.conv2", "2.0.conv1")}
    parts = {f"{name}.{part}" for name in bottlenecks for part in ("reduce", "spatial", "expand")}
    assert layers_of(proved) == parts
    assert layers_of(line for line in verified if "bytes" not in line) == parts
    assert "stages.0.0.conv2.ll.reduce: there is no formula of this name" in verified
    assert proved[0] == "stages.0.0.conv2.ll.reduce: the code has a layer that the formulas lack"


OTHERS = {
    "its complement": lambda spec, _stages: 1 - spec.alphas[1],
    "the next stage's": lambda _spec, alphas: alphas[1],
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_block_with_the_wrong_alpha(other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second block of the first stage is wrong inside; what enters and leaves it is as it should be."""
    original = code._block_specs

    def specs(n: int, width: int, stages: Any) -> Any:
        first, *rest = original(n, width, stages)
        before, _, behind = first[1].alphas
        wrong = OTHERS[other](first[1], [stage.alpha for stage in stages])
        first[1] = replace(first[1], alphas=(before, wrong, behind))
        return [first, *rest]

    monkeypatch.setattr(code, "_block_specs", specs)
    verified = verify_named("resnet14", alpha=["1/4", "1/2", "1/8"]).differences
    proved = failures(OCT.case(2, EVEN))
    for found in (verified, proved):
        assert found[0].startswith("stages.0.1.conv1.hh")
        assert {name[: len("stages.0.1")] for name in layers_of(found)} == {"stages.0.1"}


def test_a_stage_of_low_maps_whose_sizes_are_rounded_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded_down(size: Pair, stride: int) -> Pair:
        return size[0] // stride, size[1] // stride

    monkeypatch.setattr(network, "strided", rounded_down)
    (*_, all_low) = network_theorems._odd(every=False)
    assert any("operators: reads: code" in failure for failure in failures(all_low))
