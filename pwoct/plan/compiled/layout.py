"""What a recorded step depends on: the modules of a network, their options and their parameters."""

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

from torch import nn

from pwoct.octave import OctConv
from pwoct.plan.shared.known import CONVOLUTIONS, is_changed
from pwoct.pwise_octave import Bottleneck, PwiseOctConv
from pwoct.shortcut import ZeroPadShortcut

_CONVOLUTION = itemgetter(
    *("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
)
_LAYER = itemgetter("split_in", "split_out", "stride", "stride_rule")
# A momentum may change from step to step; only whether there is one is recorded.
_NORMALISATION = itemgetter("num_features", "eps", "affine", "track_running_stats")
_OPTIONS: dict[type[nn.Module], Callable[[Mapping[str, Any]], Any]] = {
    **dict.fromkeys(CONVOLUTIONS, _CONVOLUTION),
    **dict.fromkeys((OctConv, PwiseOctConv), _LAYER),
    Bottleneck: itemgetter("between"),
    ZeroPadShortcut: itemgetter("split_in", "split_out", "stride"),
    nn.BatchNorm2d: _NORMALISATION,
}


class Layout(NamedTuple):
    """All that was recorded of a network; two layouts are equal if the same step computes both.

    The modules are kept alive, so that no new module can reuse the id of a deleted one.
    """

    modules: list[nn.Module]
    options: list[tuple[Any, ...]]


def layout_of(model: nn.Module) -> Layout:
    """Return the modules of a network, whether they have hooks, their options and parameters.

    >>> model = nn.Conv2d(1, 1, 3, padding=1)
    >>> before = layout_of(model)
    >>> model.stride = (2, 2)
    >>> before == layout_of(model)
    False
    """
    modules = [model]
    for module in modules:  # including those appended meanwhile
        modules += [child for child in module._modules.values() if child is not None]
    return Layout(modules, [_options(module) for module in modules])


def _options(module: nn.Module) -> tuple[Any, ...]:
    kind, known = type(module), module.__dict__
    options = _OPTIONS.get(kind)
    parameters = [(id(p), p.requires_grad, p.dtype) for p in module._parameters.values() if p is not None]
    own = _plain(known) if options is None else options(known)
    return kind, is_changed(module), own, known.get("momentum") is None, parameters


def _plain(known: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a module of another kind was told: its attributes that are numbers, text or tuples."""
    return tuple(
        (name, value)
        for name, value in known.items()
        if isinstance(value, int | float | str | tuple | None) and not name.startswith("_")
    )
