from fractions import Fraction
from typing import Any

import pytest

from costmodel.networks.resnet import MODELS, ResNetDesign, depth_of, named, resnet, rounding_notes
from costmodel.networks.stages import Stage, path_set, paths_per_stage, per_stage
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import cost_of
from costmodel.operators.standard import convolution


def conv(c_in: int, c_out: int, size: int, kernel: int = 3) -> tuple[int, int]:
    weights = kernel * kernel * c_in * c_out
    return weights, weights * size * size


def plain_by_hand(n: int) -> tuple[int, int]:
    """Parameters and MACs of the plain network, layer by layer."""
    stage_1 = [conv(3, 16, 32)] + 2 * n * [conv(16, 16, 32)]
    stage_2 = [conv(16, 32, 16), conv(16, 32, 16, 1)] + (2 * n - 1) * [conv(32, 32, 16)]
    stage_3 = [conv(32, 64, 8), conv(32, 64, 8, 1)] + (2 * n - 1) * [conv(64, 64, 8)]
    layers = [*stage_1, *stage_2, *stage_3, (64 * 10, 64 * 10)]
    bn = 2 * (16 * (1 + 2 * n) + 32 * 2 * n + 64 * 2 * n)
    return sum(w for w, _ in layers) + bn + 10, sum(macs for _, macs in layers)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 9, 18])
def test_plain_networks_layer_by_layer(n: int) -> None:
    cost = cost_of(resnet(6 * n + 2).operators())
    assert (cost.params, cost.macs) == plain_by_hand(n)


@pytest.mark.parametrize(
    ("depth", "options", "params", "macs"),
    [
        (20, {}, 272_282, 40_813_184),
        (56, {}, 855_578, 125_747_840),
        # He et al. (2016), option A: without the 16x32 and 32x64 kernels of the shortcuts, at 16x16 and 8x8.
        (20, {"shortcut": "A"}, 272_282 - 512 - 2048, 40_813_184 - 512 * 256 - 2048 * 64),
        (56, {"alpha": "1/2", "shortcut": "A"}, 853_018, None),
        (56, {"alpha": "1/4"}, 855_578, 85_295_744),
        (56, {"alpha": "1/2"}, 855_578, 56_148_608),
        (56, {"alpha": "3/4"}, 855_578, 38_306_432),
        (56, {"alpha": "1/4", "paths": ["HL", "LH", "LL"]}, 696_150, 79_309_440),
        (56, {"alpha": "1/4", "paths": PATHS}, 409_482, 36_473_472),
        (110, {"alpha": "1/4", "paths": ["HL", "LH", "LL"]}, 1_394_190, None),
    ],
)
def test_known_counts(depth: int, options: dict[str, Any], params: int, macs: int | None) -> None:
    """Counts of the networks as built, confirmed by counting the modules."""
    cost = cost_of(resnet(depth, **options).operators())
    assert cost.params == params
    assert macs in (None, cost.macs)


def test_alpha_quarter_and_three_quarters_have_the_same_parameters_when_all_paths_are_bottlenecks() -> None:
    one, three = (cost_of(resnet(56, alpha=alpha, paths=PATHS).operators()) for alpha in ("1/4", "3/4"))
    assert one.params == three.params


def test_alpha_0_with_compressed_hh_is_a_network_of_bottlenecks() -> None:
    net = resnet(14, paths=["HH"])
    assert net.is_compressed
    assert not net.is_plain
    weights = {op.name: op.cost.weights for op in net.operators()}
    assert weights["stages.1.1.conv1.hh.reduce"] == 32 * 16
    assert weights["stages.1.1.conv1.hh.spatial"] == 9 * 16 * 16
    assert weights["stages.0.0.conv1.hh"] == 9 * 16 * 16
    assert weights["stages.2.1.conv2.hh"] == 9 * 64 * 64


def test_alpha_0_without_it_is_plain_whatever_the_other_paths() -> None:
    net = resnet(14, paths=["HL", "LL"])
    assert net.is_plain
    assert cost_of(net.operators()) == cost_of(resnet(14).operators())


