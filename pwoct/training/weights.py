"""Loads weights from a file, the project's own or another program's, through common wrappers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from pwoct.training.checkpoint import CheckpointError, finite

# The keys under which programs save weights, and the prefixes that module wrappers add to names.
CONTAINERS = ("state_dict", "model_state_dict", "model", "net", "weights")
WRAPPERS = ("module.", "_orig_mod.")  # of DataParallel and DistributedDataParallel; of torch.compile


def load_weights(path: Path) -> dict[str, Tensor]:
    """Return the finite tensors of a .safetensors file, or of a .pth or .pt file that holds only tensors.

    They may lie under one of `CONTAINERS`, and their names may begin with `WRAPPERS`.

    Raises:
        CheckpointError: if the file cannot be read, holds anything else, or a value that is not finite.
    """
    found = _safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    weights = _unwrapped(path, found)
    if (name := finite(weights)) is not None:
        raise CheckpointError(f"{path}: the weights are not finite: {name}")
    return weights


def put_into(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load weights into a model.

    Raises:
        CheckpointError: if they belong to a different network; names what is missing or does not fit.
    """
    own = model.state_dict()
    lacking, foreign = [n for n in own if n not in weights], [n for n in weights if n not in own]
    misshapen = [
        f"{name} {tuple(weights[name].shape)}, not {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    parts = (("missing", lacking), ("unknown", foreign), ("of a different shape", misshapen))
    faults = [f"{kind}: {_first(names)}" for kind, names in parts if names]
    if faults:
        raise CheckpointError(f"the weights do not fit the network; {'; '.join(faults)}")
    model.load_state_dict(dict(weights))


def _safetensors(path: Path) -> Any:
    try:
        return load(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except (SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path}: no readable weights: not an intact .safetensors file") from error


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise
    except Exception as error:
        # torch's message is unsuitable: it is long, coloured, and advises running code from the file.
        raise CheckpointError(
            f"{path}: no readable weights: not an intact .pth file, or one that holds more than tensors, "
            "which could run code"
        ) from error


def _unwrapped(path: Path, found: Any) -> dict[str, Tensor]:
    while isinstance(found, dict) and (key := next((k for k in CONTAINERS if _holds(found, k)), None)):
        found = found[key]
    if (
        not isinstance(found, dict)
        or not found
        or not all(isinstance(value, Tensor) for value in found.values())
    ):
        raise CheckpointError(
            f"{path}: must hold a dict of tensors, or one under {', '.join(map(repr, CONTAINERS))}"
        )
    weights = {_bare(str(name)): value for name, value in found.items()}
    if len(weights) < len(found):
        raise CheckpointError(f"{path}: two tensors have one name without {' and '.join(WRAPPERS)}")
    return weights


def _holds(found: dict[Any, Any], key: str) -> bool:
    return isinstance(found.get(key), dict)


def _bare(name: str) -> str:
    """Return a name without the prefixes that wrappers add to it or to a part of it."""
    name = name.replace("_orig_mod.", "")
    while name.startswith(WRAPPERS):
        name = name.removeprefix("module.")
    return name


def _first(names: list[str], count: int = 3) -> str:
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")
