"""A conversion for the command line: its options, its layers for formulas, and a module to reproduce it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared.errors import CHECKPOINT, fail
from costmodel.commands.shared.network import run_foreign
from costmodel.operators.converted import ConvertedLayer

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from costmodel.models.names import Name
    from pwoct.conversion import Conversion

MODULE = '''"""{title}.

Written by: {command_line}
"""

from pathlib import Path

from torch import nn

import pwoct
from pwoct.training.weights import load_weights, put_into


def original() -> nn.Module:
    """Return the network that is converted."""
{build}


def network(trained: nn.Module | str | Path | None = None) -> nn.Module:
    """Return the converted network.

    trained: an original with weights, or a file of its weights (.safetensors, or .pt or .pth with only
        tensors). {taken}
    """
    start = trained if isinstance(trained, nn.Module) else original()
    if isinstance(trained, str | Path):
        put_into(start, load_weights(Path(trained)))
    return pwoct.convert(
        start,
{options}
    )
'''
TAKEN = {
    "random": "Layers that stay plain keep these weights; the others start from random ones.",
    "pretrained": "Octave layers start from these weights too: `pwoct.conversion_of` says what is lost.",
}


@dataclass(frozen=True)
class ConversionOptions:
    """The options of a conversion, as text from the command line."""

    alpha: str
    beta: str
    paths: str
    layers: Sequence[str] = ()
    width_rule: str = "out"
    stride_rule: str = "C"
    between: str = "none"

    def read(self) -> dict[str, Any]:
        """Return the options of `pwoct.convert`, without those that have their default."""
        from pwoct.conversion.options import parse_layers

        found: dict[str, Any] = {"alpha": self.alpha, "beta": self.beta, "paths": self.paths}
        if self.layers:
            found["layers"] = parse_layers(self.layers)
        rest = {"width_rule": self.width_rule, "stride_rule": self.stride_rule, "between": self.between}
        defaults = {"width_rule": "out", "stride_rule": "C", "between": "none"}
        return found | {key: value for key, value in rest.items() if value != defaults[key]}


def converted(name: Name, model: nn.Module, options: Mapping[str, Any]) -> nn.Module:
    """Return the converted network; the original's code is foreign.

    Raises ValueError if it can't be converted; the conversion's own messages stay unchanged.
    """
    from pwoct.conversion import convert

    def tried() -> nn.Module | ValueError:
        try:
            return convert(model, **options)
        except ValueError as error:
            return error

    found: nn.Module | ValueError = run_foreign(f"{name.text} can't be converted", tried)
    if isinstance(found, ValueError):
        raise found
    return found


def check_init(init: str) -> None:
    """Raise ValueError unless octave layers can have such weights."""
    from pwoct.channels import check_choice
    from pwoct.conversion.options import INITS

    check_choice("init", init, INITS)


def layers_of(conversion: Conversion, *, stride_rule: str, between: str) -> list[ConvertedLayer]:
    """Return the sizes of all octave layers of a converted network."""
    found = []
    for layer in conversion.converted:
        spec = layer.spec
        assert spec is not None
        found.append(
            ConvertedLayer(
                layer.name,
                (len(spec.layout_in.high), len(spec.layout_in.low)),
                (len(spec.layout_out.high), len(spec.layout_out.low)),
                *(spec.kernel, spec.size, spec.stride, spec.dilation, spec.groups, spec.bias, spec.kind),
                widths=spec.widths,
                stride_rule=stride_rule,
                between=between,
                batch=spec.batch,
            )
        )
    return found


def module_text(name: Name, options: Mapping[str, Any], command_line: str, init: str) -> str:
    """Return the source of a module whose `network()` builds the converted network in a user's own code."""
    title = f"{name.text} with octave convolutions in place of its own"
    pairs = [f"        {key}={value!r}," for key, value in options.items()]
    if init == "pretrained":
        pairs.append('        init="random" if trained is None else "pretrained",')
    build = "\n".join(f"    {line}".rstrip() for line in _building(name))
    values = {"title": title, "command_line": command_line, "build": build, "options": "\n".join(pairs)}
    return MODULE.format(taken=TAKEN[init], **values)


def read_into(original: nn.Module, path: Path) -> None:
    """Load a file's weights into a network; exit with code 5 if they can't be read or do not fit."""
    from pwoct.training.checkpoint import CheckpointError
    from pwoct.training.weights import load_weights, put_into

    try:
        put_into(original, load_weights(path))
    except CheckpointError as error:
        fail(str(error), CHECKPOINT)


def _building(name: Name) -> list[str]:
    """Return the lines that build the original, by its own library without this package if possible."""
    given = [*map(repr, name.arguments), *(f"{key}={value!r}" for key, value in name.options.items())]
    call = ", ".join([repr(name.attribute), *given])
    if name.source == "timm":
        return ["import timm", "", f"return timm.create_model({call})"]
    if name.source == "torchvision":
        return ["from torchvision import models", "", f"return models.get_model({call})"]
    if name.source == "builtin":
        return [f"return pwoct.build({call})"]
    if name.source == "module":
        module, called = name.place, name.attribute
        return [f"import {module}", "", f"return {module}.{called}({', '.join(given)})"]
    return [
        "from costmodel.models import load",
        "",
        f"return load({name.text!r}, device='cpu').module",
    ]
