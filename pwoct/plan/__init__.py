"""Execution plans: how a network is computed. Its function, parameters and state dict stay the same.

    model = resnet(56, alpha=0.5)
    forward = with_plan(model, plan_for(model, (128, 3, 32, 32), torch.bfloat16, training=True))
    loss = cross_entropy(forward(x), labels)     # gradients reach the parameters of `model`

Plans:

* "reference": the modules as they are written; every other plan is tested against it.
* "lean": the same convolutions with less work in between; for training and evaluation, also under autocast.
* "blocked": training with this package's kernels, which need a C++ compiler; see `BlockedNetwork` and, for
  networks of other kinds, `BlockedGraph`.
* "folded": a snapshot for inference with normalisation folded in; see `FoldedNetwork`.
* "native": the same, computed by this package's kernels, which need a C++ compiler; see `NativeNetwork`. It
  takes any network whose operators have kernels.
"""

import copy
from collections.abc import Sequence

import torch
from torch import nn

from pwoct.channels import as_sizes, check_choice
from pwoct.conversion.checks import check_module
from pwoct.octave import OctConv
from pwoct.plan.compiled.blocked import BlockedNetwork, why_not_blocked
from pwoct.plan.compiled.blocked_graph import BlockedGraph, is_narrow, why_no_step
from pwoct.plan.compiled.library import load
from pwoct.plan.compiled.network import NativeNetwork, why_not_native
from pwoct.plan.compiled.operations import lanes_of
from pwoct.plan.folded.fold import why_not_folded
from pwoct.plan.folded.network import FoldedNetwork
from pwoct.plan.graph.trace import image_channels
from pwoct.plan.lean.converted import LeanConverted, is_converted, is_own_network, why_not_converted
from pwoct.plan.lean.network import LeanNetwork
from pwoct.plan.shared.choose import MEASURED_BYTES, fills_blocks, is_blocked, is_native
from pwoct.plan.shared.known import PlanError, why_not_known
from pwoct.plan.shared.snapshot import as_shape, as_size, check_dtype
from pwoct.resnet import ResNet

__all__ = [
    "PLANS",
    "BlockedGraph",
    "BlockedNetwork",
    "FoldedNetwork",
    "LeanConverted",
    "LeanNetwork",
    "NativeNetwork",
    "optimize_for_inference",
    "plan_for",
    "why_not",
    "with_plan",
]

PLANS = ("reference", "lean", "blocked", "folded", "native")
TRAINABLE = {"lean": LeanNetwork, "blocked": BlockedNetwork}
_NOT_CONVERTED = "a converted network is computed by native, blocked, lean or reference"


def plan_for(
    model: nn.Module, input_shape: Sequence[int], dtype: torch.dtype, training: bool, device: str = "cpu"
) -> str:
    """Return the name of the best plan that can compute the network, for these arguments and this machine.

    The choice never depends on a timing. A `ResNet` that differs from this package's, in types or by hooks,
    is computed by the reference, or by "lean" if only its convolutions and normalisations differ. Inference
    of any other network is "native" if its operators have kernels, which is found by recording it, and so is
    the training of narrow octave layers in float32 "blocked"; else, a network that `pwoct.convert` made is
    computed by "lean", and others by the reference.

    input_shape: (n, in_channels, h, w). The plans were measured on CPUs; elsewhere the reference is chosen.
    "blocked" and "native" are chosen where they were measured: with vectors of 32 and 64 bytes (AVX2,
    AVX-512), and in bfloat16 without tiles (AMX), with which the library multiplies several times as fast;
    octave layers nevertheless train with "blocked". They need a C++ compiler; compilation takes about 15
    seconds on first use.

    Raises:
        ValueError: if the shape does not have four positive sizes, or `dtype` is not a floating-point type.

    >>> from pwoct.resnet import resnet
    >>> plan_for(resnet(8), (100, 3, 32, 32), torch.float32, training=True)
    'lean'
    """
    _check(model, dtype)
    images, channels, *size = as_shape(input_shape)
    if device != "cpu":
        return "reference"
    if not is_own_network(model):
        fits = _trains_blocked if training else _is_native
        if fits(model, images, channels, (size[0], size[1]), dtype):
            return "blocked" if training else "native"
        return "reference" if why_not_converted(model) else "lean"
    if why_not_known(model, layers=False) is not None:
        return "reference"
    if training:
        return "blocked" if _is_blocked(model, images, (size[0], size[1]), dtype) else "lean"
    if dtype not in (torch.float32, torch.bfloat16) or why_not_folded(model) is not None:
        return "lean"
    if why_not_native(model, dtype) is not None or _has_tiles(dtype) or not _is_measured():
        return "folded"
    return "native" if is_native(model.width, images, lanes_of(dtype)) else "folded"


