"""What is predicted of a plan is what it does, layer by layer; both packages decide by the same numbers."""

from fractions import Fraction
from functools import cache

import pytest
import torch

from costmodel.networks.network import layers
from costmodel.networks.resnet import named
from costmodel.operators.recorder import FeatureMap, Recorder
from costmodel.speed import folding, prediction, roofline
from costmodel.speed.bench import build
from costmodel.speed.folding import folded_layers, native
from costmodel.speed.winograd import by_winograd, layer_by_winograd, shares_maps
from pwoct import plan
from pwoct.blocks import OctBlock
from pwoct.plan import with_plan
from pwoct.plan.compiled.blocked import record
from pwoct.plan.compiled.network import _merges
from pwoct.plan.compiled.training import TrainingStep
from pwoct.plan.folded.fold import fold_paths
from pwoct.plan.folded.network import FoldedBlock, FoldedNetwork, PackedBlocks
from pwoct.plan.shared import choose
from pwoct.plan.shared.maps import octave_layer
from pwoct.resnet import blocks
from tests.pwoct.networks import needs_compiler

ALL = ["HH", "HL", "LH", "LL"]
NETWORKS = [
    {},
    *({"alpha": alpha} for alpha in ("1/4", "1/2", "3/4", "7/8", "1")),
    {"alpha": ["3/4", "1/2", "1/4"]},
    *({"alpha": "3/4", "paths": paths, "beta": beta} for paths in (ALL, ["LL"]) for beta in ("1", "2", "4")),
    {"alpha": "3/4", "paths": ALL, "between": "bn"},
    {"alpha": "1/2", "paths": ALL, "width": 8},
    {"alpha": "7/8", "width": 32},
]
networks = pytest.mark.parametrize("options", NETWORKS, ids=str)


def design(options, size=(32, 32)):
    return named("resnet20", **{"size": size, **options})


@cache
def made(name):
    """The network of options as text; plans fold a copy of it."""
    return build(design(next(options for options in NETWORKS if str(options) == name))).eval()


def planned(model, size, dtype):
    """Convolutions of each block by plan "folded": those of packed layers by their channels."""
    found = []
    for block in FoldedNetwork(model, size, dtype).blocks:
        if isinstance(block, PackedBlocks):
            found += [[("packed", *c.weight.shape[1::-1]) for c in pair] for pair in block.convolutions]
        elif isinstance(block, FoldedBlock):
            found.append(["conv"] * (2 if block.shortcut is None else 3))
        else:
            sums = (block.first, block.second)
            steps = [step for total in sums for step in (*total.high, *total.doubled, *total.low)]
            found.append(["conv"] * sum(len(step.before) + 1 for _, step in steps))
    return found


def predicted(operators, dtype):
    """The same of the prediction."""
    found = {}
    for name, left in folded_layers(operators, dtype):
        for op in left:
            if op.part == "conv" and name.startswith("stages."):
                is_packed = op.name == name and _is_whole(operators, name)
                kind = ("packed", *op.channels) if is_packed else "conv"
                found.setdefault(name.rpartition(".")[0], []).append(kind)
    return list(found.values())


def _is_whole(operators, name):
    """Whether a layer has paths, so that one operator of its own name stands for all of them."""
    return any(op.name.startswith(f"{name}.hh") for op in operators)


