"""What torch must not do while sizes are symbols: draw weights, or choose an algorithm by the batch size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sympy as sp
import torch
from torch import nn
from torch.fx.experimental.symbolic_shapes import ShapeEnv

INITIALISED = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._NormBase)


class RecordingEnv(ShapeEnv):
    """torch's tracer, which records every condition: none is answered from known ranges of sizes.

    Finding these ranges takes a third of the time and saves hardly a condition; `decide` handles them all.
    """

    def _maybe_evaluate_static(  # type: ignore[override]
        self, expr: Any, *arguments: Any, **options: Any
    ) -> Any:
        if options.get("unbacked_only"):  # about data-dependent sizes
            return super()._maybe_evaluate_static(expr, *arguments, **options)
        return expr if expr.is_number or expr in (sp.true, sp.false) else None

    def _refine_ranges(self, expr: Any) -> None:
        """Learn nothing."""


def _nothing(layer: nn.Module) -> None:
    """Draw no weights."""


@contextmanager
def without_initial_weights() -> Iterator[None]:
    """Keep layers from drawing weights: the values affect no count, and drawing them needs concrete sizes."""
    originals = [(kind, kind.__dict__["reset_parameters"]) for kind in INITIALISED]
    drawn = {name: getattr(nn.init, name) for name in vars(nn.init) if name.endswith("_") and name[0] != "_"}
    for kind, _ in originals:
        setattr(kind, "reset_parameters", _nothing)  # noqa: B010 - mypy knows no assignment to methods
    for name in drawn:
        setattr(nn.init, name, lambda tensor, *_arguments, **_options: tensor)
    try:
        yield
    finally:
        for kind, original in originals:
            setattr(kind, "reset_parameters", original)  # noqa: B010
        for name, function in drawn.items():
            setattr(nn.init, name, function)


@contextmanager
def one_algorithm() -> Iterator[None]:
    """Keep torch from choosing a convolution's algorithm by the batch size, which would be a condition."""
    onednn: Any = torch.backends.mkldnn
    enabled, onednn.enabled = onednn.enabled, False
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        onednn.enabled = enabled


@contextmanager
def sizes_as_text() -> Iterator[None]:
    """Write a tracer's size as text with its sample value, and record that: a branch may depend on digits."""
    writers = ("__str__", "__repr__", "__format__")
    originals = {name: torch.SymInt.__dict__[name] for name in writers if name in torch.SymInt.__dict__}
    for name in writers:
        setattr(torch.SymInt, name, lambda size, *how: format(int(size), *how))
    try:
        yield
    finally:
        for name in writers:
            if name in originals:
                setattr(torch.SymInt, name, originals[name])
            else:
                delattr(torch.SymInt, name)
