"""An exact, analytical cost model for convolutions: standard, grouped, depthwise, Octave, Pointwise Octave.

Every formula is a pure function of sizes. It takes whole numbers and returns whole numbers, or takes
sympy symbols and returns the formula. Nothing here imports torch, but for the files that compare the
formulas with code that runs (`measure`, `verify`, `prove`).
"""

from typing import Any


def __getattr__(name: str) -> Any:
    """Look the version up when it is asked for: reading it takes longer than importing the package."""
    if name == "__version__":
        from importlib.metadata import version

        return version("pwoct-cost")
    raise AttributeError(f"module {__name__} has no attribute {name}")
