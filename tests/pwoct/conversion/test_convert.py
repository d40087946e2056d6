"""Conversion of any network: what it must keep, and what it must equal."""

from __future__ import annotations

import copy
import re
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as f

import pwoct
from pwoct.conversion import OctaveTensor
from tests.pwoct.conversion.networks import KINDS, Depthwise, Grouped, Net, Shuffle

HW = (10, 13)


def example(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", KINDS)
def test_alpha_0_is_the_original_bit_for_bit(kind: type[Net]) -> None:
    net = kind().eval()
    same = pwoct.convert(net, alpha=0, inputs=(1, 3, *HW))
    assert torch.equal(same(example(2, 3, *HW)), net(example(2, 3, *HW)))
    assert same.state_dict().keys() == net.state_dict().keys()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [0.25, "1/2"])
def test_every_kind_runs_trains_exports_and_copies(kind: type[Net], alpha: Any) -> None:
    net = kind()
    before = copy.deepcopy(net.state_dict())
    made = pwoct.convert(net, alpha=alpha, paths="HL,LH,LL", inputs=(1, 3, *HW))
    assert len(pwoct.conversion_of(made).converted) >= 2
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    for model in (net, made):
        model(example(2, 3, *HW)).square().sum().backward()
    unused = {n for n, p in net.named_parameters() if p.grad is None}
    assert {n for n, p in made.named_parameters() if p.grad is None} == unused
    made.eval()
    x = example(1, 3, *HW)
    for other in (copy.deepcopy(made), torch.export.export(made, (x,)).module()):
        torch.testing.assert_close(other(x), made(x))
    again = pwoct.convert(net, alpha=alpha, paths="HL,LH,LL", inputs=(1, 3, *HW)).eval()
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(x), made(x))
    assert made(example(3, 3, 16, 9)).shape == (3, 5)


def kept(model: nn.Module) -> dict[str, str]:
    return {layer.name: layer.reason for layer in pwoct.conversion_of(model).kept}


def test_names_of_what_is_unchanged_stay() -> None:
    net, made = Net(), pwoct.convert(Net(), alpha="1/4", inputs=(1, 3, 8, 8))
    gone = {"a.weight", "a.bias", "b.weight"}
    new = {"a.hh.weight", "a.hh.bias", "a.hl.weight", "a.hl.bias", "b.hh.weight", "b.lh.weight"}
    assert set(made.state_dict()) == set(net.state_dict()) - gone | new
    assert kept(made) == {"stem": "it is the network's first convolution"}


def test_the_first_octave_layer_has_no_low_input_and_the_last_no_low_output() -> None:
    a, b = (layer.spec for layer in pwoct.conversion_of(pwoct.convert(Net(), alpha="1/4")).converted)
    assert a is not None
    assert b is not None
    assert (len(a.layout_in.low), len(a.layout_out.low)) == (0, 2)
    assert (len(b.layout_in.low), len(b.layout_out.low)) == (2, 0)


def test_a_depthwise_convolution_keeps_hh_and_ll_alone() -> None:
    made = pwoct.convert(Depthwise(), alpha="1/4")
    assert [name for name, _ in made.dw.named_children()] == ["hh", "ll"]
    assert (made.dw.hh.groups, made.dw.ll.weight.shape[0]) == (12, 4)


def test_groups_divide_every_path_or_stay_whole() -> None:
    made = pwoct.convert(Grouped(), alpha="1/4")
    assert [(n, p.groups) for n, p in made.g2.named_children()] == [
        ("hh", 2),
        ("hl", 2),
        ("lh", 2),
        ("ll", 2),
    ]
    assert [(n, p.groups) for n, p in made.g8.named_children()] == [("hh", 3), ("ll", 1)]


def test_a_shuffle_moves_no_channel_to_another_branch() -> None:
    layout = pwoct.convert(Shuffle(), alpha="1/2").last.spec.layout_in
    # a: channels 4 to 7 are low, and so is the whole right half; c1 makes its last two low.
    # Concatenated: 0 to 3 high, then 4, 5 high, 6, 7 low; shuffled, channel c is number 2 (c mod 4) + c // 4.
    assert sorted(layout.high) == [0, 1, 2, 3, 4, 6]
    assert sorted(layout.low) == [5, 7]


def test_what_stays_is_listed_with_its_reason() -> None:
    class Odd(Net):
        def __init__(self) -> None:
            super().__init__()
            self.even, self.valid = nn.Conv2d(8, 8, 2), nn.Conv2d(8, 8, 3)
            self.twice, self.never = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
            self.mirrored = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")

        def body(self, x: Tensor) -> Tensor:
            return super().body(self.twice(self.twice(self.mirrored(self.valid(self.even(x))))))

    assert kept(pwoct.convert(Odd(), alpha=0.5)) == {
        "stem": "it is the network's first convolution",
        "even": "its kernel has an even size: 2x2",
        "valid": "its padding does not keep the size: kernel 3x3, padding (0, 0)",
        "mirrored": "it does not pad with zeros",
        "twice": "it runs more than once",
        "never": "it does not run on this input",
    }


