from fractions import Fraction

import pytest

from costmodel.convention import Cost
from costmodel.networks.network import Backbone, fold, layer_name, layers, record_resnet
from costmodel.networks.resnet import resnet
from costmodel.operators.recorder import Operator, Place, cost_of


def names(operators: list[Operator]) -> list[str]:
    return [operator.name for operator in operators]


def test_a_plain_network_runs_its_modules_in_order() -> None:
    block = ["conv1", "bn1", "relu1", "conv2", "bn2"]
    first, other = (
        [f"stages.{{}}.0.{part}" for part in [*block, *more, "add", "relu2"]] for more in ([], ["shortcut"])
    )
    assert names(resnet(8).operators()) == [
        *("stem", "stem_bn", "stem_relu"),
        *(name.format(0) for name in first),
        *(name.format(stage) for stage in (1, 2) for name in other),
        *("pool", "fc"),
    ]


def test_an_octave_network_names_paths_and_branches() -> None:
    operators = names(resnet(14, alpha="1/4", paths=["HL"]).operators())
    assert operators[3:8] == [
        "stages.0.0.conv1.hh",
        "stages.0.0.conv1.hl_pool",
        "stages.0.0.conv1.hl",
        "stages.0.0.bn1.high",
        "stages.0.0.bn1.low",
    ]
    for name in (
        "stages.0.0.shortcut.pool",
        "stages.0.1.conv2.hl.reduce",
        "stages.1.0.conv1.hl.spatial",
        "stages.1.0.shortcut.hl",
        "stages.2.1.shortcut.concatenate",
    ):
        assert name in operators
    # never compressed: the first and the last convolution, and shortcuts
    assert not {"stages.0.0.conv1.hl.reduce", "stages.1.0.shortcut.hl.reduce"} & set(operators)
    assert {n for n in operators if n.startswith("stages.2.1.conv2")} == {
        "stages.2.1.conv2.hh",
        "stages.2.1.conv2.lh",
        "stages.2.1.conv2.lh_upsample",
        "stages.2.1.conv2.add_h",
    }


def test_only_stage_changes_have_shortcuts_with_parameters() -> None:
    operators = resnet(20, alpha="1/4").operators()
    weights = {op.name: op.cost.weights for op in operators if op.place.role == "shortcut" and op.has_weights}
    shares = {"hh": (3, 3), "hl": (3, 1), "lh": (1, 3), "ll": (1, 1)}  # of 4
    assert weights == {
        f"stages.{stage}.0.shortcut.{path}": (a * 4 * 2 ** (stage - 1)) * (b * 4 * 2**stage)
        for stage in (1, 2)
        for path, (a, b) in shares.items()
    }


def test_every_operator_knows_its_place() -> None:
    operators = resnet(14, alpha="1/2").operators()
    places = {op.name: op.place for op in operators}
    assert places["stem"] == Place("stem")
    assert places["stages.1.0.shortcut.lh"] == Place("shortcut", "LH", 1, 0)
    assert places["stages.1.0.conv1.lh_upsample"] == Place("block", "LH", 1, 0)
    assert places["stages.2.1.bn2.high"] == Place("block", None, 2, 1)
    assert places["fc"] == Place("head")


def test_layers_are_convolutions_with_all_their_parts_and_cost_the_network() -> None:
    operators = resnet(14, alpha="1/4", paths=["LL"]).operators()
    grouped = dict(layers(operators))
    assert next(iter(grouped)) == "stem"
    assert names(grouped["stages.1.1.conv1"]) == [
        "stages.1.1.conv1.hh",
        "stages.1.1.conv1.hl_pool",
        "stages.1.1.conv1.hl",
        "stages.1.1.conv1.lh",
        "stages.1.1.conv1.lh_upsample",
        "stages.1.1.conv1.add_h",
        "stages.1.1.conv1.ll.reduce",
        "stages.1.1.conv1.ll.spatial",
        "stages.1.1.conv1.ll.expand",
        "stages.1.1.conv1.add_l",
    ]
    assert sum(cost_of(members).macs for members in grouped.values()) == cost_of(operators).macs


