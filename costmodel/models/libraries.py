"""Networks of timm and torchvision, by the names of these libraries; never with pretrained weights."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

from torch import nn

from costmodel.models.foreign import foreign
from costmodel.models.names import Name

DEFAULT_INPUT = (3, 224, 224)


class MissingLibraryError(ValueError):
    """A library that a name needs is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(f"{library} is not installed: pip install {library}")
        self.library = library


def make(name: Name) -> nn.Module:
    """Return a library's network.

    Raises MissingLibraryError if the library is not installed, ValueError if it has no such network.
    """
    if find_spec(name.source) is None:
        raise MissingLibraryError(name.source)
    return _timm(name) if name.source == "timm" else _torchvision(name)


def default_input(module: nn.Module, source: str) -> tuple[int, ...] | None:
    """Return the input shape for which a library's network is designed, with a batch of 1."""
    if source == "torchvision":
        return 1, *DEFAULT_INPUT
    config = getattr(module, "pretrained_cfg", None) or {}
    size = config.get("input_size")
    return (1, *size) if size else None


def _timm(name: Name) -> nn.Module:
    with foreign("can't import timm"):
        import timm
    if not timm.is_model(name.attribute.split(".")[0]):
        raise ValueError(_unknown("timm", name.attribute, timm.list_models()))
    with foreign(f"{name.text} failed"):
        made: nn.Module = timm.create_model(name.attribute, *name.arguments, pretrained=False, **name.options)
    return made


def _torchvision(name: Name) -> nn.Module:
    with foreign("can't import torchvision"):
        from torchvision import models
    known = models.list_models()
    if name.attribute not in known:
        raise ValueError(_unknown("torchvision", name.attribute, known))
    builder = models.get_model_builder(name.attribute)
    without = {key: None for key in inspect.signature(builder).parameters if key.startswith("weights")}
    options: dict[str, Any] = {**_quiet_options(builder), **without, **name.options}
    with foreign(f"{name.text} failed"):
        made: nn.Module = builder(*name.arguments, **options)
    return made


def _quiet_options(builder: Any) -> dict[str, Any]:
    """Skip the slow initialisation from a truncated normal distribution: weight values do not matter."""
    return {"init_weights": False} if builder.__name__ in ("googlenet", "inception_v3") else {}


def _unknown(library: str, name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 3)
    return f"{library} has no network {name}" + (f"; did you mean {', '.join(near)}?" if near else "")
