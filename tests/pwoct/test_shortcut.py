"""Shortcuts without parameters: every second pixel, and zeros for new channels."""

import pytest
import torch

from pwoct.blocks import OctBlock
from pwoct.branches import Octave
from pwoct.channels import Split
from pwoct.plan import why_not, with_plan
from pwoct.resnet import resnet
from pwoct.shortcut import ZeroPadShortcut, check_shortcut
from tests.pwoct.networks import images, needs_compiler, network, relative_error, step


def test_every_second_pixel_and_zeros():
    x = torch.arange(1.0, 7).view(1, 1, 2, 3)
    y = ZeroPadShortcut(Split(1, 0), Split(3, 0), 2)(x)
    assert y.tolist() == [[[[1.0, 3.0]], [[0.0, 0.0]], [[0.0, 0.0]]]]


def test_each_branch_for_itself():
    high, low = torch.rand(2, 2, 5, 5), torch.rand(2, 1, 3, 3)
    y = ZeroPadShortcut(Split(2, 1), Split(4, 1), 2)(Octave(high, low))
    assert torch.equal(y.high[:, :2], high[..., ::2, ::2])
    assert not y.high[:, 2:].any()
    assert torch.equal(y.low, low[..., ::2, ::2])


def test_resnet_20_has_the_parameters_of_its_paper():
    """He et al. (2016), table 6: 0.27 M; counted with option A, 269,722."""
    assert sum(p.numel() for p in resnet(20, shortcut="A").parameters()) == 269_722
    assert sum(p.numel() for p in resnet(110, shortcut="A").parameters()) == 1_727_962


def test_a_stage_change_adds_what_was_kept():
    model = network({"alpha": "1/2", "shortcut": "A"}).double().eval()
    block = model.stages[1][0]
    assert isinstance(block, OctBlock)
    torch.nn.init.zeros_(block.bn2.high.weight)
    torch.nn.init.zeros_(block.bn2.high.bias)
    torch.nn.init.zeros_(block.bn2.low.weight)
    torch.nn.init.zeros_(block.bn2.low.bias)
    block.bn2.high.running_mean.zero_()
    block.bn2.low.running_mean.zero_()
    x = Octave(torch.rand(1, 4, 8, 8).double(), torch.rand(1, 4, 4, 4).double())
    y = block(x)
    assert torch.equal(y.high[:, :4], x.high[..., ::2, ::2])
    assert torch.equal(y.low[:, :4], x.low[..., ::2, ::2])
    assert not y.high[:, 4:].any()


@needs_compiler
def test_a_changed_shortcut_is_recorded_anew():
    model = network({"shortcut": "A"}).double().train()
    blocked = with_plan(model, "blocked")
    x = images((16, 16), 8)
    step(blocked, x)
    model.stages[1][0].shortcut = ZeroPadShortcut(Split(8, 0), Split(16, 0), 2)
    model.stages[1][0].shortcut.stride, model.stages[1][0].conv1.stride = 1, (1, 1)
    model.zero_grad()
    expected = step(model, x)
    model.zero_grad()
    assert all(relative_error(a, b) < 1e-9 for a, b in zip(step(blocked, x)[:1], expected[:1], strict=True))


def test_a_stride_that_is_no_pair_is_refused_in_one_line():
    model = network({"shortcut": "A"})
    model.stages[1][0].conv1.stride = 1
    assert "stages.1.0.conv1: execution plans need convolutions" in why_not("folded", model)


def test_which_shortcuts_there_are():
    check_shortcut("A", "C")
    for rule in ("A", "B"):
        check_shortcut("B", rule)
        with pytest.raises(ValueError, match=f"needs stride rule C, got {rule}"):
            check_shortcut("A", rule)
    with pytest.raises(ValueError, match="shortcut must be one of A, B, got 'C'"):
        check_shortcut("C", "C")


@pytest.mark.parametrize("split", [Split(2, 2), Split(4, 0), Split(3, 2)])
def test_a_branch_that_loses_channels_is_refused(split):
    """From 4 and 1 channels; the same for a branch that appears."""
    with pytest.raises(ValueError, match="shortcut A keeps all channels of a branch"):
        ZeroPadShortcut(Split(4, 1), split, 2)
    with pytest.raises(ValueError, match=r"the low branch has 0 channels before .* and 1 after it"):
        ZeroPadShortcut(Split(4, 0), Split(4, 1), 2)


def test_repr_names_channels_and_stride():
    assert repr(ZeroPadShortcut(Split(2, 1), Split(4, 1), 2)) == "ZeroPadShortcut((2, 1), (4, 1), stride=2)"