def test_choices_a_stage() -> None:
    net = resnet(14, alpha=[0, "1/4", "1/2"], beta=[1, 2, 4], paths=[["HH"], [], ["LL", "hl"]])
    assert net.stages == (
        Stage(Fraction(0), Fraction(1), frozenset({"HH"})),
        Stage(Fraction(1, 4), Fraction(2), frozenset()),
        Stage(Fraction(1, 2), Fraction(4), frozenset({"HL", "LL"})),
    )
    weights = {op.name: op.cost.weights for op in net.operators()}
    # from stage 1, which has no low branch, to stage 2 with 24 + 8 channels; then to stage 3 with 32 + 32
    assert weights["stages.1.0.conv1.hl"] == 9 * 16 * 8
    assert "stages.1.0.conv1.ll" not in weights
    assert weights["stages.2.0.conv1.lh"] == 9 * 8 * 32
    assert weights["stages.2.0.conv1.hl.reduce"] == 24 * (32 // 4)


@pytest.mark.parametrize(
    ("rule", "m"), [("out", 24 // 2), ("in", 8 // 2), ("min", 8 // 2), ("mean", 32 // 4)]
)
def test_width_rules(rule: str, m: int) -> None:
    operators = resnet(14, alpha="1/4", paths=["LH"], width_rule=rule).operators()
    (reduce,) = [op for op in operators if op.name == "stages.1.1.conv1.lh.reduce"]
    assert reduce.cost.weights == 8 * m


def test_other_widths_sizes_classes_and_channels() -> None:
    net = resnet(8, width=20, classes=100, in_channels=1, size=(24, 40))
    weights = {op.name: op.cost for op in net.operators()}
    assert weights["stem"] == convolution(1, 20, 3, (24, 40), input_grad=False)
    assert weights["stages.2.0.conv2"] == convolution(80, 80, 3, (6, 10))
    assert weights["fc"].params == 80 * 100 + 100


def test_stride_rule_a_costs_more_in_the_changes_only() -> None:
    a, b = (cost_of(resnet(20, alpha="1/4", stride_rule=rule).operators()) for rule in "AB")
    changes = [(4 * 24, 16), (8 * 48, 8)]  # LH: c_in times c_out, and the side of the output
    # four times the positions, for the 3x3 and the 1x1 of the shortcut
    assert a.macs - b.macs == sum(
        (9 + 1) * channels * (side**2 - (side // 2) ** 2) for channels, side in changes
    )


def test_between_adds_batch_normalisation() -> None:
    plain, bn = (
        cost_of(resnet(20, alpha="1/4", paths=["LL"], between=b).operators()) for b in ("none", "bn")
    )
    convs = [2 * 3 - 1, 2 * 3, 2 * 3 - 1]  # compressed, of each stage: no first and no last one
    assert bn.bn_weights - plain.bn_weights == sum(
        2 * 2 * m * k for m, k in zip((2, 4, 8), convs, strict=True)
    )
    assert bn.macs == plain.macs


@pytest.mark.parametrize(("name", "depth"), [*MODELS.items(), ("resnet14", 14), ("resnet62", 62)])
def test_names(name: str, depth: int) -> None:
    assert depth_of(name) == depth
    assert named(name).backbone.depth == depth


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("resnet57", "; did you mean resnet56?"),
        ("resnet21", "; did you mean resnet20?"),
        ("restnet56", "; did you mean resnet56?"),
        ("56", "; did you mean resnet56?"),
        ("vgg", ""),
    ],
)
def test_unknown_names_are_refused_with_the_nearest_known_one(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown model .*: need resnetN with N = 6n \+ 2") as caught:
        named(name)
    assert str(caught.value).endswith(hint or "resnet1202")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 55}, r"depth must be 6n \+ 2 with n >= 1 \(8, 14, 20, 26, ...\), got 55"),
        ({"depth": 2}, r"depth must be 6n \+ 2 with n >= 1 .*, got 2"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\], got 1.5"),
        ({"alpha": [0, 1]}, r"alpha must be one value or 3, one per stage; got 2"),
        ({"beta": "1/2"}, r"beta must be at least 1, got 1/2"),
        ({"paths": ["HX"]}, r"path must be one of HH, HL, LH, LL, got HX"),
        ({"paths": "HL,HX"}, "path must be one of HH, HL, LH, LL, got HX"),
        ({"paths": "HL+LH"}, "paths must be one value or 3, one per stage; got 2"),
        ({"paths": ["HL", "all"]}, "path must be one of HH, HL, LH, LL, got ALL"),
        ({"beta": 17, "paths": ["HH"]}, r"beta must be at most the 16 output channels of stage 1, got 17"),
        (
            {"beta": [1, 1, "129/2"], "paths": [[], [], ["LL"]]},
            r"beta must be at most the 64 output channels of stage 3, got 129/2",
        ),
        ({"width_rule": "max"}, r"width rule must be one of out, in, min, mean, got max"),
        ({"stride_rule": "D", "alpha": 1}, r"stride rule must be one of A, B, C, got D"),
        ({"between": "gelu"}, r"between must be one of none, bn, bn_relu, got gelu"),
        ({"shortcut": "C"}, "shortcut must be one of A, B, got C"),
        (
            {"shortcut": "A", "stride_rule": "B"},
            "shortcut A keeps every second pixel and needs stride rule C, got B",
        ),
        (
            {"shortcut": "A", "alpha": ["1/2", "1/2", "1/8"]},
            "shortcut A .* low branch has 16 channels before stage 3 and 8 after the change; use shortcut B",
        ),
        (
            {"shortcut": "A", "alpha": [0, "1/2", "1/2"]},
            "shortcut A .* the low branch has 0 channels before stage 2 and 16 after the change; use .*",
        ),
        ({"shortcut": "A", "alpha": "1/2", "depth": 8}, "shortcut A .* 16 channels before stage 3 and 0 .*"),
    ],
)
def test_bad_choices_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        resnet(**{"depth": 20, **options}).operators()


