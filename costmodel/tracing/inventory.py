"""A model's parameters, buffers and modules, whether or not they ran."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from torch import Tensor, nn

from costmodel.tracing.calls import Call, ModuleInfo, ParameterCounts
from costmodel.tracing.raw import storage_of

Identity = tuple[int, ...] | int


def identity(tensor: Tensor) -> Identity:
    """Return a key that tied parameters share: their memory, or their identity as objects."""
    if tensor.is_meta or not tensor.numel():
        return id(tensor)
    return (storage_of(tensor), tensor.storage_offset(), *tensor.shape, *tensor.stride())


def own_parameters(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    """Yield (module path, name, parameter), each parameter under each of its names."""
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                yield path, f"{path}.{name}" if path else name, parameter


def parameter_counts(
    model: nn.Module, calls: Iterable[Call], by_hand: Iterable[tuple[int, bool]] = ()
) -> ParameterCounts:
    """Count a model's parameters and buffers, each once, and list those that no call read.

    `by_hand` are parameters that ran but are not registered: their elements, and whether they are trainable.
    """
    first: dict[Identity, str] = {}
    tied: dict[str, str] = {}
    counts = {True: 0, False: 0}
    for _, name, parameter in own_parameters(model):
        known = first.setdefault(identity(parameter), name)
        if known != name:
            tied[name] = known
        else:
            counts[parameter.requires_grad] += parameter.numel()
    by_hand = [(int(elements), is_trained) for elements, is_trained in by_hand]
    for elements, is_trained in by_hand:
        counts[is_trained] += elements
    read = {name for call in calls for name in call.parameters}
    unused = tuple(name for name in first.values() if name not in read)
    buffers = {identity(b): b.numel() for _, b in model.named_buffers()}
    return ParameterCounts(
        counts[True],
        counts[False],
        sum(buffers.values()),
        sum(elements for elements, _ in by_hand),
        sum(elements for elements, is_trained in by_hand if not is_trained),
        tied,
        unused,
    )


def module_infos(model: nn.Module, executions: Mapping[str, int]) -> tuple[ModuleInfo, ...]:
    """Return every module of a model; a tied parameter belongs to the first module that has it."""
    seen: set[Identity] = set()
    own: dict[str, int] = {}
    for path, _, parameter in own_parameters(model):
        if identity(parameter) not in seen:
            seen.add(identity(parameter))
            own[path] = own.get(path, 0) + parameter.numel()
    return tuple(
        ModuleInfo(
            path,
            type(module).__name__,
            executions.get(path, 0),
            own.get(path, 0),
            sum(buffer.numel() for buffer in module._buffers.values() if buffer is not None),
        )
        for path, module in model.named_modules()
    )