def why_not(
    plan: str,
    model: nn.Module,
    *,
    images: int = 128,
    size: tuple[int, int] = (32, 32),
    dtype: torch.dtype = torch.float32,
) -> str | None:
    """Return why a plan cannot compute a network on this machine, in one line, or None if it can.

    images: in a batch, for "blocked". size: (h, w) of the images. dtype: in which a snapshot computes.

    Raises:
        ValueError: if the plan is unknown, or `size` or `dtype` is not valid.

    >>> from pwoct.resnet import resnet
    >>> why_not("folded", resnet(8)) is None, why_not("lean", nn.Linear(1, 1))
    (True, 'it needs a ResNet of this package, got Linear')
    """
    check_choice("plan", plan, PLANS)
    _check(model, dtype)
    size, (images,) = as_size(size), as_sizes(images=images)
    if plan == "reference":
        return None
    if plan == "native":
        return why_not_native(model, dtype, size)
    if plan == "blocked" and not is_own_network(model):
        return why_no_step(model, images, size)
    if is_converted(model):
        return why_not_converted(model) if plan == "lean" else _NOT_CONVERTED
    if not isinstance(model, ResNet) or plan == "lean":
        return why_not_known(model, layers=False)
    if plan == "blocked":
        return why_not_known(model, layers=True) or why_not_blocked(model, images, size)
    return why_not_folded(model)


def _check(model: nn.Module, dtype: torch.dtype) -> None:
    check_module(model)
    check_dtype(dtype)


def _trains_blocked(
    model: nn.Module, images: int, channels: int, size: tuple[int, int], dtype: torch.dtype
) -> bool:
    """Whether "blocked" suits the training of a network with octave layers, and computes it."""
    is_octave = any(isinstance(module, OctConv) for module in model.modules())
    if not is_octave or dtype != torch.float32 or why_no_step(model, images) is not None:
        return False
    return _is_measured() and is_narrow(model, channels, size)


def _is_native(
    model: nn.Module, images: int, channels: int, size: tuple[int, int], dtype: torch.dtype
) -> bool:
    """Whether "native" suits a network of any kind, and computes it."""
    takes = dtype in (torch.float32, torch.bfloat16)
    if not takes or why_not_native(model, dtype, size, channels) is not None:
        return False
    return fills_blocks(images, lanes_of(dtype)) and _is_measured() and not _has_tiles(dtype)


def _is_blocked(model: ResNet, images: int, size: tuple[int, int], dtype: torch.dtype) -> bool:
    fits = is_blocked(model.width, size) and why_not_blocked(model, images, size) is None
    is_octave = any(isinstance(module, OctConv) for module in model.modules())
    return fits and _is_measured() and (is_octave or not _has_tiles(dtype))


def _has_tiles(dtype: torch.dtype) -> bool:
    return dtype == torch.bfloat16 and bool(load().pwoct_has_tiles())


def _is_measured() -> bool:
    return load().pwoct_vector_bytes() in MEASURED_BYTES


def with_plan(
    model: nn.Module,
    plan: str,
    *,
    size: tuple[int, int] = (32, 32),
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """Return a module that computes `model` by a plan.

    By "reference" it is the model itself. By "lean" and "blocked" it is a module with the same children, and
    so with the same parameters and state dict. By "folded" and "native" it is a snapshot for images of
    `size`, computed in `dtype`.

    Raises:
        ValueError: if the plan is unknown, `size` or `dtype` is invalid, or the plan cannot compute the model
            ("blocked" says so when it trains); see `why_not`.

    >>> from pwoct.resnet import resnet
    >>> model = resnet(8, alpha=0.5)
    >>> with_plan(model, "lean").state_dict().keys() == model.state_dict().keys()
    True
    """
    check_choice("plan", plan, PLANS)
    _check(model, dtype)
    size = as_size(size)
    if plan == "reference":
        return model
    if plan == "native":
        return NativeNetwork(model, size, dtype)
    if plan == "blocked" and not is_own_network(model):
        return BlockedGraph(model)
    if is_converted(model):
        if plan != "lean":
            raise PlanError(plan, _NOT_CONVERTED)
        return LeanConverted(model)
    if not isinstance(model, ResNet):
        raise ValueError(f"plan {plan!r} needs a ResNet of this package, got {type(model).__name__}")
    return TRAINABLE[plan](model) if plan in TRAINABLE else FoldedNetwork(model, size, dtype)


def optimize_for_inference(
    model: nn.Module, size: tuple[int, int] = (32, 32), dtype: torch.dtype = torch.float32, batch: int = 128
) -> nn.Module:
    """Return a snapshot of a trained network for inference, computed with the fastest plan that suits it.

    If no snapshot suits the network, a copy of it in evaluation mode is returned.

    size: (h, w) of the images. dtype: in which the snapshot computes. batch: images per batch; the plan is
    chosen for it.

    Raises:
        ValueError: if `size`, `dtype` or `batch` is not valid.

    >>> import torch
    >>> from pwoct.resnet import resnet
    >>> optimize_for_inference(resnet(8, alpha=0.5))(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    _check(model, dtype)
    channels, size = image_channels(model), as_size(size)
    plan = plan_for(model, (batch, channels, *size), dtype, training=False)
    if plan == "native":
        return NativeNetwork(model, size, dtype)
    if is_own_network(model):
        return FoldedNetwork(model, size, dtype)
    copied: nn.Module = copy.deepcopy(model).eval()
    return with_plan(copied, plan)