def test_a_beta_above_the_channels_is_no_error_where_nothing_is_compressed() -> None:
    assert isinstance(resnet(20, beta=100), ResNetDesign)


def test_one_value_or_three() -> None:
    assert per_stage("1/4", "alpha") == ("1/4",) * 3
    assert paths_per_stage(["HL"]) == [frozenset({"HL"})] * 3
    assert paths_per_stage([["HL"], [], ["LL"]]) == [frozenset({"HL"}), frozenset(), frozenset({"LL"})]
    assert path_set(["ll", "Hh"]) == {"LL", "HH"}


def test_notes_tell_where_rounding_acted() -> None:
    assert rounding_notes(resnet(56, alpha="1/4", paths=PATHS)) == []
    notes = rounding_notes(resnet(56, alpha="1/3", paths=["LL"]))
    assert notes[:3] == [
        "alpha 1/3 of 16 channels is 5.33333: c_L = 5",
        "alpha 1/3 of 32 channels is 10.6667: c_L = 10",
        "alpha 1/3 of 64 channels is 21.3333: c_L = 21",
    ]
    # 10 / 2 is whole; stage 1 stays inside itself, and stage 3 is entered from 10 low channels
    assert notes[3:] == [
        "LL 5 → 5 at beta 2: 2.5 hidden channels: m = 2",
        "LL 10 → 21 at beta 2: 10.5 hidden channels: m = 10",
        "LL 21 → 21 at beta 2: 10.5 hidden channels: m = 10",
    ]


def test_notes_tell_where_a_width_was_raised_to_1() -> None:
    notes = rounding_notes(resnet(20, alpha="1/16", beta=4, paths=["LL"]))
    assert notes[0] == "LL 1 → 1 at beta 4: 0.25 hidden channels: m = 1 (raised to 1)"


def test_no_note_on_a_convolution_that_is_never_compressed() -> None:
    """With one block per stage, the last stage has only the stage change and the last convolution."""
    net = resnet(8, alpha="1/4", beta=(2, 2, 5), paths=[[], [], ["LL"]])
    assert rounding_notes(net) == ["LL 8 → 16 at beta 5: 3.2 hidden channels: m = 3"]
