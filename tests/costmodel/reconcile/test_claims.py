from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from costmodel.digits import bounds, is_printed, parse_figure
from costmodel.reconcile.bridge import Prediction, predict
from costmodel.reconcile.claim_tables import verdict
from costmodel.reconcile.claims import ClaimAnswer, agreed, search
from costmodel.reconcile.events import Seen
from costmodel.reconcile.observe import observe
from costmodel.reconcile.rules import counters
from costmodel.reconcile.usage import Provenance, family_of, sources
from costmodel.reconcile.variants import AUXILIARY, OtherRun, other_runs
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
    assert (first.counted, first.unit, first.value) == ("our MACs", "FLOPs, 2 per MAC", 2 * CONV_AND_LINEAR)


def test_a_prefix_of_powers_of_two() -> None:
    first = answer("38.922M").exact[0]  # 40,813,184 / 2^20 = 38.9225...
    assert (first.prefix, first.value) == ("2^10", CONV_AND_LINEAR)


def test_a_number_that_nothing_gives_has_a_nearest_reading_and_its_distance() -> None:
    found = answer("12.3456M")
    assert not found.exact
    assert found.nearest is not None
    assert found.nearest.distance > 0


def test_every_reading_prints_the_digits() -> None:
    exact = answer("41.0M").exact
    assert exact
    for reading in exact:
        shown = reading.value / (2**20 if reading.prefix == "2^10" else 10**6)
        assert 40.95 <= shown < 41.1


@pytest.mark.parametrize(("value", "text", "fits"), [(12_345, "12.3K", True), (12_350, "12.3K", False)])
def test_rounding_is_exact(value: int, text: str, fits: bool) -> None:
    assert is_printed(value, parse_figure(text)) is fits


@pytest.mark.parametrize("text", ["", "G", "4.1.2G", "four", "4 watts", "12 GB", "4.1 GFLOP/s", "4.1e9G"])
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
    )  # fvcore, ptflops, normalisation at 2 per element
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
        others=[OtherRun(AUXILIARY, training, (predict(training, rules),))],
    )
    assert found.exact[0].counted == "our MACs, with auxiliary heads, which run only in training"
    assert model.training


@pytest.mark.parametrize(
    ("text", "low", "unit"),
    [
        ("4.1B", 4_050_000_000, ""), ("4.12 GFLOPs", 4_115_000_000, "FLOP"),
        ("8.2 GFLOPS", 8_150_000_000, "FLOP"), ("4.12e9", 4_115_000_000, ""), ("4,12G", 4_115_000_000, ""),
        ("1,814,073,344", 1_814_073_344, ""),
        ("0.3 GMac", 250_000_000, "MAC"), ("600M MAdds", 599_500_000, "MAC"), ("~4.1 G", 4_050_000_000, ""),
        ("600 million mult-adds", 599_500_000, "MAC"), ("3.8 x 10^9 FLOPs", 3_750_000_000, "FLOP"),
        ("25.6 M params", 25_550_000, "parameters"), ("2.5K", 2_450, ""),
    ],
)  # fmt: skip
def test_spellings_of_a_number(text: str, low: int, unit: str) -> None:
    found = parse_figure(text)
    assert (bounds(found)[0], found.unit) == (low, unit)


def test_parameters_need_not_be_printed_as_the_count_is() -> None:
    """38.92 is MACs / 2^20 (HRNet's tool divides so), beside 0.272 million parameters: 272,282."""
    figure = parse_figure("38.92M")
    first = search(figure, *asked(), parse_figure("0.272M")).exact[0]
    assert (first.value, first.prefix, first.params) == (CONV_AND_LINEAR, "2^10", 272_282)
    assert first.params_how == "rounded, prefix 10^3"
    plain = search(parse_figure("40.81M"), *asked(), parse_figure("272K")).exact[0]
    assert (plain.params_how, plain.complexity) == ("", 0)
    cut = search(parse_figure("40.813184M"), *asked(), parse_figure("0.2722M")).exact
    assert {one.params_how for one in cut if one.complexity == 2} == {"", "cut off, prefix 10^3"}
    assert cut[0].complexity == 2
    sums = search(figure, *asked(), parse_figure("0.2722M")).exact
    assert all(one.is_whole for one in sums if one.params_how)


