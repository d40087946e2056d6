"""An exact, analytical cost model for convolutions: standard, grouped, depthwise, Octave, Pointwise Octave.

Every formula is a pure function of sizes. It takes whole numbers and returns whole numbers, or takes
sympy symbols and returns the formula. Nothing here imports torch, but for the files that compare the
formulas with code that runs (`measure`, `verify`, `prove`).
"""

from importlib.metadata import version

__version__ = version("pwoct-cost")