def test_layers_that_share_weights_stay_and_one_under_two_names_is_converted() -> None:
    class Tied(Net):
        def __init__(self) -> None:
            super().__init__()
            self.c = self.also = nn.Conv2d(8, 8, 1)
            self.b.weight = self.a.weight

        def body(self, x: Tensor) -> Tensor:
            return self.also(input=self.c2(super().body(x)))

        def c2(self, x: Tensor) -> Tensor:
            return x

    class Sharing(Tied):
        """Two more layers, so that there is a row of octave layers."""

        def __init__(self) -> None:
            super().__init__()
            self.d = nn.Conv2d(8, 8, 1)

        def c2(self, x: Tensor) -> Tensor:
            return self.d(x)

    made = pwoct.convert(Sharing(), alpha="1/4", inputs=(1, 3, 8, 8))
    tied = "its weight is shared with another layer"
    assert kept(made) == {"stem": "it is the network's first convolution", "a": tied, "b": tied}
    assert made.a.weight is made.b.weight
    assert made.c is made.also
    assert [layer.name for layer in pwoct.conversion_of(made).converted] == ["d", "c"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 1.5}, "alpha must be in [0, 1], got 1.5"),
        ({"paths": "HX"}, "paths must be among HH, HL, LH, LL, got 'HX'"),
        ({"init": "best"}, "init must be one of random, pretrained, got 'best'"),
        ({"layers": {"layer9.*": "plain"}}, "no convolution has a name like 'layer9.*'"),
        ({"layers": {"a": "alfa:1"}}, "layers['a'] must be such as alpha:1/2,beta:4,paths:HL,LH or plain"),
        ({"inputs": (1, 4, 8, 8)}, "Net does not run on 1x4x8x8: RuntimeError: "),
    ],
)
def test_bad_options_are_one_clear_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        pwoct.convert(Net(), **{"alpha": 0.5, **options})
    assert "\n" not in str(error.value)


def constant_over_blocks(channels: int) -> Tensor:
    return example(2, channels, 4, 6).repeat_interleave(2, 2).repeat_interleave(2, 3)


def test_kernels_are_divided_by_channels() -> None:
    """By hand: low channels that are constant over 2x2 blocks lose nothing by pooling."""
    net = nn.Sequential(conv(3, 8), conv(8, 8), conv(8, 8), conv(8, 8))
    made = pwoct.convert(net, alpha="1/4", init="pretrained", inputs=(1, 3, 8, 12))
    layer, w, b = made[2], net[2].weight, net[2].bias
    high, low = example(2, 6, 8, 12), constant_over_blocks(2)
    half, small = f.avg_pool2d(high, 2), low[..., ::2, ::2]
    y = layer(OctaveTensor(high, small, layer.spec.layout_in, (8, 12)))
    wanted_high = f.conv2d(high, w[:6, :6], b[:6], padding=1)
    wanted_high = wanted_high + f.interpolate(
        f.conv2d(low[..., ::2, ::2], w[:6, 6:], padding=1), scale_factor=2
    )
    wanted_low = f.conv2d(half, w[6:, :6], padding=1) + f.conv2d(
        low[..., ::2, ::2], w[6:, 6:], b[6:], padding=1
    )
    torch.testing.assert_close(y.high, wanted_high)
    torch.testing.assert_close(y.low, wanted_low)


def conv(c_in: int, c_out: int, k: int = 3) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, padding=k // 2)


def test_a_1x1_network_whose_maps_are_constant_over_blocks_is_carried_over_exactly() -> None:
    net = nn.Sequential(conv(3, 8, 1), conv(8, 8, 1), nn.ReLU(), conv(8, 8, 1), conv(8, 4, 1))
    made = pwoct.convert(net, alpha="1/2", init="pretrained", inputs=(1, 3, 8, 8))
    x = constant_over_blocks(3)
    assert len(pwoct.conversion_of(made).converted) == 3
    torch.testing.assert_close(made(x), net(x))


@pytest.fixture(scope="module")
def chain() -> nn.Module:
    """Stem, first, two that may be compressed, last."""
    torch.manual_seed(0)
    return nn.Sequential(*(conv(8, 8) for _ in range(5)))


def carried_over(chain: nn.Module, beta: int) -> nn.Module:
    return pwoct.convert(chain, beta=beta, paths="HH", init="pretrained", inputs=(1, 8, 9, 9))


def test_a_bottleneck_of_full_rank_is_the_same_map(chain: nn.Module) -> None:
    made = carried_over(chain, beta=1)
    lost = [layer.carried.lost["HH"] for layer in pwoct.conversion_of(made).converted if layer.carried]
    assert len(lost) == 2
    assert max(lost) < 1e-6
    x = example(2, 8, 9, 9)
    torch.testing.assert_close(made(x), chain(x), atol=1e-5, rtol=1e-4)


def test_the_lost_norm_is_that_of_the_difference(chain: nn.Module) -> None:
    layer = pwoct.conversion_of(made := carried_over(chain, beta=2)).converted[0]
    path, kernel = made.get_submodule(layer.name).hh, chain.get_submodule(layer.name).weight.detach()
    parts = (path.expand.weight[..., 0, 0], path.spatial.weight, path.reduce.weight[..., 0, 0])
    composed = torch.einsum("om,mnkl,ni->oikl", *parts).detach()
    share = float((kernel - composed).square().sum() / kernel.square().sum())
    assert layer.carried is not None
    assert 0.05 < share < 0.9
    assert layer.carried.lost["HH"] == pytest.approx(share, rel=1e-4)


def test_layouts_name_the_channels() -> None:
    spec = pwoct.convert(Net(10), alpha=Fraction(1, 3)).a.spec  # 10/3 low channels: 3
    assert (spec.layout_out.high, spec.layout_out.low) == ((0, 1, 2, 3, 4, 5, 6), (7, 8, 9))
