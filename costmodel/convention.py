"""The single definition of the convention: what is counted, in which unit, and how counts add up.

* The unit of work is the MAC, one multiply-accumulate; a FLOP count is twice the MACs and is labelled so.
* Convolutions and linear layers are counted in MACs, with the taps that fall on padding, for the given batch.
* Batch normalisation, bias, activation, pooling, upsampling and addition are counted separately, in element
  operations: normalisation 2 per element; bias, activation, addition and (before cropping) upsampling 1 per
  output element, pooling 1 per input element. Other networks also have softmax, 3 per element; reductions,
  1 per input element; and other arithmetic, 1 per output element.
* Activations are the output elements of convolutions and linear layers; the outputs of all other operators
  are counted separately.
* Memory traffic: each operator reads its inputs and weights once and writes its outputs once; no cache.
* Counts are exact: Python integers, or sympy expressions where a size is a symbol. There is no tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from operator import attrgetter
from typing import Any

import sympy as sp

from costmodel.sizes import Size, check_choice, whole

DTYPE_BYTES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int8": 1,
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What an operator costs, as exact numbers or formulas; costs add, scale and substitute.

    >>> three = Cost(weights=3, macs=12)
    >>> (three + three * 2).macs
    36
    """

    weights: Size = 0  # weights of convolutions and linear layers
    biases: Size = 0  # parameters
    bn_weights: Size = 0  # parameters of batch normalisation: scale and shift
    bn_buffers: Size = 0  # running mean and variance, which are not parameters
    macs: Size = 0  # forward
    macs_input_grad: Size = 0
    macs_weight_grad: Size = 0
    activations: Size = 0  # output elements of convolutions and linear layers
    other_outputs: Size = 0  # output elements of all other operators
    elements_read: Size = 0
    elements_written: Size = 0
    calls: Size = 0
    bias_ops: Size = 0
    bn_ops: Size = 0
    activation_ops: Size = 0
    pool_ops: Size = 0
    upsample_ops: Size = 0
    add_ops: Size = 0
    softmax_ops: Size = 0
    reduction_ops: Size = 0
    elementwise_ops: Size = 0  # other arithmetic and comparisons

    @property
    def params(self) -> Size:
        """All weights and biases, and scale and shift of batch normalisation, trainable or frozen."""
        return self.weights + self.biases + self.bn_weights

    @property
    def macs_training(self) -> Size:
        """MACs of a training step, with the gradients with respect to input and weights."""
        return self.macs + self.macs_input_grad + self.macs_weight_grad

    @property
    def element_ops(self) -> Size:
        """Element operations of everything that is not a convolution or a linear layer."""
        ops: Size = sum(getattr(self, name) for name in ELEMENT_OPS)
        return ops

    def bytes_read(self, dtype: str = "float32") -> Size:
        """Bytes that the operators read: inputs and weights, once each."""
        return self.elements_read * dtype_bytes(dtype)

    def bytes_written(self, dtype: str = "float32") -> Size:
        """Bytes that the operators write: outputs, once each."""
        return self.elements_written * dtype_bytes(dtype)

    def intensity(self, dtype: str = "float32") -> Fraction | sp.Expr:
        """Arithmetic intensity in MACs per byte (twice that in FLOPs per byte); 0 if nothing is moved."""
        moved = self.bytes_read(dtype) + self.bytes_written(dtype)
        if isinstance(self.macs, int) and isinstance(moved, int):
            return Fraction(self.macs, moved) if moved else Fraction(0)
        return self.macs / moved

    def __add__(self, other: Cost) -> Cost:
        pairs = zip(_values(self), _values(other), strict=True)
        return Cost(*(a + b if a and b else a or b for a, b in pairs))

    def __sub__(self, other: Cost) -> Cost:
        return self + other * -1

    def __mul__(self, times: Size) -> Cost:
        # Most quantities of an operator are 0, and sympy is slow to multiply by it.
        return self if times == 1 else Cost(*(value and value * times for value in _values(self)))

    __rmul__ = __mul__

    def map(self, function: Callable[[Size], Size]) -> Cost:
        """Return the cost with a function applied to every quantity."""
        return Cost(*map(function, _values(self)))

    def __radd__(self, other: object) -> Cost:
        """Let `sum` start from 0."""
        return self if other == 0 else NotImplemented

    def subs(self, values: Mapping[Any, Any]) -> Cost:
        """Return the cost with symbols, or names of symbols, replaced; whole numbers come back as integers.

        Raises ValueError if there is no symbol of a name.

        >>> c = sp.Symbol("c", positive=True, integer=True)
        >>> Cost(weights=9*c**2).subs({"c": 4}).params
        144
        """
        expressions = [value for value in _values(self) if isinstance(value, sp.Basic)]
        symbols = {symbol.name: symbol for value in expressions for symbol in value.free_symbols}
        if unknown := [key for key in values if isinstance(key, str) and key not in symbols]:
            known = f"there are {', '.join(sorted(symbols))}" if symbols else "it has none"
            raise ValueError(f"the cost has no symbol {', '.join(unknown)}: {known}")
        chosen = {symbols[key] if isinstance(key, str) else key: value for key, value in values.items()}
        return self.map(lambda value: whole(sp.sympify(value).subs(chosen)))

    def to_dict(self) -> dict[str, int | str]:
        """Return every quantity by its name: an integer, or the text of a formula.

        >>> Cost(weights=144, macs=9216).to_dict()["params"]
        144
        """
        names = dict.fromkeys((*_SUMS, *QUANTITIES))
        values = {name: getattr(self, name) for name in names}
        return {
            name: value if isinstance(value, int) else str(sp.factor_terms(value))
            for name, value in values.items()
        }

    def formula(self, quantity: str) -> str:
        """Return one quantity as text, with common factors taken out.

        >>> c, m = sp.symbols("c m", positive=True, integer=True)
        >>> Cost(weights=c*m + 9*m**2 + m*c).formula("weights")
        'm*(2*c + 9*m)'

        Raises ValueError if there is no such quantity.
        """
        return str(self._factored(quantity))

    def latex(self, quantity: str) -> str:
        """Return one quantity as LaTeX, with common factors taken out.

        Raises ValueError if there is no such quantity.
        """
        return str(sp.latex(self._factored(quantity)))

    def _factored(self, quantity: str) -> sp.Expr:
        check_choice("quantity", quantity, dict.fromkeys((*_SUMS, *QUANTITIES)))
        return sp.factor_terms(getattr(self, quantity))


_SUMS = ("params", "macs", "macs_training", "element_ops")
QUANTITIES: tuple[str, ...] = tuple(field.name for field in fields(Cost))
ELEMENT_OPS: tuple[str, ...] = tuple(name for name in QUANTITIES if name.endswith("_ops"))
_values: Callable[[Cost], tuple[Size, ...]] = attrgetter(*QUANTITIES)


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs, field by field; the sum of none is zero cost."""
    columns = zip(*map(_values, costs), strict=True)
    return Cost(*(sum(column) for column in columns))


def dtype_bytes(dtype: str) -> int:
    """Return the number of bytes per element of a dtype.

    >>> dtype_bytes("bfloat16")
    2
    """
    check_choice("dtype", dtype, DTYPE_BYTES)
    return DTYPE_BYTES[dtype]
