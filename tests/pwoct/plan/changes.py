"""Networks that are not exactly ours, each by one change, and which plans must refuse them."""

import torch
import torch.nn.utils.prune
from torch import nn
from torch.nn.functional import conv2d

from pwoct.blocks import BasicBlock, OctBlock
from pwoct.branches import Octave
from pwoct.octave import OctConv
from pwoct.resnet import ResNet
from tests.pwoct.networks import network

SIZE, SHAPE = (16, 16), (16, 3, 16, 16)
SNAPSHOTS, ALL_PLANS = {"folded", "native"}, {"lean", "blocked", "folded", "native"}
KERNELS = {"blocked", "folded", "native"}
CHANGES = {}


def change(refusing):
    """Register a change of a network, and the plans that cannot compute it."""
    return lambda f: CHANGES.update({f.__name__: (f, refusing)}) or f


def of_class(module, base, **methods):
    """Make a module one of a subclass with its own methods."""
    module.__class__ = type(f"My{base.__name__}", (base,), methods)


def octave():
    return network({"alpha": "1/2"}, depth=8)


@change(ALL_PLANS)
def subclass_of_the_network():
    model = octave()
    of_class(model, ResNet, forward=lambda self, x: 2 * ResNet.forward(self, x))
    return model


@change(ALL_PLANS)
def subclass_of_a_plain_block():
    model = network({}, depth=8)
    of_class(model.stages[1][0], BasicBlock, forward=lambda self, x: 2 * BasicBlock.forward(self, x))
    return model


@change(ALL_PLANS)
def subclass_of_an_octave_block():
    model = octave()
    of_class(model.stages[0][0], OctBlock, forward=lambda self, x, size: OctBlock.forward(self, 2 * x, size))
    return model


@change(ALL_PLANS)
def subclass_of_an_octave_layer():
    model, layer = octave(), OctConv
    of_class(
        model.stages[1][0].shortcut,
        layer,
        forward=lambda self, x: Octave(*(2 * b for b in layer.forward(self, x))),
    )
    return model


@change(ALL_PLANS)
def stages_that_do_not_tell_their_size():
    model = octave()
    model.stages = nn.Sequential(*(nn.Sequential(*stage) for stage in model.stages))
    return model


@change(ALL_PLANS)
def layer_in_a_stage():
    model = network({}, depth=8)
    model.stages[0].append(nn.Dropout(0))
    return model


@change(ALL_PLANS)
def layer_beside_the_stages():
    model = network({}, depth=8)
    model.extra = nn.Linear(1, 1)
    return model


@change(ALL_PLANS)
def hook_of_the_network():
    model = octave()
    model.register_forward_hook(lambda _, __, y: 2 * y)
    return model


@change(ALL_PLANS)
def hook_before_a_block():
    model = network({}, depth=8)
    model.stages[1][0].register_forward_pre_hook(lambda _, x: (2 * x[0],))
    return model


@change(ALL_PLANS)
def forward_of_its_own():
    model = network({}, depth=8)
    model.stages[1][0].forward = lambda x: model.stages[1][0].conv1(x)
    return model


def doubled(self, x):
    return 2 * conv2d(x, self.weight, self.bias, self.stride, self.padding)


@change(KERNELS)
def subclass_of_a_convolution():
    model = octave()
    of_class(model.stem, nn.Conv2d, forward=doubled)
    return model


@change(KERNELS)
def subclasses_in_an_octave_layer():
    """Whose low paths "lean" would join."""
    model = network({"alpha": "3/4", "width": 16}, depth=14)
    for path in ("lh", "hl"):
        of_class(getattr(model.stages[0][1].conv1, path), nn.Conv2d, forward=doubled)
    return model


@change(KERNELS)
def convolution_that_returns_what_it_reads():
    model = network({}, depth=8)
    of_class(model.stages[0][0].conv2, nn.Conv2d, forward=lambda _, x: x)
    return model


@change(KERNELS)
def subclass_of_a_normalisation():
    model = octave()
    of_class(model.stem_bn, nn.BatchNorm2d, forward=lambda self, x: -nn.BatchNorm2d.forward(self, x))
    return model


@change(KERNELS)
def subclass_of_the_linear_layer():
    model = octave()
    of_class(model.fc, nn.Linear, forward=lambda self, x: 2 * nn.Linear.forward(self, x))
    return model


@change(KERNELS)
def hook_of_a_convolution():
    model = network({"alpha": "3/4", "width": 16}, depth=14)
    model.stages[0][1].conv1.lh.register_forward_hook(lambda _, __, y: 2 * y)
    return model


@change(KERNELS)
def hook_before_a_normalisation():
    model = octave()
    model.stem_bn.register_forward_pre_hook(lambda _, x: (2 * x[0],))
    return model


@change(KERNELS)
def parametrized():
    model = octave()
    nn.utils.parametrizations.weight_norm(model.stem)
    return model


@change(KERNELS)
def pruned():
    model = octave()
    nn.utils.prune.l1_unstructured(model.stem, "weight", 0.5)
    with torch.no_grad():  # a step of an optimiser after the last forward pass
        model.stem.weight_orig.mul_(3)
    return model


@change(set())
def pruned_for_good():
    model = octave()
    nn.utils.prune.l1_unstructured(model.stem, "weight", 0.5)
    nn.utils.prune.remove(model.stem, "weight")
    return model


@change(KERNELS)
def group_normalisation():
    model = network({}, depth=8)
    model.stages[1][0].bn1 = nn.GroupNorm(4, 16)
    return model


@change(SNAPSHOTS)
def normalisation_without_statistics():
    model = octave()
    model.stem_bn = nn.BatchNorm2d(8, track_running_stats=False)
    return model


@change(KERNELS)
def padding_by_reflection():
    model = octave()
    model.stem = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect", bias=False)
    return model


@change({"blocked"})
def groups():
    model = network({"width": 9}, depth=8)
    model.stem = nn.Conv2d(3, 9, 3, padding=1, groups=3, bias=False)
    return model


@change(KERNELS)
def shortcut_of_two_layers():
    model = network({}, depth=8)
    model.stages[1][0].shortcut = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
    return model


@change(KERNELS)
def bottleneck_whose_between_was_changed():
    model = network({"alpha": "1/2", "paths": "LL"}, depth=8)
    model.stages[1][0].conv1.ll.between = "bn_relu"
    return model
