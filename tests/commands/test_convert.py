"""`pwoct-cost convert`: its table, names of converted networks, the module that it writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import pwoct
from costmodel.models import load
from costmodel.models.names import parse

Run = Callable[..., Any]

NETS = """
from torch import nn

class Small(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.groups = nn.Conv2d(width, 2 * width, 3, padding=1, groups=4)
        self.last = nn.Conv2d(2 * width, width, 1, stride=2)
        self.even = nn.Conv2d(width, 4, 2)

    def forward(self, x):
        return self.even(self.last(self.groups(self.one(self.stem(x))))).flatten(1)
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("nets") / "nets.py"
    file.write_text(NETS)
    return file


def test_layers_stand_beside_the_originals(nets: Path, pwoct_cost: Run) -> None:
    asked = pwoct_cost("convert", f"{nets}:Small", "--alpha", "1/4", "--input", "1,3,8,8", "--format", "json")
    assert asked.code == 0, asked.err
    told = json.loads(asked.out)
    # one: from 8 channels to 6 at 8x8 and to 2 at 4x4. groups: three of 2 -> 4 channels are high, one is low.
    # last, of stride 2: from 12 at 4x4 and from 4 at 2x2, to 8 high ones.
    one = 9 * 8 * 6 * 64 + 9 * 8 * 2 * 16
    groups = 9 * 2 * 12 * 64 + 9 * 2 * 4 * 16
    last = 12 * 8 * 16 + 4 * 8 * 4
    rows = {row["layer"]: row for row in told["convert"]}
    assert [rows[name]["macs"] for name in ("one", "groups", "last")] == [one, groups, last]
    assert rows["one"]["macs_before"] == 9 * 8 * 8 * 64
    assert rows["one"]["params"] == rows["one"]["params_before"] == 9 * 8 * 8 + 8
    stem, even = 27 * 8 * 64, 4 * 8 * 4 * 9
    assert told["macs_of_the_code"] == told["convert_total"]["macs"] == stem + one + groups + last + even
    reasons = {row["names"]: row["reason"] for row in told["kept"]}
    assert reasons["even"] == "its kernel has an even size: 2x2"


def test_a_name_says_how_a_network_is_converted(nets: Path) -> None:
    text = f'convert({nets}:Small(width=16), alpha=1/2, paths="HL,LH", inputs=(1, 3, 8, 8))'
    name = parse(text)
    assert (name.source, name.place) == ("convert", f"{nets}:Small(width=16)")
    assert name.options == {"alpha": "1/2", "paths": "HL,LH", "inputs": (1, 3, 8, 8)}
    module = load(text).module
    assert module.get_submodule("one.hl").weight.shape == (8, 16, 3, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("convert()", "a converted network is named such as convert"),
        ("convert(resnet20, 4)", "a converted network is named such as convert"),
        ("convert(resnet20, alpha=x)", "arguments of a network are Python literals"),
        ("convert(resnet20, alfa=1/4)", "unexpected keyword argument 'alfa'"),
        ("convert(resnet20, alpha=2)", "alpha must be in [0, 1], got 2"),
        ("convert(resnet21, alpha=1/4)", "resnet21"),
    ],
)
def test_a_wrong_name_is_one_clear_line(pwoct_cost: Run, text: str, message: str) -> None:
    result = pwoct_cost("cost", text)
    assert result.code == 2
    assert message in result.err
    assert result.err.count("\n") == 1


