"""Whether the plans can compute a network: exact types, no hooks, no extra modules that they would ignore.

A plan computes what the forward of this package's classes computes. A subclass, a hook or a module in an
unexpected place may compute something else, which a plan would not see.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn

from pwoct.blocks import BasicBlock, OctBlock, OctSequential
from pwoct.branches import OctBatchNorm2d
from pwoct.octave import OctConv
from pwoct.paths import DepthwiseConv2d
from pwoct.pointwise import NarrowPointwiseConv2d
from pwoct.pwise_octave import Bottleneck, PwiseOctConv
from pwoct.resnet import ResNet, blocks
from pwoct.shortcut import ZeroPadShortcut

PARTS = ("stem", "stem_bn", "stages", "fc")
CONVOLUTIONS = (nn.Conv2d, NarrowPointwiseConv2d, DepthwiseConv2d)
SEQUENCE, OCTAVE_SEQUENCE, BLOCK = "sequence", "sequence of octave blocks", "block"
LAYER, BRANCHES, ZERO_PAD = "octave layer", "octave normalisation", "shortcut without parameters"
PATH, CONVOLUTION, NORMALISATION, LINEAR = "path", "convolution", "normalisation", "linear layer"
TYPES: dict[str, tuple[type[nn.Module], ...]] = {
    SEQUENCE: (nn.Sequential, OctSequential),
    OCTAVE_SEQUENCE: (OctSequential,),
    BLOCK: (BasicBlock, OctBlock),
    LAYER: (OctConv, PwiseOctConv),
    BRANCHES: (OctBatchNorm2d,),
    ZERO_PAD: (ZeroPadShortcut,),
    PATH: (*CONVOLUTIONS, Bottleneck),
    CONVOLUTION: CONVOLUTIONS,
    NORMALISATION: (nn.BatchNorm2d,),
    LINEAR: (nn.Linear,),
}
FRAME = (
    SEQUENCE,
    OCTAVE_SEQUENCE,
    BLOCK,
    LAYER,
    BRANCHES,
    ZERO_PAD,
)  # roles whose forward every plan replaces


class PlanError(ValueError):
    """A plan cannot compute a network: the `reason`, and the plan to use `instead` if there is one."""

    def __init__(self, plan: str, reason: str, instead: str | None = None) -> None:
        use = f'; use the plan "{instead}"' if instead else ""
        super().__init__(f'the plan "{plan}" does not compute this network: {reason}{use}')
        self.reason = reason


def refusal(plan: str, model: nn.Module, reason: str) -> PlanError:
    """Return the error of a plan that cannot compute a network; it names one that can."""
    return PlanError(plan, reason, "lean" if why_not_known(model, layers=False) is None else "reference")


def reason_of(error: ValueError) -> str:
    """Return why a plan refused a network, without the plan's name."""
    return error.reason if isinstance(error, PlanError) else str(error)


class KnownPlace(NamedTuple):
    """A module of a network: its name, and what the plans take it for."""

    name: str
    module: nn.Module
    role: str


def why_not_known(model: nn.Module, *, layers: bool) -> str | None:
    """Return why the plans do not know a network, in one line, or None if they do.

    layers: whether convolutions, normalisations and the linear layer are checked too, which a plan that does
        not call them as modules must do.
    """
    if not isinstance(model, ResNet):
        return f"it needs a ResNet of this package, got {type(model).__name__}"
    if type(model) is not ResNet:
        return f"it needs a ResNet itself, got the subclass {type(model).__name__}"
    if is_changed(model):
        return "the network has hooks or its own forward"
    named = (
        model.named_children(),
        model.named_parameters(recurse=False),
        model.named_buffers(recurse=False),
    )
    extra = [name for found in named for name, _ in found if name not in PARTS]
    if extra:
        return f"the network has more than its own parts: {', '.join(extra)}"
    return why_not_known_parts(model, layers=layers)


