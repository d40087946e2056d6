"""The optimiser of a configuration, and an average of the weights over time."""

import copy
from collections import defaultdict

import torch
from torch import nn

from pwoct.training.config import Optimiser
from pwoct.training.muon import Muon

_LEAST_DIMENSIONS = {"all": 0, "matrices": 2, "convolutions": 4}


def make_optimiser(config: Optimiser, model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of all trainable parameters; `decay` says which of them decay.

    The learning rate of a group is its "share" of the schedule's.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if config.name == "muon":
        return _make_muon(config, trained)
    least = _LEAST_DIMENSIONS[config.decay]
    groups = [
        {"params": [p for p in trained if p.dim() >= least], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.dim() < least], "weight_decay": 0.0},
    ]
    groups = [{**group, "share": 1.0} for group in groups if group["params"]]
    if config.name == "adam":
        return torch.optim.Adam(groups, lr=config.lr, eps=1e-7, fused=True)
    return torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, fused=True
    )


def _make_muon(config: Optimiser, trained: list[nn.Parameter]) -> Muon:
    assert config.rest_lr is not None  # checked by the configuration
    kernel, least = _LEAST_DIMENSIONS["convolutions"], _LEAST_DIMENSIONS[config.decay]
    by_dimensions: dict[int, list[nn.Parameter]] = defaultdict(list)
    for parameter in trained:
        by_dimensions[parameter.dim()].append(parameter)
    groups = [
        {
            "params": parameters,
            "orthogonal": dimensions == kernel,
            "share": 1.0 if dimensions == kernel else config.rest_lr / config.lr,
            "weight_decay": config.weight_decay if dimensions >= least else 0.0,
        }
        for dimensions, parameters in by_dimensions.items()
    ]
    return Muon(groups, config.lr, config.momentum)


class Average:
    """An exponential moving average of a model's parameters and statistics, held in a second model.

    The decay starts low, (1 + t) / (10 + t) after t steps, so that the first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards `model`, which has made `step` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)
