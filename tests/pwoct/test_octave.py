import copy
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.func import functional_call

from pwoct.branches import Octave
from pwoct.octave import OctConv
from tests.pwoct import reference

# layer options, and the size of the high branch
CASES = {
    "the usual layer": ({"alpha_in": 0.25, "alpha_out": 0.5}, (4, 6)),
    "odd sizes": ({"alpha_in": 0.5, "alpha_out": 0.25}, (5, 7)),
    "one pixel": ({"alpha_in": 0.5, "alpha_out": 0.5}, (1, 1)),
    "from high alone": ({"alpha_out": 0.5}, (5, 4)),
    "to high alone": ({"alpha_in": 0.5}, (4, 5)),
    "high alone": ({}, (5, 5)),
    "low alone": ({"alpha_in": 1, "alpha_out": 1}, (5, 6)),
    "from high to low": ({"alpha_in": 0, "alpha_out": 1}, (5, 6)),
    "from low to high": ({"alpha_in": 1, "alpha_out": 0}, (6, 4)),
    "from low": ({"alpha_in": 1, "alpha_out": 0.5}, (6, 4)),
    "to low": ({"alpha_in": 0.5, "alpha_out": 1}, (5, 4)),
    "1x1": ({"kernel_size": 1, "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
    "non-square kernel": ({"kernel_size": (1, 5), "alpha_in": 0.5, "alpha_out": 0.5}, (5, 7)),
    "dilation": ({"dilation": 2, "alpha_in": 0.5, "alpha_out": 0.5}, (7, 6)),
    "groups": ({"groups": 2, "alpha_in": 0.5, "alpha_out": 0.25}, (5, 4)),
    "bias": ({"bias": True, "alpha_in": 0.5, "alpha_out": 0.25}, (5, 4)),
    "bias from low": ({"bias": True, "alpha_in": 1, "alpha_out": 0.25}, (6, 4)),
    "bias from high": ({"bias": True, "alpha_out": 0.25}, (5, 4)),
    "depthwise": ({"depthwise": True, "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
    "depthwise exchange": ({"depthwise": True, "exchange": True, "alpha_in": 0.5, "alpha_out": 0.5}, (5, 4)),
}
STRIDED = {
    f"stride {stride} {rule} {size}": (
        {"stride": stride, "stride_rule": rule, "alpha_in": 0.5, "alpha_out": 0.25},
        size,
    )
    for rule, strides in (("A", (1, 2)), ("B", (2, 3)), ("C", (2, 3)))
    for stride in strides
    for size in ((8, 4), (5, 7), (6, 9))
}
ENDS = {
    f"{rule} {alpha_in} {alpha_out}": (
        {"stride": 2, "stride_rule": rule, "alpha_in": alpha_in, "alpha_out": alpha_out, "bias": True},
        (5, 6),
    )
    for rule in "ABC"
    for alpha_in in (0, 0.5, 1)
    for alpha_out in (0, 0.5, 1)
}
ALL_CASES = CASES | STRIDED | ENDS
OPTIONS_OF_THE_REFERENCE = ("stride", "stride_rule", "dilation", "groups", "depthwise")


def octave(layer, h, w, *, seed=0, n=2):
    """A random input of `layer`, in float64."""
    random = torch.Generator().manual_seed(seed)
    sizes = ((h, w), ((h + 1) // 2, (w + 1) // 2))
    return Octave(
        *(
            torch.randn(n, c, *size, dtype=torch.float64, generator=random).requires_grad_() if c else None
            for c, size in zip(layer.split_in, sizes, strict=True)
        )
    )


def tensors(*values):
    return [value for value in values if value is not None]


def assert_is_the_reference(layer, x, **options):
    """Compare outputs, and the gradients of inputs and parameters under random weights."""
    torch.manual_seed(1)
    got = tensors(*layer(x))
    expected = tensors(*reference.octave(*x, dict(layer.state_dict(keep_vars=True)), **options))
    assert [y.shape for y in got] == [y.shape for y in expected]
    inputs = [*tensors(*x), *layer.parameters()]
    cotangents = [torch.randn_like(y) for y in expected]
    results = [torch.autograd.grad(ys, inputs, cotangents) for ys in (got, expected)]
    for a, b in zip([*got, *results[0]], [*expected, *results[1]], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("options", "size"), ALL_CASES.values(), ids=ALL_CASES.keys())
def test_is_the_reference(options, size):
    torch.manual_seed(0)
    layer = OctConv(8, 8, **options).double()
    known = {key: value for key, value in options.items() if key in OPTIONS_OF_THE_REFERENCE}
    assert_is_the_reference(layer, octave(layer, *size), **known)


@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_gradcheck(rule):
    layer = OctConv(2, 2, alpha_in=0.5, alpha_out=0.5, stride=2, stride_rule=rule, bias=True).double()
    names = [name for name, _ in layer.named_parameters()]

    def run(high, low, *weights):
        return functional_call(layer, dict(zip(names, weights, strict=True)), (Octave(high, low),))

    assert torch.autograd.gradcheck(run, (*octave(layer, 3, 4, n=1), *layer.parameters()))


def ones(**options):
    layer = OctConv(2, 2, 1, alpha_in=0.5, alpha_out=0.5, **options)
    for parameter in layer.parameters():
        nn.init.ones_(parameter)
    return layer


def test_by_hand():
    high = torch.tensor([[[[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]]])
    low = torch.tensor([[[[10.0, 20], [30, 40]]]])
    y = ones()(Octave(high, low))
    # high + upsampled low, cropped; low + means of 2x2, 2x1, 1x2 and 1x1 pixels
    assert y.high[0, 0].tolist() == [[11, 12, 23], [14, 15, 26], [37, 38, 49]]
    assert y.low[0, 0].tolist() == [[10 + 3, 20 + 4.5], [30 + 7.5, 40 + 9]]


@pytest.mark.parametrize(
    ("rule", "high", "low"),
    [
        # x[0,0] = 1 and x[0,2] = 3, with low 10 above both; low: 10 + mean(1, 2, 5, 6)
        ("C", [[11, 13]], [[10 + 3.5]]),
        # means 3.5 and 5.5 of 2x2 pixels; low 10, 20 -> 15; low: 15 + mean(3.5, 5.5)
        ("B", [[15 + 3.5, 15 + 5.5]], [[15 + 4.5]]),
        ("A", [[10 + 3.5, 20 + 5.5]], [[15 + 4.5]]),
    ],
)
def test_stride_rules_by_hand(rule, high, low):
    x = Octave(torch.tensor([[[[1.0, 2, 3, 4], [5, 6, 7, 8]]]]), torch.tensor([[[[10.0, 20]]]]))
    y = ones(stride=2, stride_rule=rule)(x)
    assert y.high[0, 0].tolist() == high
    assert y.low[0, 0].tolist() == low


def test_alpha_zero_is_the_convolution():
    layer = OctConv(6, 4, (3, 5), stride=2, dilation=(2), groups=2, bias=True)
    plain = nn.Conv2d(6, 4, (3, 5), 2, padding=(2, 4), dilation=2, groups=2)
    plain.load_state_dict({key.removeprefix("hh."): value for key, value in layer.state_dict().items()})
    x = torch.randn(2, 6, 9, 10)
    assert layer(x).low is None
    assert torch.equal(layer(x).high, plain(x))


@pytest.mark.parametrize(
    ("alpha_in", "alpha_out", "paths"),
    [
        (0, 0, {"hh"}),
        (0, 0.5, {"hh", "hl"}),
        (0, 1, {"hl"}),
        (0.5, 0, {"hh", "lh"}),
        (0.5, 0.5, {"hh", "hl", "lh", "ll"}),
        (0.5, 1, {"hl", "ll"}),
        (1, 0, {"lh"}),
        (1, 0.5, {"lh", "ll"}),
        (1, 1, {"ll"}),
        (0.01, 0.5, {"hh", "hl"}),  # floor(0.08) = 0 low channels
    ],
)
def test_paths_and_biases_that_exist(alpha_in, alpha_out, paths):
    layer = OctConv(8, 8, alpha_in=alpha_in, alpha_out=alpha_out, bias=True)
    assert {name for name, _ in layer.named_children()} == paths
    into = {branch: [path for path in sorted(paths) if path[1] == branch] for branch in "hl"}
    own = {branch: branch * 2 if branch * 2 in names else names[0] for branch, names in into.items() if names}
    assert {name for name, path in layer.named_children() if path.bias is not None} == set(own.values())


def test_channels_of_each_path():
    layer = OctConv(10, 20, alpha_in=0.8, alpha_out="1/4")
    shapes = {name: tuple(path.weight.shape) for name, path in layer.named_children()}
    assert shapes == {"hh": (15, 2, 3, 3), "hl": (5, 2, 3, 3), "lh": (15, 8, 3, 3), "ll": (5, 8, 3, 3)}
    assert layer.alpha_in == Fraction(4, 5)


def test_depthwise_has_one_filter_a_channel():
    layer = OctConv(8, 16, alpha_in=0.25, alpha_out=0.25, depthwise=True)
    assert sum(p.numel() for p in layer.parameters()) == 9 * 16
    assert (layer.hl, layer.lh) == (None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha_in": 1.5}, r"alpha_in must be in \[0, 1\], got 1.5"),
        ({"alpha_out": -1}, r"alpha_out must be in \[0, 1\], got -1"),
        ({"c_in": 0}, "c_in must be an integer of at least 1, got 0"),
        ({"c_out": 2.5}, "c_out must be an integer of at least 1, got 2.5"),
        ({"stride": 0}, "stride must be an integer of at least 1, got 0"),
        ({"dilation": 0}, "dilation must be an integer of at least 1, got 0"),
        ({"kernel_size": 4}, "kernel_size must be an odd integer or a pair of them, got 4"),
        ({"kernel_size": (3, 2)}, r"kernel_size must be an odd .*, got \(3, 2\)"),
        ({"kernel_size": (3, 3, 3)}, r"kernel_size must be an odd .*, got \(3, 3, 3\)"),
        ({"kernel_size": 3.0}, "kernel_size must be an odd .*, got 3.0"),
        ({"kernel_size": -1}, "kernel_size must be an odd .*, got -1"),
        ({"stride_rule": "D"}, "stride_rule must be one of A, B, C, got 'D'"),
        ({"stride": 3, "stride_rule": "A"}, "stride_rule 'A' needs stride 1 or 2, got 3"),
        ({"groups": 3}, "groups must divide .*, got 3 and 8 -> 8 channels on path HH"),
        (
            {"groups": 4, "alpha_in": 0.25, "alpha_out": 0.5},
            "groups must divide .*, got 4 and 6 -> 4 channels on path HH",
        ),
        ({"groups": 2, "depthwise": True}, "depthwise .* needs groups = 1, got 2"),
        ({"exchange": True}, "exchange needs depthwise = True"),
        (
            {"c_out": 12, "depthwise": True},
            "depthwise needs output channels that are a multiple .*, got 8 -> 12 channels on path HH",
        ),
        (
            {"depthwise": True, "exchange": True, "alpha_in": 0.25, "alpha_out": 0.25},
            "a multiple of the input's, got 6 -> 2 channels on path HL",
        ),
        (
            {"depthwise": True, "alpha_out": 0.5},
            r"needs the same branches in and out, got \(8, 0\) -> \(4, 4\)",
        ),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        OctConv(**({"c_in": 8, "c_out": 8} | options))


def test_inputs_that_do_not_fit():
    layer = OctConv(8, 8, alpha_in=0.25, alpha_out=0.5)
    high = torch.zeros(2, 6, 4, 4)
    with pytest.raises(ValueError, match="with alpha_in = 1/4 needs a low branch, got none"):
        layer(high)
    with pytest.raises(ValueError, match="with alpha_in = 0 needs no low branch, got one"):
        OctConv(8, 8)(Octave(torch.zeros(2, 8, 4, 4), high))
    for shape in ((2, 2, 1, 1), (2, 2, 2, 3), (2, 2, 4, 4), (1, 2, 2, 2)):
        with pytest.raises(ValueError, match=r"half the size .* got high \(2, 6, 4, 4\) and low \(\d, 2, "):
            layer(Octave(high, torch.zeros(shape)))


def test_deepcopy_and_state_dict():
    layer = OctConv(8, 8, alpha_in=0.5, alpha_out=0.25, bias=True)
    twin = OctConv(8, 8, alpha_in=0.5, alpha_out=0.25, bias=True)
    x = octave(layer, 5, 5)
    x = Octave(x.high.float(), x.low.float())
    twin.load_state_dict(layer.state_dict())
    for other in (twin, copy.deepcopy(layer)):
        assert all(torch.equal(a, b) for a, b in zip(layer(x), other(x), strict=True))
        assert not {p.data_ptr() for p in layer.parameters()} & {p.data_ptr() for p in other.parameters()}


def test_one_channel_is_a_branch():
    """Of 4 channels at alpha 1/4, one is low: it counts as a branch on either side."""
    assert OctConv(4, 4, alpha_in=0.25, alpha_out=0.25, depthwise=True).ll is not None
    assert OctConv(4, 2, alpha_in=0.25, alpha_out=0.5, stride=2).lh is not None


def test_a_high_size_that_does_not_fit_is_refused():
    layer = OctConv(8, 8, alpha_in=1, alpha_out=0.5)
    low = Octave(None, torch.zeros(2, 8, 3, 3))
    assert layer(low, (5, 6)).high.shape == (2, 4, 5, 6)
    with pytest.raises(
        ValueError, match=r"that of LH, doubled, or one less, got \(5, 7\) and LH of \(3, 3\)"
    ):
        layer(low, (5, 7))
