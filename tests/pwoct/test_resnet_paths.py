"""The paths of a network are given once, or for each stage."""

import pytest

from pwoct.channels import PATHS
from pwoct.resnet import blocks, resnet


@pytest.mark.parametrize(
    ("given", "sets"),
    [
        ("HL", [("HL",)] * 3),
        ("LL,HL", [("HL", "LL")] * 3),
        ("HL+none+all", [("HL",), (), PATHS]),
        (["HL", "LL"], [("HL", "LL")] * 3),
        (["HL", "LH", "LL"], [("HL", "LH", "LL")] * 3),
        (["HL", "none", "all"], [("HL",), (), PATHS]),
        ([["HL"], [], ["LH", "LL"]], [("HL",), (), ("LH", "LL")]),
    ],
)
def test_paths_are_given_once_or_for_each_stage(given, sets):
    model = resnet(14, alpha=0.5, paths=given, width=4)
    assert [stage[0].conv2.paths for stage in model.stages] == sets
    assert len([*blocks(model.stages)]) == 6
    assert model.width == 4
