from dataclasses import replace

import pytest
import torch
from torch import nn

from pwoct.paths import DepthwiseConv2d, PathSpec, conv_path, spatial_conv

PATH = PathSpec("HL", 4, 8, (3, 5), stride=2, dilation=3, groups=2, depthwise=False, bias=True)


def test_output_size_is_the_size_over_the_stride_rounded_up():
    assert conv_path(PATH)(torch.zeros(1, 4, 7, 8)).shape == (1, 8, 4, 4)


def test_every_option_reaches_the_convolution():
    conv = spatial_conv(PATH)
    assert conv.weight.shape == (8, 4 // 2, 3, 5)
    assert (conv.stride, conv.padding, conv.dilation, conv.groups) == ((2, 2), (3, 6), (3, 3), 2)
    assert conv.bias is not None
    assert spatial_conv(replace(PATH, bias=False)).bias is None


def test_depthwise_is_torchs_grouped_convolution():
    conv = spatial_conv(replace(PATH, depthwise=True, groups=1))
    twin = nn.Conv2d(4, 8, (3, 5), 2, (3, 6), 3, groups=4)
    twin.load_state_dict(conv.state_dict())
    x = torch.randn(2, 4, 9, 9)
    assert isinstance(conv, DepthwiseConv2d)
    assert torch.equal(conv(x), twin(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": 3}, "groups must divide .*, got 3 and 4 -> 8 channels on path HL"),
        ({"c_out": 7}, "groups must divide .*, got 2 and 4 -> 7 channels on path HL"),
        (
            {"c_out": 6, "depthwise": True, "groups": 1},
            "a multiple of the input's, got 4 -> 6 channels on path HL",
        ),
    ],
)
def test_channels_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        conv_path(replace(PATH, **change))