@networks
@pytest.mark.parametrize("size", [(32, 32), (33, 33), (32, 30), (16, 24)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_folded_layers_are_those_of_the_plan(options, size, dtype):
    network = design(options, size)
    found = planned(made(str(options)), size, getattr(torch, dtype))
    assert predicted(network.operators(), dtype) == found


def test_some_layers_are_packed():
    """In the first block the shape changes, and 33 x 33 pixels are no 2 x 2 windows."""

    def names(size):
        return [
            n
            for n, left in folded_layers(design({"alpha": "3/4"}, size).operators(), "float32")
            if [op.channels for op in left] == [(28, 28)]
        ]

    assert names((32, 32)) == [f"stages.0.{block}.conv{i}" for block in (1, 2) for i in (1, 2)]
    assert names((33, 33)) == []


@networks
def test_native_layers_are_those_of_the_plan(options):
    """Bottlenecks merged, or not."""
    network, model = design(options), made(str(options))
    got = {
        name: sum(op.part == "conv" for op in native(layer)) for name, layer in layers(network.operators())
    }
    for number, block in enumerate(blocks(model.stages)):
        if not isinstance(block, OctBlock):
            continue
        for child in ("conv1", "conv2", "shortcut"):
            if (layer := getattr(block, child)) is not None:
                paths = fold_paths([(octave_layer(layer), None)], _merges)
                name = f"stages.{number // 3}.{number % 3}.{child}"
                assert got[name] == sum(len(path.before) + 1 for path in paths)


@pytest.mark.parametrize("size", [(8, 8), (7, 8), (8, 6), (2, 4)], ids=str)
def test_winograds_method_is_predicted_where_it_is_used(size):
    for c_in in (*range(1, 12), 16, 18):
        for c_out in (*range(1, 12), 16, 18):
            rec = Recorder()
            rec.conv("layer", FeatureMap(c_in, size, "x"), c_out, 3)
            (op,) = rec.operators
            scaled = by_winograd(op).cost
            uses = choose.uses_winograd(c_in, c_out, size)
            assert (scaled.macs < op.cost.macs) == uses
            # The gradient by the input is a convolution from c_out to c_in channels.
            assert (scaled.macs_input_grad < op.cost.macs_input_grad) == choose.uses_winograd(
                c_out, c_in, size
            )
            whole = c_in % 4 == c_out % 4 == 0
            assert (scaled.macs_weight_grad < op.cost.macs_weight_grad) == (uses and whole)


@networks
@pytest.mark.parametrize("size", [(32, 32), (16, 24), (16, 20)], ids=str)
@needs_compiler
def test_low_paths_share_maps_where_the_plans_let_them(options, size):
    """In training, the convolutions forward and backward, and the gradients of filters."""
    network = design(options, size)
    model = build(network)
    found = [layer for _, layer in layers(network.operators())]
    native_program = with_plan(model.eval(), "native", size=size).program  # copies it
    assert shared(native_program.operations) == sum(shares_maps(native(x), training=False) for x in found)
    if size == (16, 20):
        return  # "blocked" needs even sizes in all stages
    tape, recorded, result = record(model.train(), size)
    step = TrainingStep(tape, recorded, result, to_images=False, dtype=torch.float32)
    predicted = sum(shares_maps(layer, training=True) for layer in found)
    assert shared(step.forward_operations) == predicted
    assert shared(step.backward_operations) == 2 * predicted
    if options == {"alpha": "1/2"}:
        assert predicted == {(32, 32): 14, (16, 24): 5}[size]


def shared(operations):
    return sum(operation.second_channels > 0 for operation in operations)


def test_a_common_map_is_transformed_once():
    """It costs 27 = 3 x 9 MACs per pixel and channel; LH has none, since LL transforms its input."""
    network = design({"alpha": "1/2"})
    layer = next(x for name, x in layers(network.operators()) if name == "stages.0.1.conv1")
    assert shares_maps(layer, training=True)
    costs = {op.name[-2:]: op.cost for op in layer_by_winograd(layer, training=True) if op.part == "conv"}
    macs, pixels = 9 * 8 * 8, 16 * 16
    products, transforms = macs * pixels * Fraction(4, 9), 3 * 9 * 8 * pixels
    assert [costs[path].macs for path in ("ll", "hl", "lh")] == [
        products + transforms, products + transforms, products,
    ]  # fmt: skip
    assert [costs[path].macs_input_grad for path in ("ll", "hl", "lh")] == [
        products + transforms, products, products + transforms,
    ]  # fmt: skip
    assert [costs[path].macs_weight_grad for path in ("ll", "hl", "lh")] == [
        products + transforms, products + transforms, products,
    ]  # fmt: skip


def test_both_packages_have_the_same_numbers():
    assert (roofline.VECTOR, roofline.TILE) == (choose.VECTOR, choose.TILE)
    names = {
        str(dtype).removeprefix("torch."): channels for dtype, channels in choose.PACKED_CHANNELS.items()
    }
    assert names == folding.PACKED_CHANNELS
    assert prediction.PLANS == plan.PLANS
    assert set(prediction.OWN_KERNELS) <= set(plan.PLANS)
    assert {*prediction.SNAPSHOTS} == {*plan.PLANS} - {"reference", *plan.TRAINABLE}
    for split in [(4, 12), (8, 8), (2, 14), (6, 10), (3, 13)]:
        for dtype in folding.PACKED_CHANNELS:
            assert folding.packed_channels(*split, dtype) == choose.packed_channels(
                split, getattr(torch, dtype)
            )
