"""What layers and networks are given: pairs, NumPy's numbers, and what is refused in one line."""

import numpy as np
import pytest
import torch

from pwoct.branches import Octave, OctBatchNorm2d
from pwoct.octave import OctConv
from pwoct.resnet import build, resnet


def test_a_pair_is_a_high_and_a_low_branch():
    layer = OctConv(16, 16, alpha_in=0.25, alpha_out=0.25)
    x = Octave(torch.randn(1, 12, 8, 8), torch.randn(1, 4, 4, 4))
    for pair in (tuple(x), list(x)):
        assert all(torch.equal(a, b) for a, b in zip(layer(pair), layer(x), strict=True))
    plain = OctConv(16, 16)
    images = torch.randn(1, 16, 8, 8)
    assert torch.equal(plain((images, None)).high, plain(images).high)
    with pytest.raises(ValueError, match="with alpha_in = 1/4 needs a low branch, got none"):
        layer((x.high, None))


IMAGES = torch.zeros(1, 8, 4, 4)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ("text", "str"),
        (None, "NoneType"),
        (IMAGES.numpy(), "ndarray"),
        (5, "int"),
        ((), r"tuple of \(\)"),
        ((IMAGES,) * 3, r"tuple of \(Tensor, Tensor, Tensor\)"),
        ([IMAGES, 3], r"list of \(Tensor, int\)"),
        ((IMAGES.numpy(), None), r"tuple of \(ndarray, NoneType\)"),
    ],
)
@pytest.mark.parametrize("alpha", [0, 0.5])
def test_what_is_no_feature_map(x, told, alpha):
    needed = r"^a feature map must be a tensor or a pair of tensors \(high, low\), got "
    for layer in (OctConv(8, 8, alpha_in=alpha), OctBatchNorm2d(8, alpha)):
        with pytest.raises(ValueError, match=f"{needed}{told}$"):
            layer(x)


@pytest.mark.parametrize(
    ("options", "x"),
    [
        ({"alpha_out": 0.5}, torch.zeros(8, 4, 4)),
        ({}, torch.zeros(8, 4, 4)),
        ({"alpha_in": 1}, (None, torch.zeros(8, 4, 4))),
        ({"alpha_in": 0.5}, (torch.zeros(4, 4, 4), torch.zeros(4, 2, 2))),
        ({"alpha_in": 0.5}, (torch.zeros(1, 4, 4, 4), torch.zeros(4, 2, 2))),
    ],
)
def test_images_without_a_batch_are_refused(options, x):
    needed = r"^a feature map must be a batch \(n, c, h, w\), got shape "
    with pytest.raises(ValueError, match=needed + r"\([48], \d, \d\): x\[None\] is a batch of one image$"):
        OctConv(8, 8, **options)(x)


def test_a_map_without_rows_is_refused():
    with pytest.raises(ValueError, match=r"must be a batch \(n, c, h, w\), got shape \(2, 8\)$"):
        OctConv(8, 8)(torch.zeros(2, 8))


def test_sizes_of_numpy_are_stored_as_integers():
    numbers = {"stride": np.int64(2), "dilation": np.uint8(1), "groups": np.int32(2)}
    layer = OctConv(np.int64(16), np.int32(32), np.int64(3), alpha_in=np.float32(0.25), **numbers)
    twin = OctConv(16, 32, 3, alpha_in=0.25, stride=2, dilation=1, groups=2)
    assert repr(layer) == repr(twin)
    kept = (layer.c_in, layer.c_out, *layer.kernel_size, layer.stride, layer.dilation, layer.groups)
    assert {*map(type, kept)} == {int}
    assert OctConv(4, 4, (np.int64(3), np.uint8(5))).kernel_size == (3, 5)


@pytest.mark.parametrize("kernel_size", [True, (True, 3), np.int64(4), None, np.array([3, 3]), "3"], ids=repr)
def test_what_is_no_kernel_size(kernel_size):
    with pytest.raises(ValueError, match=r"^kernel_size must be an odd integer or a pair of them, got "):
        OctConv(8, 8, kernel_size)


@pytest.mark.parametrize("name", ["c_in", "c_out", "stride", "dilation", "groups"])
def test_a_truth_value_is_no_size(name):
    with pytest.raises(ValueError, match=f"^{name} must be an integer of at least 1, got True$"):
        OctConv(**{"c_in": 8, "c_out": 8, name: True})


def test_torch_fx_follows_a_layer():
    layer = OctConv(4, 4, alpha_out=0.5)
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(torch.fx.symbolic_trace(layer)(x).low, layer(x).low)


@pytest.mark.parametrize("paths", [None, 5])
def test_what_are_no_paths(paths):
    with pytest.raises(
        ValueError, match=f"^paths must be among HH, HL, LH, LL, or all or none, got {paths}$"
    ):
        build("resnet8", paths=paths)


def test_sizes_of_numpy():
    sizes = {"width": np.int64(4), "classes": np.int32(5), "in_channels": np.uint8(1)}
    model = resnet(np.int64(8), alpha=np.float32(0.25), **sizes)
    assert repr(model) == repr(resnet(8, alpha=0.25, width=4, classes=5, in_channels=1))
    assert type(model.width) is int
