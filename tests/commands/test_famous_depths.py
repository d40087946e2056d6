"""Depths at which ResNet means another network to most people are never taken in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(("depth", "usual"), [(50, 56), (152, 110), (200, 110)])
@pytest.mark.parametrize(
    "command",
    ["--model {}", "sweep {} --alpha 0", "search {} --alpha 0", "diff {} resnet8", "diff resnet8 {}"],
)
def test_the_network_for_cifar_is_named_as_such(
    pwoct_cost: Run, command: str, depth: int, usual: int
) -> None:
    run = pwoct_cost(*command.format(f"resnet{depth}").split())
    assert run.code == 0
    first = run.err.splitlines()[0]
    assert first.startswith(f"pwoct-cost: warning: resnet{depth} here is the CIFAR network of that depth")
    assert f"`pwoct-cost cost timm:resnet{depth}`" in first
    assert first.endswith(f"the usual one for CIFAR is resnet{usual}")


def test_the_table_says_it_too(pwoct_cost: Run) -> None:
    assert "Network: resnet50 for CIFAR, input 3x32x32" in pwoct_cost("--model", "resnet50").out
    assert "Network: resnet56, input 3x32x32" in pwoct_cost().out


@pytest.mark.parametrize("depth", [18, 34, 101])
def test_what_is_no_network_for_cifar_is_refused_with_both_suggestions(pwoct_cost: Run, depth: int) -> None:
    run = pwoct_cost("--model", f"resnet{depth}")
    assert (run.code, run.out) == (2, "")
    assert "did you mean resnet" in run.err
    assert f"ImageNet's is `pwoct-cost cost timm:resnet{depth}`" in run.err


@pytest.mark.parametrize("depth", [8, 20, 32, 44, 56, 110, 1202, 26, 14, 164])
def test_other_depths_are_not_remarked_on(pwoct_cost: Run, depth: int) -> None:
    assert pwoct_cost("--model", f"resnet{depth}").err == ""
