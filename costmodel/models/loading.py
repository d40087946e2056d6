"""Networks by name: built on the meta device where possible, so that weights take no memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from costmodel.failures import told
from costmodel.models.finding import attribute_of
from costmodel.models.foreign import foreign
from costmodel.models.inputs import Input, Inputs
from costmodel.models.libraries import default_input, make
from costmodel.models.names import Name, parse
from costmodel.tracing.lazy_layers import has_lazy_layers, materialise

WEIGHT_OPTIONS = ("pretrained", "weights", "weights_backbone", "checkpoint_path", "pretrained_backbone")
SEED = 0


@dataclass(frozen=True)
class Network:
    """A network that was built: the module, its device, and how to build it again on another one.

    `note` says why it is not on the meta device; `inputs` are those it is designed for, if known.
    """

    name: Name
    module: nn.Module
    device: str
    note: str = ""
    inputs: Inputs | None = None

    def on(self, device: str) -> Network:
        """Return the network on another device: built again, since the meta device holds no data."""
        return self if device == self.device else load(self.name.text, device=device)

    def with_data(self, inputs: Inputs) -> tuple[nn.Module, Sequence[Any], Mapping[str, Any]]:
        """Return the module and its inputs with data, for code that reads values of either."""
        module, (args, kwargs) = self.on("cpu").module, inputs.values("cpu")
        materialise(module, args, kwargs)
        return module, args, kwargs


def load(text: str, *, device: str | None = None, seed: int = SEED) -> Network:
    """Build a network by name, such as "timm:resnet50" or "net.py:UNet(width=64)", without weights.

    Args:
        text: A name; see `costmodel.models.names.parse`.
        device: "meta" or "cpu"; default: meta if the network can be built there, otherwise cpu.
        seed: Seed of its random weights, and of its structure if that is random.

    Raises:
        ValueError: if the name is invalid, or the network can't be built; the message says what failed.
    """
    name = parse(text)
    _refuse_weights(name)
    build = _builder(name)
    if device is not None:
        return _network(name, build, device, "", seed)
    try:
        return _network(name, build, "meta", "", seed)
    except ValueError as error:
        if not isinstance(error.__cause__, Exception):
            raise  # an invalid name is invalid on every device
        why = told(error.__cause__)
    note = f"{name.text} is built on the CPU, not on the meta device: {why}"
    return _network(name, build, "cpu", note, seed)


def _network(name: Name, build: Callable[[], nn.Module], device: str, note: str, seed: int) -> Network:
    torch.manual_seed(seed)  # so that a random structure is reproducible
    with torch.device(device):
        module = build()
    _check_tree(name, module)
    if device == "meta":
        module, device = _on_meta(module)
    return Network(name, module, device, note, _inputs(name, module))


def _check_tree(name: Name, module: nn.Module) -> None:
    try:
        nn.Module.apply(module, lambda _: None)
    except RecursionError:
        raise ValueError(f"{name.text} contains itself, or is nested too deeply to be run") from None


def _on_meta(module: nn.Module) -> tuple[nn.Module, str]:
    """Move the rest, such as buffers made from arrays; a ready module, which has values, stays as it is."""
    attributes = (value for part in module.modules() for value in vars(part).values())
    tensors = [*module.parameters(), *module.buffers(), *(v for v in attributes if isinstance(v, Tensor))]
    if tensors and not any(tensor.is_meta for tensor in tensors):
        return module, "cpu"
    for part in module.modules():
        for key, value in vars(part).items():
            if isinstance(value, Tensor):
                setattr(part, key, value.to("meta"))
    return module.to("meta"), "meta"


def _builder(name: Name) -> Callable[[], nn.Module]:
    if name.source == "builtin":
        return partial(_builtin, name)
    if name.source in ("timm", "torchvision"):
        return partial(make, name)
    if name.source == "convert":
        return partial(_converted, name)
    if name.source == "pt2":
        from costmodel.models.exported import exported

        return partial(exported, name.place)
    if name.source == "onnx":
        from costmodel.models.onnx_file import onnx_module

        return partial(onnx_module, name.place)
    with torch.device("cpu"):
        found = attribute_of(name)
    return partial(_called, name, found)


def _called(name: Name, found: Any) -> nn.Module:
    if isinstance(found, nn.Module):
        if name.text.endswith(")"):
            raise ValueError(f"{name.called} is a network already, and takes no arguments: {name.text}")
        return found
    if not callable(found):
        raise ValueError(f"{name.called} must be an nn.Module or make one, got {type(found).__name__}")
    call = name.text if name.text.endswith(")") else f"{name.called}()"
    with foreign(f"{call} failed"):
        made = found(*name.arguments, **name.options)
    if not isinstance(made, nn.Module):
        raise ValueError(f"{call} must return an nn.Module, got {type(made).__name__}")
    return made


def _converted(name: Name) -> nn.Module:
    """Build the original and convert it, planned on the original's default input unless another is given."""
    from pwoct.conversion import convert

    original = parse(name.place)
    _refuse_weights(original)
    module = _builder(original)()
    options = {"inputs": _example(original, module), **name.options}
    given = _given(options["inputs"])
    if given is not None and has_lazy_layers(module):
        materialise(module, *given.values(next(module.parameters()).device.type))
    try:
        return convert(module, **options)
    except TypeError as error:
        raise ValueError(f"{name.text}: {told(error)}") from None


def _example(name: Name, module: nn.Module) -> tuple[int, ...] | None:
    known = _inputs(name, module)
    return known.given[0].shape if known is not None and known.given else None


def _builtin(name: Name) -> nn.Module:
    from costmodel.networks.resnet import depth_of
    from pwoct.resnet import resnet

    if name.arguments:
        raise ValueError(f"options of a built-in network have names, such as alpha='1/4'; got {name.text}")
    depth = depth_of(name.attribute)
    try:
        return resnet(depth, **name.options)
    except TypeError as error:
        raise ValueError(f"{name.text}: {told(error)}") from None


def _refuse_weights(name: Name) -> None:
    options: Mapping[str, Any] = name.options
    wanted = [key for key in WEIGHT_OPTIONS if options.get(key) not in (None, False)]
    if wanted:
        raise ValueError(f"weights are never loaded, and costs need none: leave out {wanted[0]}: {name.text}")


def _inputs(name: Name, module: nn.Module) -> Inputs | None:
    if name.source == "convert":
        return _given(name.options.get("inputs")) or _inputs(parse(name.place), module)
    if name.source == "builtin":
        return Inputs((Input((1, 3, 32, 32)),))
    if name.source in ("timm", "torchvision"):
        shape = default_input(module, name.source)
        return Inputs((Input(shape),)) if shape else None
    inputs = getattr(module, "example_inputs_of_the_file", None)
    return inputs if isinstance(inputs, Inputs) else None


def _given(shapes: Any) -> Inputs | None:
    """Return the inputs on which a network is converted, if its name gives their shapes."""
    several = shapes if shapes and isinstance(shapes[0], tuple | list) else (shapes,)
    if not shapes or not all(isinstance(side, int) for shape in several for side in shape):
        return None
    return Inputs(tuple(Input(tuple(shape)) for shape in several))
