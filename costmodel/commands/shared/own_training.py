"""External networks in training: how they are built by name, and their cost."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared.errors import MISSING_EXTRA, fail
from costmodel.commands.shared.network import is_own, run_foreign
from costmodel.convention import Cost
from costmodel.operators.recorder import cost_of

if TYPE_CHECKING:
    from pwoct.training.config import Config


@contextmanager
def own_networks() -> Iterator[None]:
    """Let the trainer build networks by the names that `cost` takes."""
    from pwoct.training.networks import built_by

    with built_by(_built):
        yield


def _built(name: str, seed: int) -> Any:
    """Return a network on the CPU, with initial weights from a seed.

    Raises:
        ValueError: if it can't be built, or comes from a file that has no code to train.
    """
    from costmodel.models import load
    from costmodel.models.libraries import MissingLibraryError
    from costmodel.tracing.lazy_layers import has_lazy_layers

    if name.lower().endswith((".pt2", ".onnx")):
        raise ValueError(f"{name} is a network without weights to train: name the code that makes it")
    try:
        module = load(name, device="cpu", seed=seed).module
    except MissingLibraryError as error:
        fail(str(error), MISSING_EXTRA)
    # A ready-made module in a file is trained as a copy, so that the next run starts from the same state. The
    # trainer refuses lazy layers, which can't be copied.
    return module if has_lazy_layers(module) else copy.deepcopy(module)


def config_cost(config: Config, shape: tuple[int, int, int]) -> Cost:
    """Return the cost of a configuration's network on one image (h, w, channels), by the formulas.

    For an external network, by the formulas of the operators that run.
    """
    from costmodel.commands.shared.training import formula_network

    h, w, channels = shape
    if not is_own(config.model.name):
        return cost_of(formula_network(config, (h, w)).operators())
    import torch

    from costmodel.models import load
    from costmodel.tracing.trace import trace

    network = load(config.model.name)
    image = torch.zeros(1, channels, h, w, device=network.device)
    found: Cost = run_foreign(f"{config.model.name} does not run", trace, network.module, (image,)).total()
    return found
