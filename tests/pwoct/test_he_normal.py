import pytest
import torch
from torch import nn

from pwoct.resnet import resnet


def test_variance_of_a_plain_convolution():
    weight = resnet(8, width=64).stages[1][0].conv2.weight
    assert weight.var().item() == pytest.approx(2 / (9 * 128), rel=0.02)


def test_octave_paths_are_drawn_like_the_one_convolution():
    layer = resnet(8, width=64, alpha=0.25).stages[1][0].conv2
    for path in layer.children():
        assert path.weight.var().item() == pytest.approx(2 / (9 * 128), rel=0.05)


@pytest.mark.parametrize(("between", "gain"), [("none", 1), ("bn", 1), ("bn_relu", 2)])
def test_bottleneck(between, gain):
    path = resnet(8, width=128, paths=("HH",), between=between).stages[1][0].conv2.hh
    assert path.reduce.weight.var().item() == pytest.approx(gain / 128, rel=0.05)
    assert path.spatial.weight.var().item() == pytest.approx(gain / (9 * 128), rel=0.05)
    assert path.expand.weight.var().item() == pytest.approx(2 / 256, rel=0.05)


def test_nothing_is_drawn_without_memory(monkeypatch):
    def draw(weight, **_):
        raise AssertionError(f"drew {tuple(weight.shape)} on {weight.device}")

    monkeypatch.setattr(nn.init, "kaiming_normal_", draw)
    with torch.device("meta"):
        model = resnet(8, alpha="1/4", paths="all", between="bn")
    assert all(parameter.is_meta for parameter in model.parameters())
    with pytest.raises(AssertionError, match="on cpu"):
        resnet(8)
