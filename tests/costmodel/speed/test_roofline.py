"""Predicted times are what the roofline says, by hand."""

from dataclasses import replace
from fractions import Fraction

import pytest

from costmodel.figures.roofline import RooflinePoint, draw_roofline
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import FeatureMap, Recorder
from costmodel.speed.ceilings import library_vector, measure_machine
from costmodel.speed.folding import folded, merged
from costmodel.speed.prediction import fit, rank_correlation, seconds
from costmodel.speed.roofline import Estimate, Machine, estimate, fill, filling
from costmodel.speed.winograd import by_winograd

# 1000 MACs, 100 bytes per second; 2 seconds per call
SLOW = Machine({"float32": 1000.0, "bfloat16": 4000.0}, 100.0, 2.0)


def conv(c_in, c_out, kernel=3, size=(4, 4), **options):
    rec = Recorder()
    rec.conv("layer", FeatureMap(c_in, size, "x"), c_out, kernel, **options)
    return rec.operators[0]


def test_blocks_are_filled():
    assert [fill(c, 16) for c in (1, 16, 17)] == [16, 16, 32]
    assert filling(conv(16, 12), "float32") == Fraction(16, 12)
    assert filling(conv(48, 12), "bfloat16") == Fraction(16, 12) * Fraction(64, 48)
    assert filling(conv(32, 32), "bfloat16") == 1


def test_a_convolution_bound_by_arithmetic():
    # 9 * 16 * 16 weights meet 16 positions; 16 * 16 inputs, weights and 16 * 16 outputs of 4 bytes
    macs, moved = 9 * 16 * 16 * 16, 4 * (16 * 16 + 9 * 16 * 16 + 16 * 16)
    got = estimate(conv(16, 16), SLOW, "float32")
    assert got == Estimate(macs / 1000, moved / 100, 2)
    assert got.seconds == max(macs / 1000, moved / 100) + 2
    assert got.bound == ("arithmetic" if macs / 1000 > moved / 100 else "traffic")


def test_half_filled_vectors_cost_as_much_as_full_ones():
    assert (
        estimate(conv(16, 12), SLOW, "float32").arithmetic
        == estimate(conv(16, 16), SLOW, "float32").arithmetic
    )


@pytest.mark.parametrize(("vector", "computed"), [(16, 16), (8, 16), (4, 12)])
def test_vectors_of_the_processor_are_filled(vector, computed):
    machine = replace(SLOW, vector=vector)
    macs, inputs, outputs = 9 * 16 * computed * 16, 16 * 16 + 9 * 16 * 12, 16 * computed
    assert estimate(conv(16, 12), machine, "float32") == Estimate(
        macs / 1000, 4 * (inputs + outputs) / 100, 2
    )
    assert machine.scaled(2).vector == vector


@pytest.mark.parametrize(("vector", "slower"), [(16, 4 / 3), (8, 4 / 3), (4, 1)])
def test_training_fills_vectors_of_the_processor(vector, slower):
    """12 channels fill 16 in the forward pass and both gradients."""
    machine = replace(SLOW, vector=vector)
    got = estimate(conv(16, 12), machine, "float32", training=True).arithmetic
    assert got == pytest.approx(9 * 16 * 12 * 16 * (slower + 1 + slower) / 1000)


@pytest.mark.parametrize(
    ("capability", "vector"), [("AVX512", 16), ("AVX2", 8), ("DEFAULT", 4), ("SVE256", 4)]
)
def test_the_vector_of_this_machine(capability, vector, monkeypatch):
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)
    assert library_vector() == vector
    assert measure_machine(["float32"], quick=True).vector == vector


def test_a_shorter_type_halves_the_traffic():
    long, short = (estimate(conv(32, 32), SLOW, dtype) for dtype in ("float32", "bfloat16"))
    assert short.traffic == long.traffic / 2
    assert short.arithmetic == long.arithmetic / 4


def test_training_computes_three_times_as_much():
    forward, step = (estimate(conv(16, 16), SLOW, "float32", training=training) for training in (False, True))
    assert step.arithmetic == pytest.approx(3 * forward.arithmetic)
    assert step.calls == 3 * forward.calls


def test_winograd_saves_products_of_3x3_kernels_of_stride_1():
    def share(*channels, **options):
        op = conv(*channels, size=(8, 8), **options)
        return by_winograd(op).cost.macs_training / op.cost.macs_training

    saved, whole = Fraction(4, 9), Fraction(1)
    assert share(32, 32) == saved + Fraction(3, 32)
    assert share(32, 16) == saved + (2 * Fraction(3, 16) + Fraction(3, 32)) / 3
    assert share(18, 18) == (whole + 2 * (saved + Fraction(3, 18))) / 3  # gradients of weights as they are
    assert share(16, 4) == (2 * whole + saved + Fraction(3, 16)) / 3  # the input's gradient alone
    assert share(32, 32, kernel=1) == share(32, 32, stride=2) == whole


def test_an_addition_has_no_arithmetic():
    rec = Recorder()
    x = FeatureMap(16, (2, 2), "x")
    rec.add("sum", x, x)
    assert estimate(rec.operators[0], SLOW, "float32") == Estimate(0, 4 * 3 * 64 / 100, 2)


def test_bounds():
    assert [Estimate(*e).bound for e in ((3, 2, 1), (1, 3, 2), (1, 2, 3))] == [
        "arithmetic",
        "traffic",
        "calls",
    ]


def test_an_unknown_rate():
    with pytest.raises(ValueError, match=r"measured \(float32, bfloat16\), got int8"):
        estimate(conv(1, 1), SLOW, "int8")


