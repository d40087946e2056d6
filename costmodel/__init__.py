"""An exact, analytical cost model for convolutions: standard, grouped, depthwise, Octave, Pointwise Octave.

    layer(...)      one layer: cost(), formula(), per_path()
    network(...)    a CIFAR ResNet: cost(), formula(), per_layer(), difference(other)
    grid(...)       many configurations at once; pareto(...) those that no other dominates
    trace(...)      any `nn.Module`: the operators that ran, and their costs
    verify(...)     formulas against independent counters; prove(...) against symbolic traces of the code

Costs are exact integers, or sympy expressions. Tables are `Rows`: `to_dict()` gives a list of dicts,
`to_frame()` a DataFrame if pandas is installed. Costs, networks, verifications and proofs have `to_dict()`;
`trace` returns a `Trace`, whose `total()` is a `Cost`. Each name is imported on first use, so that
`import costmodel` loads neither sympy nor torch; only trace, verify and prove need torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from costmodel.convention import Cost
    from costmodel.public.checked import Proofs, Verification, prove, verify
    from costmodel.public.layers import CostedLayer, layer
    from costmodel.public.many import grid, pareto
    from costmodel.public.networks import CostedNetwork, network
    from costmodel.public.rows import Rows
    from costmodel.tracing import trace

__all__ = [
    "Cost",
    "CostedLayer",
    "CostedNetwork",
    "Proofs",
    "Rows",
    "Verification",
    "grid",
    "layer",
    "network",
    "pareto",
    "prove",
    "trace",
    "verify",
]

_HOME = {
    "Cost": "costmodel.convention",
    "CostedLayer": "costmodel.public.layers",
    "CostedNetwork": "costmodel.public.networks",
    "Proofs": "costmodel.public.checked",
    "Rows": "costmodel.public.rows",
    "Verification": "costmodel.public.checked",
    "grid": "costmodel.public.many",
    "layer": "costmodel.public.layers",
    "network": "costmodel.public.networks",
    "pareto": "costmodel.public.many",
    "prove": "costmodel.public.checked",
    "trace": "costmodel.tracing",
    "verify": "costmodel.public.checked",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from costmodel.release import installed_release

        return installed_release()
    if name not in _HOME:
        raise AttributeError(f"module 'costmodel' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