def why_not_known_parts(model: nn.Module, *, layers: bool) -> str | None:
    """Return the same for a module with the parts of a `ResNet`, whatever its own type."""
    for name, module, role in places(model, layers=layers):
        if type(module) not in TYPES[role]:
            return f"{name} is {_an(type(module).__name__)}, which is not {_an(role)} that it knows"
        if is_changed(module):
            return f"{name} has hooks or its own forward"
        if isinstance(module, Bottleneck) and not _is_consistent(module):
            return f'{name} has between = "{module.between}", which does not fit its normalisations'
    return None


def _an(noun: str) -> str:
    return f"{'an' if noun[0] in 'AEIOU' else 'a'} {noun}"


def is_changed(module: nn.Module) -> bool:
    """Whether a module does more than the forward of its class: it has hooks, or its own forward."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )


def is_own(module: nn.Module) -> bool:
    """Whether a convolution, normalisation or path is exactly of PyTorch or this package, and unchanged.

    Its result is then a new tensor with no other user, so it may be overwritten.
    """
    if type(module) is Bottleneck:
        return not is_changed(module) and is_own(module.expand)
    return type(module) in (*CONVOLUTIONS, nn.BatchNorm2d) and not is_changed(module)


def call(module: nn.Module, x: Tensor) -> Tensor:
    """Return module(x) in memory that may be overwritten: a hook may keep it, a module may return x."""
    y: Tensor = module(x)
    return y if is_own(module) else y.clone()


def places(model: nn.Module, *, layers: bool) -> Iterator[KnownPlace]:
    """Yield the modules of a network before their children, which need not exist if they are others.

    layers: whether those are yielded that all plans but the compiled and folded ones call.
    """
    for place in _frame(model):
        if layers or place.role in FRAME:
            yield place
        if layers and type(place.module) is Bottleneck:
            yield from _steps(place.name, place.module)


def _frame(model: nn.Module) -> Iterator[KnownPlace]:
    octave = any(isinstance(block, OctBlock) for block in blocks(model.stages))  # type: ignore[arg-type]
    sequence = OCTAVE_SEQUENCE if octave else SEQUENCE
    roles = (CONVOLUTION, NORMALISATION, sequence, LINEAR)
    for part, role in zip(PARTS, roles, strict=True):
        yield KnownPlace(part, getattr(model, part), role)
    for number, stage in model.stages.named_children():  # type: ignore[union-attr]
        yield KnownPlace(f"stages.{number}", stage, sequence)
        for position, block in stage.named_children():
            name = f"stages.{number}.{position}"
            yield KnownPlace(name, block, BLOCK)
            yield from _layers(name, block)


def _layers(name: str, block: nn.Module) -> Iterator[KnownPlace]:
    """Yield the layers of a block, and what is in them."""
    layer, norm = (LAYER, BRANCHES) if isinstance(block, OctBlock) else (CONVOLUTION, NORMALISATION)
    for child, role in (
        ("conv1", layer),
        ("bn1", norm),
        ("conv2", layer),
        ("bn2", norm),
        ("shortcut", layer),
    ):
        module = getattr(block, child)
        if module is None and child == "shortcut":
            continue
        if isinstance(module, ZeroPadShortcut) and child == "shortcut":
            role = ZERO_PAD
        yield KnownPlace(f"{name}.{child}", module, role)
        if role not in (LAYER, BRANCHES):
            continue
        inner = PATH if role == LAYER else NORMALISATION
        for own, found in module.named_children():
            yield KnownPlace(f"{name}.{child}.{own}", found, inner)


def _steps(name: str, path: nn.Module) -> Iterator[KnownPlace]:
    assert isinstance(path, Bottleneck)
    for child, module in path.named_children():
        yield KnownPlace(f"{name}.{child}", module, NORMALISATION if child.endswith("_bn") else CONVOLUTION)


def _is_consistent(path: Bottleneck) -> bool:
    return [path.reduce_bn is None, path.spatial_bn is None] == [path.between == "none"] * 2