@pytest.mark.parametrize(
    ("operator", "layer"), [("fc", "fc"), ("stem_bn", "stem_bn"), ("stages.0.1.bn2.low", "stages.0.1.bn2")]
)
def test_layer_names(operator: str, layer: str) -> None:
    assert layer_name(Operator(operator, "conv", Cost())) == layer


def test_folding_counts_the_middle_block() -> None:
    operators = [Operator("x", "conv", Cost(macs=5), place=Place(block=block)) for block in (0, 1, 2, None)]
    assert [op.cost.macs for op in fold(operators, 7)] == [5, 35, 5, 5]


@pytest.mark.parametrize("depth", [8, 14, 20, 26, 56])
@pytest.mark.parametrize("options", [{}, {"alpha": "1/4", "paths": ["HH", "LH"], "size": (33, 30)}])
def test_a_folded_network_costs_the_same(depth: int, options: dict[str, object]) -> None:
    net = resnet(depth, **options)  # type: ignore[arg-type]
    assert cost_of(net.folded()) == cost_of(net.operators())


@pytest.mark.parametrize("alpha", [(0, "1/2", 1), (1, 1, 1), (0, 1, "1/2"), (1, 0, 1), ("1/2", 1, 0)])
@pytest.mark.parametrize("depth", [8, 14])
@pytest.mark.parametrize("size", [(33, 28), (35, 7), (1, 1)])
@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_sizes_fit_wherever_branches_end(
    alpha: tuple[object, ...], depth: int, size: tuple[int, int], rule: str
) -> None:
    """Adding refuses maps of two shapes, so recording is the check."""
    operators = resnet(depth, alpha=alpha, size=size, stride_rule=rule).operators()  # type: ignore[arg-type]
    assert operators[-1].name == "fc"


@pytest.mark.parametrize("alpha", [(0, 1, "1/2"), (0, "1/2", "1/2"), (1, 1, "1/2"), (1, 1, 1)])
@pytest.mark.parametrize("rule", ["A", "B", "C"])
def test_the_high_size_is_kept_where_a_stage_has_no_high_branch(alpha: tuple[object, ...], rule: str) -> None:
    """28 -> 14 -> 7 by stride 2; the low branch of stage 3, 4 x 4, doubled is 8 x 8, and is cropped."""
    net = resnet(14, alpha=alpha, size=28, stride_rule=rule)  # type: ignore[arg-type]
    operators = {op.name: op.cost for op in net.operators()}
    path = "lh" if alpha[2] == 1 else "hh"
    pixels = 4 * 4 if alpha[2] == 1 else 7 * 7
    assert operators[f"stages.2.1.conv2.{path}"].activations == 64 * pixels
    assert operators["stages.2.1.add" + ("" if net.is_plain else ".high")].add_ops == 64 * 7 * 7


def test_the_first_layer_has_no_gradient_by_its_input() -> None:
    operators = resnet(8).operators()
    assert [op.name for op in operators if op.has_weights and op.cost.macs_input_grad == 0] == ["stem"]


def test_a_backbone_has_three_widths_and_at_least_a_block() -> None:
    backbone = Backbone(9, width=20)
    assert (backbone.depth, [backbone.channels(stage) for stage in range(3)]) == (56, [20, 40, 80])
    with pytest.raises(ValueError, match=r"^a stage needs at least 1 block, got 0$"):
        Backbone(0)


def test_recording_takes_any_design_and_batch() -> None:
    net = resnet(8, alpha=Fraction(1, 2))
    one, two = (cost_of(record_resnet(net.backbone, net, batch)) for batch in (1, 2))
    assert (two.macs, two.params) == (2 * one.macs, one.params)
