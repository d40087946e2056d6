import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from pwoct.branches import Octave
from pwoct.channels import PATHS
from pwoct.octave import OctConv
from pwoct.paths import PathSpec
from pwoct.pwise_octave import Bottleneck, PwiseOctConv
from tests.pwoct.test_octave import assert_is_the_reference, octave

ALL = {"paths": PATHS}
CASES = {
    "all paths": ({**ALL, "alpha_in": 0.5, "alpha_out": 0.25}, (5, 7)),
    "all but HH": ({"paths": ("HL", "LH", "LL"), "alpha_in": 0.25, "alpha_out": 0.5}, (4, 6)),
    "LH alone": ({"paths": ("lh",), "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
    "high alone": ({**ALL}, (5, 4)),
    "low alone": ({**ALL, "alpha_in": 1, "alpha_out": 1}, (5, 4)),
    "from low to high": ({**ALL, "alpha_in": 1, "bias": True}, (6, 4)),
    "non-square, dilated": ({**ALL, "kernel_size": (1, 3), "dilation": 2, "alpha_out": 0.5}, (5, 7)),
    "groups": ({**ALL, "groups": 2, "alpha_in": 0.25, "alpha_out": 0.5}, (5, 4)),
    "bias": ({"paths": ("HH", "LL"), "bias": True, "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
    "depthwise": (
        {"paths": ("HH", "LH"), "depthwise": True, "exchange": True, "alpha_in": 0.5, "alpha_out": 0.5},
        (5, 4),
    ),
    "width of the input": ({**ALL, "width_rule": "in", "alpha_in": 0.5, "alpha_out": 0.25}, (5, 4)),
    "bn": ({**ALL, "between": "bn", "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
    "bn and relu": ({**ALL, "between": "bn_relu", "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
} | {
    f"stride {stride} {rule}": (
        {**ALL, "stride": stride, "stride_rule": rule, "alpha_in": 0.5, "alpha_out": 0.25},
        (5, 8),
    )
    for rule, stride in (("A", 2), ("B", 2), ("C", 2), ("C", 3))
}
OPTIONS_OF_THE_REFERENCE = ("stride", "stride_rule", "dilation", "groups", "depthwise", "between")


@pytest.mark.parametrize(("options", "size"), CASES.values(), ids=CASES.keys())
def test_is_the_reference(options, size):
    torch.manual_seed(0)
    layer = PwiseOctConv(8, 8, **options).double().eval()
    for buffer in layer.buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.5, 1.5)  # running statistics that are not 0 and 1
    known = {key: value for key, value in options.items() if key in OPTIONS_OF_THE_REFERENCE}
    assert_is_the_reference(layer, octave(layer, *size), **known)


def test_gradcheck():
    torch.manual_seed(0)
    layer = PwiseOctConv(4, 4, 3, **ALL, alpha_in=0.5, alpha_out=0.5, between="bn_relu").double()
    assert torch.autograd.gradcheck(
        lambda high, low: tuple(layer(Octave(high, low))), tuple(octave(layer, 3, 4))
    )


def test_no_path_is_an_octave_convolution():
    layer = PwiseOctConv(8, 8, alpha_in=0.5, alpha_out=0.5, paths=())
    plain = OctConv(8, 8, alpha_in=0.5, alpha_out=0.5)
    plain.load_state_dict(layer.state_dict())
    x = Octave(torch.randn(2, 4, 5, 5), torch.randn(2, 4, 3, 3))
    assert all(torch.equal(a, b) for a, b in zip(layer(x), plain(x), strict=True))


def test_a_linear_bottleneck_is_one_convolution():
    layer = PwiseOctConv(6, 8, 3, paths=("HH",), beta=4).double()
    path = layer.hh
    merged = torch.einsum(
        "om,mnab,nc->ocab", path.expand.weight[..., 0, 0], path.spatial.weight, path.reduce.weight[..., 0, 0]
    )
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(x).high, conv2d(x, merged, padding=1), rtol=0, atol=1e-12)
    assert torch.linalg.matrix_rank(merged.flatten(1)) <= 2  # m = 8/4


@pytest.mark.parametrize("path", PATHS)
def test_only_the_chosen_path_is_a_bottleneck(path):
    layer = PwiseOctConv(16, 16, alpha_in=0.25, alpha_out=0.25, paths=[path.lower()])
    kinds = {name.upper(): type(module) for name, module in layer.named_children()}
    assert kinds == {name: Bottleneck if name == path else nn.Conv2d for name in PATHS}


def test_parameters_of_the_formula():
    # eq. (14): c m + k^2 m^2 + m f a path; here m = f/2, alpha = 1/4 of 16 channels
    layer = PwiseOctConv(16, 16, 3, alpha_in=0.25, alpha_out=0.25, paths=PATHS, beta=2)
    expected = {
        "hh": 12 * 6 + 9 * 6 * 6 + 6 * 12,
        "hl": 12 * 2 + 9 * 2 * 2 + 2 * 4,
        "lh": 4 * 6 + 9 * 6 * 6 + 6 * 12,
        "ll": 4 * 2 + 9 * 2 * 2 + 2 * 4,
    }
    assert {
        name: sum(p.numel() for p in path.parameters()) for name, path in layer.named_children()
    } == expected


@pytest.mark.parametrize(
    ("rule", "hidden"),
    [("out", (6, 2, 6, 2)), ("in", (6, 6, 2, 2)), ("min", (6, 2, 2, 2)), ("mean", (6, 4, 4, 2))],
)
def test_widths(rule, hidden):
    layer = PwiseOctConv(16, 16, alpha_in=0.25, alpha_out=0.25, paths=PATHS, width_rule=rule)
    assert tuple(path.spatial.in_channels for path in layer.children()) == hidden


def test_the_stride_is_on_the_first_convolution():
    path = PwiseOctConv(8, 8, paths=("HH",), stride=2).hh
    assert (path.reduce.stride, path.spatial.stride, path.expand.stride) == ((2, 2), (1, 1), (1, 1))


def test_the_bias_is_on_the_last_convolution():
    layer = PwiseOctConv(8, 8, alpha_in=0.5, alpha_out=0.5, paths=PATHS, bias=True)
    names = {name for name, _ in layer.named_parameters() if name.endswith("bias")}
    assert names == {"hh.expand.bias", "ll.expand.bias"}


@pytest.mark.parametrize(
    ("between", "steps"),
    [
        ("none", ["reduce", "spatial", "expand"]),
        ("bn", ["reduce", "spatial", "expand", "reduce_bn", "spatial_bn"]),
        ("bn_relu", ["reduce", "spatial", "expand", "reduce_bn", "spatial_bn"]),
    ],
)
def test_children_of_a_bottleneck(between, steps):
    path = PwiseOctConv(8, 8, paths=("HH",), between=between).hh
    assert [name for name, _ in path.named_children()] == steps


def test_groups_divide_the_width_of_a_bottleneck():
    path = PwiseOctConv(8, 8, paths=("HH",), beta="8/3", groups=3).hh  # 3 divides m = 3, but not 8
    assert path.spatial.weight.shape == (3, 1, 3, 3)
    assert path.reduce.weight.shape == (3, 8, 1, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beta": 0.5}, "beta must be at least 1, got 0.5"),
        ({"beta": 9}, "beta must be at most the layer's output channels, got beta = 9 and 8"),
        ({"paths": ["HH", "XX"]}, "paths must be among HH, HL, LH, LL, got 'XX'"),
        ({"width_rule": "max"}, "width_rule must be one of out, in, min, mean, got 'max'"),
        ({"between": "relu"}, "between must be one of none, bn, bn_relu, got 'relu'"),
        ({"groups": 3}, "groups must divide .*, got 3 and 4 -> 4 channels on path HH"),
        ({"alpha_in": 2}, r"alpha_in must be in \[0, 1\], got 2"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        PwiseOctConv(8, 8, **({"paths": ("HH",)} | options))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_in_channels_last(dtype):
    layer = PwiseOctConv(16, 16, alpha_in=0.5, alpha_out=0.5, paths=PATHS, between="bn").eval()
    x = Octave(torch.randn(2, 8, 5, 7), torch.randn(2, 8, 3, 4))
    expected = layer(x)
    low = copy.deepcopy(layer).to(dtype, memory_format=torch.channels_last)
    y = low(Octave(*(t.to(dtype, memory_format=torch.channels_last) for t in x)))
    for a, b in zip(y, expected, strict=True):
        assert a.dtype == dtype
        assert a.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(a.float(), b, rtol=0, atol=16 * torch.finfo(dtype).eps)


def test_state_dict_round_trip():
    options = {"alpha_in": 0.5, "alpha_out": 0.25, "paths": ("HL", "LL"), "between": "bn"}
    layer, twin = (PwiseOctConv(8, 8, **options).eval() for _ in range(2))
    twin.load_state_dict(layer.state_dict())
    x = Octave(torch.randn(2, 4, 5, 5), torch.randn(2, 4, 3, 3))
    assert all(torch.equal(a, b) for a, b in zip(layer(x), twin(x), strict=True))


def test_repr_says_what_is_compressed():
    assert "paths='HL,LH', beta=5/2" in repr(PwiseOctConv(8, 8, paths=("lh", "hl"), beta=2.5))


def test_beta_may_be_all_output_channels():
    assert PwiseOctConv(8, 8, paths=("HH",), beta=8).hh.reduce.out_channels == 1


def test_wrong_words_are_refused_where_no_path_needs_them():
    for options in ({"width_rule": "max"}, {"between": "relu"}):
        with pytest.raises(ValueError, match="must be one of"):
            PwiseOctConv(8, 8, paths=(), **options)
    path = PathSpec("HH", 4, 4, (3, 3), stride=1, dilation=1, groups=1, depthwise=False, bias=False)
    with pytest.raises(ValueError, match="between must be one of none, bn, bn_relu, got 'relu'"):
        Bottleneck(path, 2, "relu")


def test_depthwise_may_exchange():
    options = {"alpha_in": 0.5, "alpha_out": 0.5, "paths": ("HH",), "depthwise": True}
    assert [name for name, _ in PwiseOctConv(8, 8, **options).named_children()] == ["hh", "ll"]
    exchanging = PwiseOctConv(8, 8, exchange=True, **options)
    assert [name for name, _ in exchanging.named_children()] == ["hh", "hl", "lh", "ll"]


@pytest.mark.parametrize("paths", [None, 5, [["HH"]], [None], ["HH", 2]])
def test_what_are_no_paths(paths):
    with pytest.raises(ValueError, match=r"^paths must be among HH, HL, LH, LL"):
        PwiseOctConv(8, 8, paths=paths)


@pytest.mark.parametrize("c_out", [None, "x", 8.5])
def test_channels_that_are_none(c_out):
    with pytest.raises(ValueError, match=f"^c_out must be an integer of at least 1, got {c_out!r}$"):
        PwiseOctConv(8, c_out, paths="all")


def test_numbers_of_numpy():
    layer = PwiseOctConv(
        np.int64(8), np.int64(8), paths="all", beta=np.float32(2.5), alpha_in=np.float16(0.5)
    )
    assert repr(layer) == repr(PwiseOctConv(8, 8, paths="all", beta=2.5, alpha_in=0.5))
    with pytest.raises(ValueError, match=r"at most the layer.s output channels, got beta = 9 and 8$"):
        PwiseOctConv(8, np.int64(8), paths="HH", beta=np.int64(9))
