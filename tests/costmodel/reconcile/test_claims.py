from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from costmodel.digits import parse_figure, prints
from costmodel.reconcile.bridge import Prediction, predict
from costmodel.reconcile.claims import ClaimAnswer, agreed, search
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters
from pwoct.resnet import resnet


@cache
def asked() -> tuple[Seen, list[Prediction]]:
    with torch.device("meta"):
        model = resnet(20)
    observed = observe(model, [torch.empty(1, 3, 32, 32, device="meta")])
    return observed, [predict(observed, rules) for rules in counters().values()]


def answer(text: str) -> ClaimAnswer:
    return search(parse_figure(text), *asked())


CONV_AND_LINEAR = 40_813_184  # chenyaofo's CIFAR ResNet-20 with convolutions in its shortcuts: 40.81 M


def test_a_published_count_is_our_macs() -> None:
    assert asked()[0].macs == CONV_AND_LINEAR
    assert (answer("40.81M").exact[0].counted, answer("40.81M").exact[0].complexity) == ("our MACs", 0)


def test_flops_are_twice_the_macs_and_said_so() -> None:
    first = answer("81.63 MFLOPs").exact[0]
    assert (first.counted, first.unit, first.value) == ("our MACs", "FLOPs, 2 a MAC", 2 * CONV_AND_LINEAR)


def test_a_prefix_of_powers_of_two() -> None:
    first = answer("38.922M").exact[0]  # 40,813,184 / 2^20 = 38.9225...
    assert (first.prefix, first.value) == ("2^10", CONV_AND_LINEAR)


def test_a_number_that_nothing_gives_has_a_nearest_reading_and_its_distance() -> None:
    found = answer("12.3456M")
    assert not found.exact
    assert found.nearest is not None
    assert found.nearest.distance > 0


def test_every_reading_prints_the_digits() -> None:
    for reading in answer("41.0M").exact:
        shown = reading.value / (2**20 if reading.prefix == "2^10" else 10**6)
        assert 40.95 <= shown < 41.1


@pytest.mark.parametrize(("value", "text", "fits"), [(12_345, "12.3K", True), (12_350, "12.3K", False)])
def test_rounding_is_exact(value: int, text: str, fits: bool) -> None:
    assert prints(value, text) is fits


@pytest.mark.parametrize("text", ["", "G", "4.1.2G", "four", "4.12 watts"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a claim is a number"):
        parse_figure(text)


def test_claims_of_one_source_decide_for_one_convention() -> None:
    """41M is our MACs (40.81 M) and what fvcore prints (41.19 M); 41.2M beside it is not our MACs."""
    alone, other = answer("41M"), answer("41.2M")
    assert (alone.exact[0].counted, alone.exact[0].value) == ("our MACs", CONV_AND_LINEAR)
    first = agreed([alone, other])[0].exact[0]
    assert first.value in (
        41_194_112,
        41_190_026,
        41_190_016,
    )  # fvcore, ptflops, normalisation at 2 an element
    assert first.complexity == 0
    assert first.agreeing == 2
    assert sorted(reading.value for reading in agreed([alone])[0].exact) == sorted(
        reading.value for reading in alone.exact
    )


class WithHead(nn.Module):
    """An auxiliary head that runs in training alone, behind a normalisation that refuses one image there."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 10)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        more = self.head(x).sum() if self.training else 0
        return self.fc(x.mean((2, 3))) + more


def test_auxiliary_heads_are_counted_where_a_number_contains_them() -> None:
    model = WithHead()
    observed, training = (observe(model, [torch.zeros(1, 3, 8, 8)], auxiliary=a) for a in (False, True))
    assert training.macs == observed.macs + 40 == 36 * 4 * 27 + 80
    rules = counters()["torch"]
    found = search(
        parse_figure(str(training.macs)),
        observed,
        [predict(observed, rules)],
        auxiliary=(training, [predict(training, rules)]),
    )
    assert found.exact[0].counted == "our MACs, with auxiliary heads, which run in training alone"
    assert model.training
