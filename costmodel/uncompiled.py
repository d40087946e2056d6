"""Runs code that was given to `torch.compile` uncompiled, as it is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run compiled modules and functions in a block as they are written.

    They cost the same, and operators that are fused or hidden by a backend are seen. Where torch's compiler,
    which takes long to load, is not loaded, nothing has been given to it.
    """
    compiler = sys.modules.get("torch._dynamo")
    if compiler is None:
        yield
        return
    with compiler.set_stance("force_eager"):
        yield
