"""Detection of calls that are traced rather than computed: tracers, transformations, tensors without data.

The compiled kernels read and write memory by address. A tracer would miss them, and tensors without data have
no address.
"""

import torch
from torch import Tensor

from pwoct.layout import is_transformed

_KEYS = torch._C._TorchDispatchModeKey
_MODES = {
    _KEYS.FAKE: "a FakeTensorMode",
    _KEYS.PROXY: "make_fx",
    _KEYS.FUNCTIONAL: "functionalisation",
}


def tracer(*tensors: Tensor) -> str | None:
    """Return what traces this call or its tensors, or None if it only computes values.

    >>> tracer(torch.zeros(1))
    """
    if torch.compiler.is_compiling():
        return "torch.compile or torch.export"
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace"
    if is_transformed():
        return "torch.func"
    active = (name for key, name in _MODES.items() if torch._C._get_dispatch_mode(key) is not None)
    return next(active, None) or next(filter(None, map(_subclass, tensors)), None)


def _subclass(x: Tensor) -> str | None:
    """Return the name of a subclass that handles operators itself, as FakeTensor and DTensor do."""
    handled = type(x).__torch_dispatch__ is not torch._C._disabled_torch_dispatch_impl
    return type(x).__name__ if handled else None


def check_untraced(plan: str, *tensors: Tensor) -> None:
    """Check that a plan of compiled kernels can compute this call.

    Raises:
        RuntimeError: if something traces its operators; the message names the plan to use instead.
    """
    found = tracer(*tensors)
    if found is not None:
        raise RuntimeError(
            f'the plan "{plan}" cannot be traced by {found}, which does not see its kernels: '
            'use the plan "lean"'
        )