def test_the_written_module_builds_the_network(
    nets: Path, pwoct_cost: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "written_octave.py"
    options = ("--alpha", "1/4", "--layers", "stages.2.*=alpha:1/2,paths:HL", "-o", str(file))
    assert pwoct_cost("convert", "resnet8", *options).code == 0
    monkeypatch.syspath_prepend(str(tmp_path))
    import written_octave

    named = load("convert(resnet8, alpha=1/4, layers={'stages.2.*': 'alpha:1/2,paths:HL'})")
    shapes = {name: tuple(p.shape) for name, p in named.module.named_parameters()}
    assert {n: tuple(p.shape) for n, p in written_octave.network().named_parameters()} == shapes
    assert "stages.2.0.conv1.hl.reduce.weight" in shapes
    sys.modules.pop("written_octave")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a ResNet-8, as a training would save them."""
    file = tmp_path_factory.mktemp("weights") / "resnet8.pt"
    torch.manual_seed(5)
    torch.save({"state_dict": pwoct.build("resnet8").state_dict()}, file)
    return file


def test_weights_of_the_original_are_carried_over(
    trained: Path, pwoct_cost: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "carried_octave.py"
    options = ("--alpha", "1/4", "--paths", "HL,LL", "--init", "pretrained", "--weights", str(trained))
    result = pwoct_cost("convert", "resnet8", *options, "-o", str(file), "--format", "json")
    assert result.code == 0, result.err
    rows = {row["layer"]: row for row in json.loads(result.out)["carried"]}
    monkeypatch.syspath_prepend(str(tmp_path))
    import carried_octave

    made = carried_octave.network(trained).requires_grad_(False)
    weights = torch.load(trained, weights_only=True)["state_dict"]
    assert torch.equal(made.stem.weight, weights["stem.weight"])
    # conv1 of the second stage has the stride; its HH is a part of the original's kernel.
    kernel = weights["stages.1.0.conv2.weight"]
    assert torch.equal(made.stages[1][0].conv2.hh.weight, kernel[:24, :24])
    path = made.stages[1][0].conv2.ll
    parts = (path.expand.weight[..., 0, 0], path.spatial.weight, path.reduce.weight[..., 0, 0])
    composed = torch.einsum("om,mnkl,ni->oikl", *parts)
    lost = (kernel[24:, 24:] - composed).square().sum() / kernel[24:, 24:].square().sum()
    row = rows["stages.1.0.conv2"]
    assert row["LL"] == pytest.approx(float(lost), rel=1e-4)
    share = sum(
        row[p] * float(k.square().sum()) for p, k in (("LL", kernel[24:, 24:]), ("HL", kernel[24:, :24]))
    )
    assert row["lost"] == pytest.approx(share / float(kernel.square().sum()), rel=1e-5)
    assert 0 < rows["all octave layers"]["lost"] < row["LL"]
    drawn = carried_octave.network()
    assert not torch.equal(drawn.stages[1][0].conv2.hh.weight, kernel[:24, :24])
    sys.modules.pop("carried_octave")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--weights", "w.pt"), 2, "--weights needs --init pretrained, got --init random"),
        (("--init", "pretrained", "--weights", "missing.pt"), 5, "missing.pt cannot be read: No such file"),
        (("--init", "best"), 2, "init must be one of random, pretrained, got 'best'"),
    ],
)
def test_weights_that_can_not_be_had_are_one_clear_line(
    pwoct_cost: Run, options: tuple[str, ...], code: int, message: str
) -> None:
    result = pwoct_cost("convert", "resnet8", "--alpha", "1/4", *options)
    assert result.code == code
    assert message in result.err
    assert result.err.count("\n") == 1


def test_weights_of_another_network_are_refused(trained: Path, pwoct_cost: Run) -> None:
    options = ("--alpha", "1/4", "--init", "pretrained", "--weights", str(trained))
    result = pwoct_cost("convert", "resnet14", *options)
    assert result.code == 5
    assert "the weights do not fit the network; missing: stages.0.1." in result.err
    without = pwoct_cost("convert", "resnet8", *options[:4])
    assert "--weights FILE shows how much" in without.err


def test_a_function_gives_the_inputs(nets: Path, pwoct_cost: Run, tmp_path: Path) -> None:
    given = tmp_path / "given.py"
    given.write_text(
        "import torch\ndef by_place():\n    return torch.zeros(1, 3, 10, 8)\n"
        "def by_name():\n    return {'x': torch.zeros(1, 3, 10, 8)}\n"
    )
    written = tmp_path / "made.py"
    asked = ("convert", f"{nets}:Small", "--alpha", "1/4", "-o", str(written), "--inputs")
    result = pwoct_cost(*asked, f"{given}:by_place")
    assert result.code == 0, result.err
    assert "inputs=(1, 3, 10, 8)" in written.read_text()
    refused = pwoct_cost(*asked, f"{given}:by_name")
    assert refused.code == 2
    assert "convert takes inputs by position, got the names x" in refused.err


def test_what_the_conversion_says_stands_alone(pwoct_cost: Run) -> None:
    result = pwoct_cost("convert", "resnet8", "--alpha", "1/4", "--layers", "nope.*=plain")
    assert result.code == 2
    assert result.err.startswith(
        "pwoct-cost: error: layers: no convolution has a name like 'nope.*'; there are stem"
    )


def test_a_network_of_which_nothing_is_converted_is_named(pwoct_cost: Run) -> None:
    result = pwoct_cost("convert", "resnet8", "--alpha", "1/4", "--layers", "*=plain")
    assert result.code == 0
    assert result.err == "pwoct-cost: no convolution became an octave layer; the reasons are listed\n"
    assert "it was chosen to stay plain" in result.out


@pytest.mark.parametrize("paths", ["all", "LL", "HH,LH"])
def test_bottlenecks_that_no_layer_gets_are_mentioned(paths: str, nets: Path, pwoct_cost: Run) -> None:
    """`one` is the first octave layer of its chain, `groups` has groups, and `last` is 1x1."""
    asked = ("convert", f"{nets}:Small", "--alpha", "1/4", "--input", "1,3,8,8")
    rule = "bottlenecks replace only dense kxk convolutions between octave layers"
    told = pwoct_cost(*asked, "--paths", paths)
    assert (told.code, told.err) == (0, f"pwoct-cost: --paths {paths} compresses no path: {rule}\n")
    assert pwoct_cost(*asked).err == ""


def test_bottlenecks_that_a_layer_gets_need_no_mention(pwoct_cost: Run) -> None:
    assert pwoct_cost("convert", "resnet8", "--alpha", "1/4", "--paths", "LL").err == ""


@pytest.mark.usefixtures("counters_here")
def test_every_kind_of_layer_is_verified(nets: Path, pwoct_cost: Run) -> None:
    text = f"convert({nets}:Small, alpha=1/4, inputs=(1, 3, 8, 8))"
    result = pwoct_cost("verify", text, "--input", "1,3,9,8")
    assert result.code == 0, result.err
    assert "agree" in result.out
