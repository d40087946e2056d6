"""Execution plans: how a network is computed. Its function, parameters and state dict stay the same.

    model = resnet(56, alpha=0.5)
    forward = with_plan(model, plan_for(model, (128, 3, 32, 32), torch.bfloat16, training=True))
    loss = cross_entropy(forward(x), labels)     # gradients reach the parameters of `model`

Plans:
    "reference": the modules as they are written; every other plan is tested against it.
    "lean": the same convolutions with less work in between; for training and evaluation, also under autocast.
    "folded": a snapshot for inference with normalisation folded in; see `FoldedNetwork`.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pwoct.channels import check_choice
from pwoct.plan.folded import FoldedNetwork
from pwoct.plan.lean import LeanNetwork
from pwoct.resnet import ResNet

__all__ = ["PLANS", "FoldedNetwork", "LeanNetwork", "optimize_for_inference", "plan_for", "with_plan"]

PLANS = ("reference", "lean", "folded")


def plan_for(
    model: nn.Module, input_shape: Sequence[int], dtype: torch.dtype, training: bool, device: str = "cpu"
) -> str:
    """Return the name of the best plan; it depends on these arguments alone, never on a timing.

    input_shape: (n, in_channels, h, w). The plans were measured on CPUs; elsewhere it is the reference.

    Raises:
        ValueError: if the shape has not four positive sizes.

    >>> from pwoct.resnet import resnet
    >>> plan_for(resnet(8), (128, 3, 32, 32), torch.float32, training=True)
    'lean'
    """
    if len(input_shape) != 4 or min(input_shape) < 1:
        raise ValueError(f"input_shape must be (n, channels, h, w), got {tuple(input_shape)}")
    if device != "cpu" or not isinstance(model, ResNet):
        return "reference"
    return "folded" if not training and dtype in (torch.float32, torch.bfloat16) else "lean"


def with_plan(
    model: nn.Module,
    plan: str,
    *,
    size: tuple[int, int] = (32, 32),
    dtype: torch.dtype = torch.float32,
) -> nn.Module:
    """Return what computes `model` by a plan.

    By "reference" it is the model itself. By "lean" it is a module with the same children, and so with the
    same parameters and state dict. By "folded" it is a snapshot for images of `size`, computed in `dtype`.

    Raises:
        ValueError: if the plan is unknown, or if it needs a `ResNet` and `model` is none.

    >>> from pwoct.resnet import resnet
    >>> model = resnet(8, alpha=0.5)
    >>> with_plan(model, "lean").state_dict().keys() == model.state_dict().keys()
    True
    """
    check_choice("plan", plan, PLANS)
    if plan == "reference":
        return model
    if not isinstance(model, ResNet):
        raise ValueError(f"plan {plan!r} needs a ResNet of this package, got {type(model).__name__}")
    return LeanNetwork(model) if plan == "lean" else FoldedNetwork(model, size, dtype)


def optimize_for_inference(
    model: ResNet, size: tuple[int, int] = (32, 32), dtype: torch.dtype = torch.float32
) -> FoldedNetwork:
    """Return a snapshot of a trained network that computes as fast as the plans know.

    >>> import torch
    >>> from pwoct.resnet import resnet
    >>> optimize_for_inference(resnet(8, alpha=0.5))(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 10])
    """
    return FoldedNetwork(model, size, dtype)
