"""The plain CIFAR ResNets, converted, are the built-in octave networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import pwoct


def example(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(3))


def by_name_of(builtin: nn.Module, converted: nn.Module) -> dict[str, Tensor]:
    """The built-in network's weights under the converted network's names."""
    theirs = builtin.state_dict()
    found = {}
    for name in converted.state_dict():
        module, _, leaf = name.rpartition(".")
        names = [f"{module}.{part}{leaf}" for part in ("", "high.", "low.", "hh.")]
        parts = [theirs[n] for n in names if n in theirs]
        found[name] = torch.cat(parts) if parts[0].dim() else parts[0]
    return found


OPTIONS: list[dict[str, Any]] = [
    {"alpha": "1/4", "beta": 2, "paths": "HL,LH,LL"},
    {"alpha": 1, "paths": "all"},
    {"alpha": "1/2", "stride_rule": "A", "width_rule": "min", "between": "bn_relu", "paths": "HH,LL"},
    {"alpha": 0, "paths": "HH"},
    {"alpha": 0, "paths": "HH", "stride_rule": "A", "beta": 1},
    {"alpha": 0.3, "stride_rule": "B"},
]


def assert_same_network(depth: int, **options: Any) -> None:
    builtin = pwoct.build(f"resnet{depth}", **options).eval()
    converted = pwoct.convert(pwoct.build(f"resnet{depth}"), inputs=(1, 3, 32, 32), **options).eval()
    with torch.no_grad():
        for module in builtin.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()  # type: ignore[union-attr, operator]
    converted.load_state_dict(by_name_of(builtin, converted))
    assert sum(p.numel() for p in converted.parameters()) == sum(p.numel() for p in builtin.parameters())
    for size in (2, 3, 32, 32), (1, 3, 35, 18):
        x = example(*size)
        assert torch.equal(converted(x), builtin(x))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_plain_resnet_becomes_the_octave_resnet(options: dict[str, Any]) -> None:
    assert_same_network(8, **options)


@settings(max_examples=8, deadline=None)
@given(
    depth=st.sampled_from((8, 14, 20)),
    alpha=st.sampled_from((0, "1/8", "1/4", 0.3, "1/2", "7/8", 1)),
    beta=st.sampled_from((1, 2, "8/3", 4)),
    paths=st.sets(st.sampled_from(("HH", "HL", "LH", "LL"))),
    stride_rule=st.sampled_from("ABC"),
    width_rule=st.sampled_from(("out", "in", "min", "mean")),
    between=st.sampled_from(("none", "bn", "bn_relu")),
)
def test_any_plain_resnet_becomes_the_octave_resnet(depth: int, paths: set[str], **options: Any) -> None:
    assert_same_network(depth, paths=sorted(paths), **options)


def test_shortcuts_without_parameters_are_converted() -> None:
    """They add zeros behind all channels; those of the built-in octave networks do so branch by branch."""
    made = pwoct.convert(pwoct.build("resnet8", shortcut="A"), alpha="1/4", inputs=(1, 3, 32, 32))
    made(example(2, 3, 35, 18)).sum().backward()
    assert all(p.grad is not None for p in made.parameters())


def test_stages_have_their_own_choices() -> None:
    layers = {"stages.0.*": "alpha:0", "stages.1.*": {"alpha": "1/4"}, "stages.2.*": "alpha:1/2,paths:HL,LH"}
    builtin = pwoct.build("resnet8", alpha=[0, "1/4", "1/2"], paths="none+none+HL,LH").eval()
    converted = pwoct.convert(pwoct.build("resnet8"), alpha=0, layers=layers, inputs=(1, 3, 32, 32)).eval()
    converted.load_state_dict(by_name_of(builtin, converted))
    assert torch.equal(converted(example(2, 3, 32, 32)), builtin(example(2, 3, 32, 32)))
