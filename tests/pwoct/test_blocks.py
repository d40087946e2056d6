import pytest
import torch
from torch import nn

from pwoct.blocks import BasicBlock, OctBlock
from pwoct.branches import Octave, pool
from pwoct.octave import OctConv
from pwoct.resnet import resnet


def test_a_block_takes_any_convolution():
    block = BasicBlock(*(nn.Identity() for _ in range(4)))
    x = torch.tensor([-1.0, 2.0])
    assert block(x).tolist() == [0, 4]  # relu(x) + x, and its relu
    shortcut = BasicBlock(*(nn.Identity() for _ in range(4)), shortcut=nn.Threshold(5, 1))
    assert shortcut(x).tolist() == [1, 3]


def test_first_block_splits_its_input():
    # with zero weights the block returns relu of its shortcut
    block = resnet(14, alpha=0.25).eval().stages[0][0]
    zero(block)
    x = torch.randn(2, 16, 7, 7)
    y = block(x)
    assert torch.equal(y.high, x[:, :12].relu())
    assert torch.equal(y.low, pool(x[:, 12:]).relu())


def test_last_block_concatenates():
    block = resnet(14, alpha=0.25).eval().stages[2][1]
    zero(block)
    x = Octave(torch.randn(2, 48, 5, 5), torch.randn(2, 16, 3, 3))
    y = block(x)
    assert y.low is None
    up = x.low.repeat_interleave(2, 2).repeat_interleave(2, 3)[..., :5, :5]
    assert torch.equal(y.high, torch.cat((x.high, up), 1).relu())


def test_octave_block_without_low_is_the_basic_block():
    plain = resnet(8, width=4).stages[1][0].eval()
    layers = {
        "conv1": OctConv(4, 8, stride=2),
        "conv2": OctConv(8, 8),
        "shortcut": OctConv(4, 8, 1, stride=2),
    }
    norms = resnet(8, width=4, paths=("HH",)).stages[1][0]
    block = OctBlock(layers["conv1"], norms.bn1, layers["conv2"], norms.bn2, layers["shortcut"]).eval()
    block.load_state_dict(
        {
            key.replace("weight", "hh.weight")
            if key.split(".")[0] in layers
            else key.replace(".", ".high."): v
            for key, v in plain.state_dict().items()
        }
    )
    x = torch.randn(2, 4, 9, 9)
    assert torch.equal(block(x).high, plain(x))


def zero(block):
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)


@pytest.mark.parametrize("size", [(9, 12), (10, 11)])
def test_a_row_of_blocks_keeps_the_size_where_only_low_branches_come_in(size):
    """The second stage has no high branch; the third one halves the size of the images that it is told."""
    model = resnet(14, alpha=(0.5, 1, 0.5), width=4).eval()
    second, third = model.stages[1], model.stages[2]
    assert (second.stride, third.stride, model.stages.stride) == (2, 2, 4)
    halved = tuple(-(-side // 2) for side in size)
    low = second(Octave(torch.randn(1, 2, *size), torch.randn(1, 2, *halved)), None)
    assert low.high is None
    high = third[0](low, halved).high
    assert high.shape[2:] == tuple(-(-side // 2) for side in halved)
