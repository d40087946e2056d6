"""Whether a network draws from Python's random generator, from which other threads may draw meanwhile."""

import random
import sys
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

_SHARED = random.random.__self__  # type: ignore[attr-defined]  # the generator of the module's functions


def draws_here(model: nn.Module, x: Tensor) -> bool:
    """Run a network, and return whether this thread draws from the generator of `random`.

    It does if a method of that generator runs. A network that cannot be watched, since it fails here or
    another profiler is active, is taken to draw.
    """
    if sys.getprofile() is not None:
        return True
    drawn: list[str] = []

    def watch(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            owner = getattr(called, "__self__", None)
        else:  # a method such as gauss may return what an earlier call kept
            is_method = event == "call" and frame.f_code.co_filename == random.__file__
            owner = frame.f_locals.get("self") if is_method else None
        if owner is _SHARED:
            drawn.append(event)

    sys.setprofile(watch)
    try:
        with torch.no_grad():
            model(x)
    except Exception:  # the network's own code runs, and raises anything
        return True
    finally:
        sys.setprofile(None)
    return bool(drawn)
