"""Optimisers of a configuration: which parameters are in which group; the average of the weights."""

import pytest
import torch
from torch import nn

from pwoct.training.config import ConfigError, Optimiser, compose
from pwoct.training.optimiser import Average, make_optimiser


def sgd(**values):
    return Optimiser(name="sgd", lr=0.1, **({"decay": "matrices"} | values))


def test_weight_decay_reaches_what_the_key_names():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    dimensions = {
        decay: {p.dim() for p in make_optimiser(sgd(decay=decay), model).param_groups[0]["params"]}
        for decay in ("all", "matrices", "convolutions")
    }
    assert dimensions == {"all": {1, 2, 4}, "matrices": {2, 4}, "convolutions": {4}}
    decaying, other = make_optimiser(sgd(weight_decay=2.5e-4), model).param_groups
    assert (decaying["weight_decay"], other["weight_decay"]) == (2.5e-4, 0)


def test_groups_of_a_configuration():
    values = {"optimiser": {"name": "muon", "lr": 0.02, "rest_lr": 0.2, "momentum": 0.9, "nesterov": True}}
    config = compose("fast", values=values | {"optimiser.weight_decay": 0.01, "optimiser.decay": "matrices"})
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 2))
    groups = {
        group["params"][0].dim(): group for group in make_optimiser(config.optimiser, model).param_groups
    }
    assert {dimensions: len(group["params"]) for dimensions, group in groups.items()} == {4: 1, 2: 1, 1: 4}
    told = {
        dimensions: (group["orthogonal"], group["share"], group["weight_decay"])
        for dimensions, group in groups.items()
    }
    assert told == {4: (True, 1, 0.01), 2: (False, pytest.approx(10), 0.01), 1: (False, pytest.approx(10), 0)}


def test_the_average_by_hand():
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.5)
    with torch.no_grad():
        model.weight.fill_(3.0)
        model.num_batches_tracked.fill_(7)
    average.update(model, 0)  # decay (1 + 0) / (10 + 0) = 0.1: 0.1 * 1 + 0.9 * 3
    assert average.model.weight.item() == pytest.approx(2.8)
    average.update(model, 1000)  # decay 0.5: (2.8 + 3) / 2
    assert average.model.weight.item() == pytest.approx(2.9)
    assert average.model.num_batches_tracked.item() == 7


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optimiser.name": "muon", "optimiser.rest_lr": None}, "muon needs a rest_lr"),
        (
            {"optimiser.name": "sgd", "optimiser.rest_lr": 0.1},
            r"sgd has no rest_lr \(only muon has\): set optimiser.rest_lr=none",
        ),
        ({"optimiser.name": "muon", "optimiser.rest_lr": 0.1, "optimiser.nesterov": False}, "Nesterov"),
    ],
)
def test_bad_configurations_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        compose("fast", values=values)
