"""Lazy layers of torch, whose parameters have no sizes before a first run."""

from torch import nn
from torch.nn.parameter import is_lazy


def has_lazy_layers(model: nn.Module) -> bool:
    """Whether parameters or buffers of a network have no sizes yet."""
    return any(map(is_lazy, (*model.parameters(), *model.buffers())))
