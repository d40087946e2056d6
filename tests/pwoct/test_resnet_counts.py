"""Parameters and MACs of networks: known ones, and small ones by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pwoct.resnet import MODELS, build, resnet

ALL = ("HH", "HL", "LH", "LL")
ALL_BUT_HH = ("HL", "LH", "LL")


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def macs(model, size=32):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("depth", "options", "n_parameters", "n_macs"),
    [
        (20, {}, 272_282, 40_813_184),
        (56, {}, 855_578, 125_747_840),
        (56, {"alpha": 0.25}, 855_578, 85_295_744),
        (56, {"alpha": 0.5}, 855_578, 56_148_608),
        (56, {"alpha": 0.75}, 855_578, 38_306_432),
        (56, {"alpha": 0.25, "paths": ALL_BUT_HH}, 696_150, 79_309_440),
        (56, {"alpha": 0.25, "paths": ALL}, 409_482, 36_473_472),
    ],
)
def test_known_counts(depth, options, n_parameters, n_macs):
    model = resnet(depth, **options)
    assert (parameters(model), macs(model)) == (n_parameters, n_macs)


def test_parameters_of_resnet_110():
    assert parameters(resnet(110, alpha=0.25, paths=ALL_BUT_HH)) == 1_394_190


def test_counts_of_resnet_8_by_hand():
    # stem; six 3x3 convolutions; two 1x1 shortcuts; two numbers a BN channel; head with bias
    convs = 27 * 4 + 9 * (4 * 4 * 2 + 4 * 8 + 8 * 8 + 8 * 16 + 16 * 16) + 4 * 8 + 8 * 16
    model = resnet(8, width=4, classes=5)
    assert parameters(model) == convs + 2 * (4 * 3 + 8 * 2 + 16 * 2) + 16 * 5 + 5
    assert macs(model, size=16) == (
        256 * (27 * 4 + 9 * 4 * 4 * 2) + 64 * (9 * (4 * 8 + 8 * 8) + 4 * 8)
        + 16 * (9 * (8 * 16 + 16 * 16) + 8 * 16) + 16 * 5
    )  # fmt: skip


def test_compressed_without_low_by_hand():
    # of the 3x3 convolutions all but the first and the last become 1x1, 3x3, 1x1 of half the width
    def bottleneck(c, f):
        return c * f // 2 + 9 * (f // 2) ** 2 + f * f // 2

    convs = 27 * 4 + 9 * (4 * 4 + 16 * 16) + 4 * 8 + 8 * 16
    convs += bottleneck(4, 4) + bottleneck(4, 8) + bottleneck(8, 8) + bottleneck(8, 16)
    model = resnet(8, width=4, paths=("HH",))
    assert parameters(model) == convs + 2 * (4 * 3 + 8 * 2 + 16 * 2) + 16 * 10 + 10


def test_models_are_the_published_depths():
    assert list(MODELS) == ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"]
    assert [MODELS[name] // 6 for name in MODELS] == [3, 5, 7, 9, 18, 200]
    assert parameters(build("resnet32")) == parameters(resnet(32))
