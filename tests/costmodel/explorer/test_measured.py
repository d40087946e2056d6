"""Measured accuracies on the page: which networks they are of, and what is said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from costmodel.explorer.measured import measured
from costmodel.paper.records import Record
from costmodel.paper.student import mean_interval

RUN = Record(
    depth=20,
    alpha=(Fraction(1, 4),),
    beta=(Fraction(2),),
    paths=(frozenset({"LL", "HL"}),),
    width=16,
    frozen=False,
    fixed=True,
    dataset="cifar10",
    training="{}",
    recipe="fast",
    epochs=16,
    precision="bf16",
    plan="blocked",
    remarks=(),
    seed=0,
    accuracy=0.9003,
)
TEXTS = {"depth": "20", "alpha": "1/4", "beta": "2", "paths": "HL,LL", "width": "16"}


def test_one_run_has_no_interval() -> None:
    assert measured([RUN]) == [
        {"texts": TEXTS, "said": "Measured on CIFAR-10: 90.03 % (1 run; fast, 16 epochs)"}
    ]


def test_several_runs_have_a_mean_and_an_interval() -> None:
    values = (0.90, 0.91, 0.92)
    (found,) = measured([replace(RUN, seed=seed, accuracy=value) for seed, value in enumerate(values)])
    half = mean_interval((90.0, 91.0, 92.0), 1.0).half
    assert found["said"] == f"Measured on CIFAR-10: 91.00 ± {half:.2f} % (3 runs; fast, 16 epochs)"


def test_recipes_are_said_one_by_one() -> None:
    (found,) = measured([RUN, replace(RUN, epochs=30, training="{30}", accuracy=0.92)])
    assert found["said"].endswith("90.03 % (1 run; fast, 16 epochs); 92.00 % (1 run; fast, 30 epochs)")


@pytest.mark.parametrize("other", [{"dataset": "synthetic"}, {"frozen": True}, {"fixed": False}])
def test_what_the_page_cannot_show_is_left_out(other: dict[str, object]) -> None:
    assert measured([replace(RUN, **other)]) == []  # type: ignore[arg-type]
