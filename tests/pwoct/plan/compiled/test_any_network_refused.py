"""What the plan "native" does not compute is refused by the names of the operator and of the module."""

import pytest
import torch
from torch import nn
from torch.nn import functional as f

import pwoct
from pwoct.plan import why_not, with_plan
from tests.pwoct.conversion.networks import Net
from tests.pwoct.networks import needs_compiler

pytestmark = [needs_compiler, pytest.mark.usefixtures("one_thread")]

SIZE = (9, 11)


class Joins(nn.Module):
    """What joins the images of a batch, in different ways."""

    def __init__(self, how):
        super().__init__()
        self.how, self.conv = how, nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.how(self.conv(x))


def written(x):
    x[:, :2] += 1
    return x


REFUSED = {
    "batch": (lambda x: f.relu(x + x.flip(0)), "it joins different images of a batch"),
    "first image": (lambda x: x + x[:1], "it joins different images of a batch"),
    "batch statistics": (
        lambda x: f.batch_norm(x, None, None, training=True),
        "by the statistics of the batch",
    ),
    "softmax": (lambda x: x.softmax(1), "the operator _softmax of a feature map"),
    "control flow": (lambda x: x if x.sum() > 0 else -x, "sum or maximum over dimensions"),
    "group norm": (lambda x: f.group_norm(x, 2), "the operator native_group_norm of a feature map"),
    "written": (written, "writing to a part or a view of a feature map"),
    "strides": (lambda x: f.max_pool2d(x, 2, (1, 2)), "a stride that differs by direction"),
    "positions": (lambda x: x + torch.arange(7.0), "numbers that differ by pixel beside a feature map"),
    "two outputs": (lambda x: (x, x), "an output that is not one tensor of all images: tuple"),
    "transposed": (
        lambda x: f.conv_transpose2d(x, torch.ones(4, 1, 2, 2)),
        "a convolution that is transposed or not in two dimensions",
    ),
    "own error": (lambda x: x.nothing, "does not run on images of 3x9x9: AttributeError"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_by_name(name):
    how, message = REFUSED[name]
    model = nn.Sequential()
    model.add_module("part", Joins(how))
    reason = why_not("native", model, size=(9, 9))
    assert reason is not None
    assert reason.startswith("the network" if name == "two outputs" else "part ")
    assert message in reason
    with pytest.raises(
        ValueError, match=r'"native" does not compute this network: \w.* use the plan "reference"'
    ):
        with_plan(model, "native", size=(9, 9))


class Alternates(nn.Module):
    """What differs by the number of images, or from pass to pass."""

    def __init__(self, by):
        super().__init__()
        self.by, self.passes, self.conv = by, 0, nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, x):
        self.passes += 1
        is_other = len(x) == 1 if self.by == "images" else self.passes % 2
        return self.conv(x).mean((2, 3)) * (3 if is_other else 1)


@pytest.mark.parametrize("by", ["images", "passes"])
def test_a_network_that_does_not_always_compute_the_same(by):
    reason = why_not("native", Alternates(by), size=(8, 8))
    assert reason == "the network does not compute the same for any number of images, or in every pass"


def test_a_network_that_is_not_a_number_is_the_same_every_time():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    nn.init.constant_(plain[0].weight, float("nan"))
    assert why_not("native", plain, size=(8, 8)) is None


def test_hooks_are_refused():
    model = pwoct.convert(Net(), alpha="1/2", inputs=(1, 3, *SIZE))
    assert why_not("native", model, size=SIZE) is None
    model.bn.register_forward_hook(lambda *_: None)
    assert why_not("native", model, size=SIZE) == "bn has hooks or its own forward"
    with pytest.raises(ValueError, match='bn has hooks or its own forward; use the plan "lean"'):
        with_plan(model, "native", size=SIZE)