def test_a_machine_twice_as_slow_takes_twice_as_long():
    operators = resnet(8, alpha="1/2").operators()
    assert seconds(operators, SLOW.scaled(2), "float32") == pytest.approx(
        2 * seconds(operators, SLOW, "float32")
    )


def test_folding_leaves_out_what_convolutions_do():
    operators = resnet(8, alpha="1/2").operators()
    left = [op for op in operators if op.part not in ("bn", "activation", "add")]
    expected = sum(estimate(op, SLOW, "float32").seconds for op in left)
    assert seconds(operators, SLOW, "float32", plan="folded") == pytest.approx(expected)
    assert seconds(operators, SLOW, "float32", plan="lean") == seconds(operators, SLOW, "float32")


def test_bottlenecks_are_merged_where_that_is_quicker():
    rec = Recorder()
    x = rec.conv("path.reduce", FeatureMap(4, (4, 4), "x"), 2, 1)
    rec.conv("path.expand", rec.conv("path.spatial", x, 2, 3), 4, 1)
    alone = conv(4, 4)
    one = merged(*rec.operators)
    assert (one.cost.macs, one.cost.elements_read) == (alone.cost.macs, alone.cost.elements_read)
    assert seconds(rec.operators, SLOW, "float32", plan="folded") == estimate(alone, SLOW, "float32").seconds


def test_normalised_bottlenecks_are_not_merged():
    options = {"alpha": "1/2", "paths": ["LL"], "between": "bn"}
    operators = resnet(8, **options).operators()
    left = [op for op in operators if op.part not in ("bn", "activation", "add")]
    expected = sum(estimate(op, SLOW, "float32").seconds for op in left)
    assert seconds(operators, SLOW, "float32", plan="folded") == pytest.approx(expected)


def test_narrow_layers_are_packed():
    rec = Recorder()
    for path, c_in, c_out in (("hh", 4, 4), ("hl", 4, 12), ("lh", 12, 4), ("ll", 12, 12)):
        rec.conv(f"layer.{path}", FeatureMap(c_in, (8, 8) if path == "hh" else (4, 4), "x"), c_out, 3)
    (one,) = folded(rec.operators, "float32")
    # 4 * 4 + 12 = 28 channels at the low branch's 16 positions
    assert one.cost.macs == 9 * 28 * 28 * 16
    assert one.channels == (28, 28)


def test_fitting_finds_the_machine():
    samples = []
    true = Machine(SLOW.macs_per_second, SLOW.bytes_per_second / 2, SLOW.seconds_per_call * 4).scaled(3)
    for alpha in ("0", "1/2", "3/4"):
        operators = resnet(8, alpha=alpha).operators()
        samples.append((operators, "lean", seconds(operators, true, "float32")))
    got = fit(SLOW, samples, "float32")
    assert got.bytes_per_second == pytest.approx(true.bytes_per_second)
    assert got.seconds_per_call == pytest.approx(true.seconds_per_call)
    assert got.macs_per_second["float32"] == pytest.approx(true.macs_per_second["float32"])
    with pytest.raises(ValueError, match="at least one"):
        fit(SLOW, [], "float32")


def test_an_unknown_plan():
    with pytest.raises(
        ValueError, match="plan must be one of reference, lean, blocked, folded, native, got fast"
    ):
        seconds([], SLOW, "float32", plan="fast")


def test_rank_correlation_by_hand():
    # ranks 1 2 3 4 against 1 3 2 4: 1 - 6 (1 + 1) / (4 (16 - 1))
    assert rank_correlation([1, 2, 3, 4], [10, 30, 20, 40]) == pytest.approx(1 - 12 / 60)
    # ties share their rank: 1.5 1.5 3 against 1 2 3
    assert rank_correlation([5, 5, 9], [1, 2, 3]) == pytest.approx(1.5 / (1.5 * 2) ** 0.5)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [([1], [1], "at least 2"), ([1, 2], [1], "equal length"), ([1, 1], [1, 2], "equal values")],
)
def test_rank_correlation_refuses(a, b, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(a, b)


def test_the_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "roofline.svg"
    points = [RooflinePoint("plain", 10.0, 500.0), RooflinePoint("alpha 1/2", 5.0, 300.0)]
    draw_roofline(points, SLOW, "float32", "resnet20, batch 2", file)
    text = file.read_text()
    assert "<svg" in text
    assert all(f">{label}</text>" in text for label in ("roof", "plain", "alpha 1/2"))
    assert ">resnet20, batch 2, under this machine's roof</text>" in text
    with pytest.raises(ValueError, match="at least one point"):
        draw_roofline([], SLOW, "float32", "nothing", file)


@pytest.mark.parametrize("intensity", [1.0, 200.0])
def test_the_roof_rises_and_is_flat(intensity, tmp_path, monkeypatch):
    """The ridge of SLOW is at 1000 MACs over 100 bytes per second: 10 MACs per byte."""
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr("costmodel.figures.roofline.save", lambda figure, *_: drawn.append(figure))
    draw_roofline([RooflinePoint("plain", intensity, 50.0)], SLOW, "float32", "resnet20", tmp_path / "x.svg")
    axes = drawn[0].axes[0]
    (roof,) = axes.get_lines()
    least, most = min(10.0, intensity) / 2, max(10.0, intensity) * 2
    assert list(roof.get_xdata()) == [least, 10.0, most]
    assert list(roof.get_ydata()) == [least * 100 / 1e9, 1e-6, 1e-6]
    labels = [tick.get_text() for tick in axes.get_xticklabels()]
    assert {"5", "10", "20"} <= set(labels)
