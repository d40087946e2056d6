"""What is changed in torch for a symbolic run is changed back after it, even if the run fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import sympy as sp
import torch
from torch import nn

from costmodel.checks.patches import (
    INITIALISED,
    RecordingEnv,
    one_algorithm,
    sizes_as_text,
    without_initial_weights,
)

Patch = Callable[[], AbstractContextManager[None]]


def state_of_torch() -> list[Any]:
    return [
        dict(vars(nn.init)),
        [kind.__dict__["reset_parameters"] for kind in INITIALISED],
        dict(vars(torch.SymInt)),
        torch.backends.mkldnn.enabled,
    ]


@pytest.mark.parametrize("patch", [without_initial_weights, one_algorithm, sizes_as_text])
def test_torch_is_as_it_was(patch: Patch) -> None:
    before = state_of_torch()
    with patch():
        assert state_of_torch() != before
    assert state_of_torch() == before
    with pytest.raises(KeyError), patch():
        raise KeyError
    assert state_of_torch() == before


def test_layers_draw_no_weights() -> None:
    def drawn() -> bool:
        before = torch.get_rng_state()
        nn.Linear(3, 4)
        nn.Conv2d(3, 4, 3)
        nn.BatchNorm2d(4)
        nn.init.trunc_normal_(torch.zeros(3))
        return not torch.equal(torch.get_rng_state(), before)

    with without_initial_weights():
        assert not drawn()
        weights = torch.ones(2, 3)
        assert nn.init.normal_(weights, std=5) is weights
        assert weights.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert drawn()


def test_conditions_are_recorded_and_not_answered_from_ranges() -> None:
    size, env = sp.Symbol("s", positive=True, integer=True), RecordingEnv()
    assert env._maybe_evaluate_static(sp.Ge(size, 1, evaluate=False)) is None
    for known in (sp.true, sp.false, sp.Integer(3)):
        assert env._maybe_evaluate_static(known) is known


def test_conditions_of_sizes_that_data_decide_are_torchs_own() -> None:
    env = RecordingEnv()
    size: Any = env.create_unbacked_symint()
    env.constrain_symbol_range(size.node.expr, 2, 9)
    condition = sp.Ge(size.node.expr, 1, evaluate=False)
    assert env._maybe_evaluate_static(condition, unbacked_only=True) == sp.true
    assert env._maybe_evaluate_static(condition) is None
