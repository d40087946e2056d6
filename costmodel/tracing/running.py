"""Runs a module under a recorder: sets the mode, supplies tensors, and words errors."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from costmodel.failures import told
from costmodel.tracing.calls import TraceError
from costmodel.tracing.lazy import check_done, one_thread
from costmodel.tracing.patched import torch_unchanged
from costmodel.tracing.recorder import DispatchRecorder, Places
from costmodel.uncompiled import uncompiled

_FAKE_LOG = logging.getLogger("torch._subclasses.fake_tensor")


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Let operators run by their definitions, so that no fused fast path hides a product.

    Attention runs as two products and a softmax, and recurrent layers step by step; gradients are enabled.
    Code that `torch.compile` was given runs as it is written.
    """
    onednn: Any = torch.backends.mkldnn
    fused: Any = torch.backends.mha
    before = onednn.enabled, fused.get_fastpath_enabled()
    level = _FAKE_LOG.level
    onednn.enabled = False
    fused.set_fastpath_enabled(False)
    try:
        with ExitStack() as stack:
            stack.enter_context(torch.backends.nnpack.flags(enabled=False))
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(torch.enable_grad())
            stack.enter_context(uncompiled())
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            _FAKE_LOG.setLevel(logging.CRITICAL)  # an error that we report ourselves
            yield
    finally:
        _FAKE_LOG.setLevel(level)
        onednn.enabled = before[0]
        fused.set_fastpath_enabled(before[1])


def call(model: nn.Module, recorder: DispatchRecorder, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run a model and record it.

    Raises TraceError, which names the module and operator that failed, or says that its cost is not defined.
    """
    try:
        with torch_unchanged(), one_thread(), recorder.recording():
            outputs = model(*args, **kwargs)
        recorder.places.check_thread()
        check_done(outputs)
        return outputs
    except TraceError:
        raise
    except Exception as error:
        raise TraceError(failure(error, recorder)) from error


def failure(error: BaseException, recorder: DispatchRecorder) -> str:
    """Return one line that says where a model failed, and why."""
    place = _module_of(error.__traceback__, recorder.places) or recorder.places.path
    operator = recorder.failed_in(error)
    if isinstance(error, NotImplementedError) and "HigherOrderOperator" in str(error):
        name = operator or "a higher-order operator"
        return f"{place or '(model)'} calls {name}, which takes functions: what runs in them is not counted"
    return f"{place or '(model)'} fails{f' in {operator}' if operator else ''}: {told(error)}"


def _module_of(traceback: TracebackType | None, places: Places) -> str | None:
    """Return the path of the innermost module of the model in whose code an error arose."""
    found = None
    while traceback is not None:
        module = traceback.tb_frame.f_locals.get("self")
        path = places.path_of(module) if isinstance(module, nn.Module) else None
        found = path if path is not None else found
        traceback = traceback.tb_next
    return found


def positional(args: Any) -> Sequence[Any]:
    """Return the positional inputs of a module; a lone tensor is a single one."""
    return (args,) if isinstance(args, Tensor) else args
