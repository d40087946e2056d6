from __future__ import annotations

from typing import Any

import pytest
import sympy as sp
import torch
from torch import Tensor, nn

from costmodel.checks.symbolic import (
    LARGEST,
    Dimensions,
    NotSymbolicError,
    Tracer,
    follows,
    size,
    symbolic_shapes,
)

a, b, n = size("a"), size("b"), size("n")
SAMPLES = ({a: 11, b: 17}, {a: 13, b: 19})


@pytest.mark.parametrize(
    "condition",
    [
        a > 1,
        a * b >= 4,
        sp.Ne(a, 1),
        a * (2 * b + 1) > 1,
        sp.Ne(a, a + 1),
        sp.And(a > 1, b > 1),
        sp.Or(a < 0, b > 1),
        a <= LARGEST - a,  # sizes that fit a machine word
        sp.true,
    ],
    ids=str,
)
def test_conditions_that_hold_from_size_2_on(condition: sp.Basic) -> None:
    assert follows(condition)


@pytest.mark.parametrize(
    "condition",
    [a > 2, a < 16, sp.Ne(a, 2), sp.Eq(a, b), a >= b, sp.Ne(a, b), sp.And(a > 1, b > 2), sp.false],
    ids=str,
)
def test_conditions_that_some_size_breaks(condition: sp.Basic) -> None:
    assert not follows(condition)


def linear(v: Any) -> nn.Module:
    return nn.Linear(v[a], v[b], bias=False)


def run(model: nn.Module, shapes: Any, *inputs: Any) -> Any:
    return Tracer({**SAMPLES[0], n: 5}).run(model, shapes, inputs)


def test_shapes_are_named_by_their_values() -> None:
    assert symbolic_shapes(linear, Dimensions((a, b), SAMPLES)) == {"weight": (b, a)}


def test_a_size_that_is_none_of_the_known_ones_is_refused() -> None:
    with pytest.raises(NotSymbolicError, match=r"^weight: size 17 is none of a = 11$"):
        symbolic_shapes(linear, Dimensions((a,), SAMPLES))


def test_a_size_that_is_right_by_chance_is_refused() -> None:
    def lucky(v: Any) -> nn.Module:
        return nn.Linear(v[a], v[a] + 6, bias=False)  # b in the first sample, and in the second one too

    def unlucky(v: Any) -> nn.Module:
        return nn.Linear(v[a], 17 if v[a] == 11 else 13, bias=False)

    assert symbolic_shapes(lucky, Dimensions((a, b), SAMPLES)) == {"weight": (b, a)}
    with pytest.raises(NotSymbolicError, match=r"^weight: \(b, a\) in one sample, \(a, a\) in another$"):
        symbolic_shapes(unlucky, Dimensions((a, b), SAMPLES))


def test_samples_must_tell_sizes_apart() -> None:
    with pytest.raises(ValueError, match=r"^a sample must tell the sizes"):
        symbolic_shapes(linear, Dimensions((a, b), ({a: 3, b: 3},)))


def test_a_run_counts_in_symbols() -> None:
    model = nn.Sequential(nn.Linear(11, 17, bias=False))
    traced = run(model, {"0.weight": (b, a)}, (n, a))
    assert traced.macs["0"] == traced.macs[""] == n * a * b
    assert traced.activations == {"0": n * b}
    assert traced.params == {"0": a * b}
    assert all(map(follows, traced.conditions))


class Branches(nn.Module):
    """Costs less for large inputs, and so no expression can say what it costs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(11, 17, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x[:1] if x.shape[0] > 64 else x)  # type: ignore[no-any-return]


def test_a_branch_on_a_size_becomes_a_condition() -> None:
    traced = run(Branches(), {"fc.weight": (b, a)}, (n, a))
    assert [c for c in traced.conditions if not follows(c)] == [n <= 64]


class Fixed(nn.Module):
    """Turns a symbol into a number."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(11, 17, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x) * torch.ones(int(x.shape[0]), 1)  # type: ignore[no-any-return]


def test_a_size_that_the_code_fixes_becomes_a_condition() -> None:
    traced = run(Fixed(), {"fc.weight": (b, a)}, (n, a))
    assert sp.Eq(n, 5) in traced.conditions
    assert not follows(sp.Eq(n, 5))


def test_code_that_fails_on_symbols_says_where_and_why() -> None:
    model = nn.Sequential(nn.Linear(11, 17, bias=False), nn.Linear(11, 17, bias=False))
    with pytest.raises(NotSymbolicError, match=r"^1: the code fails on symbolic sizes: "):
        run(model, {"0.weight": (b, a), "1.weight": (b, a)}, (n, a))
