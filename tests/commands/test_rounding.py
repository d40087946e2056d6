"""Whichever command costs a network says where its sizes were rounded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]

ROUNDED = "pwoct-cost: warning: alpha 1/5 of 16 channels is 3.2: c_L = 3"
WHOLE = "resnet8 --alpha 1/4"
COMMANDS = [
    ("--model", "resnet8", "--alpha", "1/5"),
    ("verify", "resnet8", "--alpha", "1/5"),
    ("sweep", "--model", "resnet8", "--alpha", "1/5", "--paths", "LL"),
    ("search", "--model", "resnet8", "--alpha", "1/5", "--paths", "none"),
    ("diff", "resnet8 --alpha 1/5", WHOLE),
    ("diff", WHOLE, "resnet8 --alpha 1/5"),
    ("train", "resnet8", "--alpha", "1/5", "--dataset", "synthetic", "--dry-run"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_rounding_is_said(pwoct_cost: Run, arguments: tuple[str, ...]) -> None:
    run = pwoct_cost(*arguments)
    assert run.code == 0
    assert ROUNDED in run.err.splitlines()


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_whole_sizes_need_no_word(pwoct_cost: Run, arguments: tuple[str, ...]) -> None:
    run = pwoct_cost(*(word.replace("1/5", "1/4") for word in arguments))
    assert run.code == 0
    assert "warning" not in run.err


def test_of_many_networks_the_number_is_said(pwoct_cost: Run) -> None:
    run = pwoct_cost("sweep", "--model", "resnet8", "--alpha", "0,1/5,1/4", "--paths", "LL")
    assert (
        "pwoct-cost: warning: sizes were rounded in 1 of 3 networks; `pwoct-cost` on one shows where"
        in run.err
    )
