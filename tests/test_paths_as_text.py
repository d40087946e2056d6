"""Both packages read the same texts and lists as sets of paths, each by a rule of its own."""

from __future__ import annotations

from typing import Any

import pytest

from costmodel.networks.stages import paths_per_stage
from costmodel.operators.recorder import cost_of
from pwoct.resnet import _paths_a_stage

ALL = ("HH", "HL", "LH", "LL")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("HL,LH", [("HL", "LH")] * 3),
        ("lh, hl", [("HL", "LH")] * 3),
        ("all", [ALL] * 3),
        ("ALL", [ALL] * 3),
        ("none", [()] * 3),
        ("", [()] * 3),
        ((), [()] * 3),
        ("HL+none+all", [("HL",), (), ALL]),
        (["HL", "LH", "LL"], [("HL", "LH", "LL")] * 3),
        (["HL,LL", "none", "all"], [("HL", "LL"), (), ALL]),
        (["HL", "LL", ""], [("HL",), ("LL",), ()]),
        ([["HL"], [], "LL"], [("HL",), (), ("LL",)]),
        ({"LL"}, [("LL",)] * 3),
    ],
)
def test_both_packages_read_the_same_sets(given: Any, expected: list[tuple[str, ...]]) -> None:
    from pwoct.channels import as_paths

    assert [tuple(as_paths(paths)) for paths in _paths_a_stage(given)] == expected
    assert paths_per_stage(given) == [frozenset(paths) for paths in expected]


@pytest.mark.parametrize("given", ["HX", "HL,,LH", "HL+LH", "all,HH", ["HL", "all"], ["HL", "none", "HX"]])
def test_both_packages_refuse_the_same(given: Any) -> None:
    from pwoct.resnet import resnet as built

    with pytest.raises(ValueError, match="path"):
        paths_per_stage(given)
    with pytest.raises(ValueError, match="path"):
        built(8, paths=given, width=4)


def test_networks_of_one_text_agree() -> None:
    from costmodel.networks.resnet import resnet as described
    from pwoct.resnet import resnet as built

    options: dict[str, Any] = {"alpha": "1/4", "paths": "HL,LH+none+all", "width": 8}
    parameters = sum(p.numel() for p in built(14, **options).parameters())
    assert parameters == cost_of(described(14, **options).operators()).params


def test_a_stage_without_bottlenecks_can_be_trained() -> None:
    from pwoct.training.config import compose
    from pwoct.training.learner import build_model

    config = compose("fast", values={"model.alpha": "1/2", "model.paths": ["HL", "LL", ""], "model.width": 4})
    assert config.model.paths == ("HL", "LL", "")
    assert sum(p.numel() for p in build_model(config.model, 10, 3).parameters()) > 0
