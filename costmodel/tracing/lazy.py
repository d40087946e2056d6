"""Work that a run leaves for later, or for another thread, where nothing sees it."""

from __future__ import annotations

import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import Any

from costmodel.tracing.calls import UndefinedCostError

_HARMLESS = {"tqdm._monitor"}  # watches a progress bar, and computes nothing


@contextmanager
def one_thread() -> Iterator[None]:
    """Note the threads that this one starts in a block: torch's modes see one thread alone.

    Raises UndefinedCostError if there are any, unless the block itself raises.
    """
    here, start = threading.get_ident(), threading.Thread.start
    started: list[str] = []

    def noting(thread: threading.Thread) -> None:
        if threading.get_ident() == here and type(thread).__module__ not in _HARMLESS:
            started.append(type(thread).__name__)
        start(thread)

    setattr(threading.Thread, "start", noting)  # noqa: B010 - mypy knows no assignment to methods
    try:
        yield
    finally:
        setattr(threading.Thread, "start", start)  # noqa: B010
    if started:
        raise UndefinedCostError(
            f"(model) starts a thread ({started[0]}), and what runs in it is not counted"
        )


def check_done(outputs: Any) -> None:
    """Check that a run returns results, not code that is still to run.

    Raises UndefinedCostError.
    """
    if isinstance(outputs, Coroutine):
        outputs.close()  # or Python warns that nobody awaited it
    if isinstance(outputs, Iterator | Coroutine | FunctionType):
        raise UndefinedCostError(f"(model) returns a {type(outputs).__name__}, whose code has not run")