def test_a_count_whose_parameters_contradict_it_is_given_alone() -> None:
    found = search(parse_figure("40.81M"), *asked(), parse_figure("11M"))
    assert not found.exact
    assert found.alone is not None
    assert found.alone.value == CONV_AND_LINEAR
    assert "reproduces only 40.81M: the network has 272,282 parameters, not 11M" in verdict(found)


def test_of_equally_simple_readings_the_source_decides_then_the_spelling_then_the_use() -> None:
    """41.2M: fvcore prints 41,194,112, ptflops 0.6 prints less than 41.25 M too; our MACs are 40.8 M."""
    by_use = search(parse_figure("41.2M"), *asked()).exact
    families = {reading.families[0] for reading in by_use if not reading.complexity}
    assert {"fvcore", "ptflops"} <= families
    timm = Provenance("https://github.com/huggingface/pytorch-image-models")
    named = search(parse_figure("41.2M"), *asked(), provenance=timm)
    assert "fvcore" in named.exact[0].families
    assert "ptflops" in search(parse_figure("41.2 MMac"), *asked()).exact[0].families
    assert "the number does not decide between them" in verdict(named)


def test_usage_is_counted_from_the_sources_that_are_known() -> None:
    thop = [one for one in sources() if one.counter == "thop"]
    first = search(parse_figure("41M"), *asked(), provenance=Provenance(known=thop)).exact[0]
    assert first.complexity == 0
    of_thop = Provenance(known=thop).preference
    assert of_thop(["thop"]) < of_thop(["ours"])
    assert Provenance().preference(["ours"]) < Provenance().preference(["thop"])


def test_sources_speak_for_their_own_counter_before_its_relatives() -> None:
    """Two known sources count by thop's versions of 2019 and 2022, none by that of 2020."""
    prefers = Provenance(known=[one for one in sources() if one.family == "thop"]).preference
    used, related = ([f"what {name} prints"] for name in ("thop-1909 0.0.31", "thop-2005 0.0.31"))
    assert prefers(["thop"], names=used) < prefers(["thop"], names=related) < prefers(["ptflops"], names=[])


def test_what_descends_from_a_counter_is_of_its_family() -> None:
    assert family_of("mmcv") == family_of("ptflops-0.6") == "ptflops"
    assert family_of("mmengine") == "fvcore"


def test_a_network_of_a_library_is_counted_as_that_library_counts() -> None:
    """Unless the unit is spelled as another counter spells it, or the source is named."""
    of_timm = Provenance(library="timm").preference
    assert of_timm(["fvcore"]) < of_timm(["ours"])
    spelled = of_timm(["fvcore"], "Mac", ["what fvcore 0.1.5 prints"])
    assert of_timm(["ptflops"], "Mac", ["what ptflops-0.6 0.6.9 prints"]) < spelled
    assert of_timm(["ptflops"], "Mac", ["what mmcv 1.7.2 prints"]) > spelled, "it prints GFLOPs"
    thop = Provenance("pytorch-OpCounter README", "timm").preference
    assert thop(["thop"]) < thop(["fvcore"])
    assert Provenance(library="builtin").preference(["ours"]) < Provenance(library="builtin").preference(
        ["fvcore"]
    )


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return nn.functional.scaled_dot_product_attention(q, k, v)


def test_attention_written_out_is_a_reading_of_counters_that_see_products_alone() -> None:
    """fvcore has no rule for the fused operator; two products of 5 x 5 x 8 are what older code had."""
    model, x = Attends(), torch.zeros(1, 5, 8)
    observed, rules = observe(model, [x]), [counters()["fvcore"]]
    runs = other_runs(observed, lambda **form: observe(model, [x], **form), rules)
    assert [run.seen.macs - observed.macs for run in runs] == [0]
    fused = predict(observed, rules[0])
    assert runs[0].predictions[0].total == fused.total + 2 * 5 * 5 * 8 == 5 * 8 * 24 + 400
    found = search(parse_figure(str(fused.total)), observed, [fused], others=runs)
    assert {one.value for one in found.exact} == {fused.total}
    assert nn.functional.scaled_dot_product_attention.__module__ != "costmodel.reconcile.replacing"
