"""Whole numbers that stand for all numbers: each carries an expression, and records what is asked of it.

Python code that computes with whole numbers runs on them unchanged. It takes the branch that one sample
takes, and every question that decided it (a comparison, a truth value, a use as an index) is
recorded as a condition. The result holds for all sizes for which the conditions hold, and for these by the
very code that prints numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy as sp

from costmodel.checks.proof.quotients import floor_of

Relation = type[sp.core.relational.Relational]

RELATIONS: Mapping[Callable[[Any, Any], Any], tuple[Relation, Relation]] = {
    operator.eq: (sp.Eq, sp.Ne),
    operator.ne: (sp.Ne, sp.Eq),
    operator.lt: (sp.Lt, sp.Ge),
    operator.le: (sp.Le, sp.Gt),
    operator.gt: (sp.Gt, sp.Le),
    operator.ge: (sp.Ge, sp.Lt),
}


@dataclass
class SizeRecord:
    """What a run asked of its sizes, and the quotients whose rounded values have a name."""

    quotients: Mapping[sp.Expr, sp.Expr] = field(default_factory=dict)
    conditions: dict[sp.Basic, None] = field(default_factory=dict)
    meet: Callable[[Any], Any] | None = None  # what a size becomes where it meets a size of another kind

    def size(self, expression: sp.Expr, value: int) -> Any:
        """Return a recorded size; a plain number where the expression is one."""
        return int(expression) if expression.is_Integer else Recorded(expression, value, self)

    def ask(self, difference: sp.Expr, value: int, relation: Callable[[Any, Any], Any]) -> bool:
        """Return how a difference of the sample compares with 0, and record that it does."""
        difference = sp.expand(difference)
        holds, fails = RELATIONS[relation]
        answer = bool(relation(value, 0))
        if not difference.is_Integer:
            self.conditions[(holds if answer else fails)(difference, 0, evaluate=False)] = None
        return answer

    def rounded(self, a: sp.Expr, b: sp.Expr) -> sp.Expr:
        """Return a quotient rounded down: a polynomial, the name that it has, or a floor."""
        quotient = sp.expand(a / b if b.is_Integer else sp.cancel(a / b))
        return self.quotients[quotient] if quotient in self.quotients else floor_of(quotient)


class Recorded:
    """A whole number: an expression, its value in the sample, and the record of what is asked of it.

    `isinstance(..., int)` is true of it, so that code takes the branch for integers. It is not a subclass of
    `int`: C code would read the sample out of one unnoticed, but calls `__index__` on any other object, which
    is recorded.
    """

    __slots__ = ("expr", "record", "value")

    def __init__(self, expr: sp.Expr, value: int, record: SizeRecord) -> None:
        self.expr, self.value, self.record = expr, value, record

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """The class that it stands for."""
        return int

    # Questions: each is recorded.

    def _compared(self, other: Any, relation: Callable[[Any, Any], Any]) -> Any:
        if type(other) is float:
            return relation(self._fixed(), other)
        number = _number(other)
        if number is None:
            return self._met(other, relation)
        expr, value = number
        return self.record.ask(self.expr - expr, self.value - value, relation)

    def _met(self, other: Any, combine: Callable[[Any, Any], Any]) -> Any:
        """Return what a tracer's size makes of this one."""
        if self.record.meet is None or type(other).__name__ != "SymInt":
            return NotImplemented
        return combine(self.record.meet(self), other)

    def __eq__(self, other: object) -> Any:
        return self._compared(other, operator.eq)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, operator.ne)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, operator.lt)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, operator.le)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, operator.gt)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, operator.ge)

    def __bool__(self) -> bool:
        return self.record.ask(self.expr, self.value, operator.ne)

    def _fixed(self) -> int:
        """Return the sample, and record that nothing but the sample is meant."""
        self.record.ask(self.expr - self.value, 0, operator.eq)
        return self.value

    def __hash__(self) -> int:
        return hash(self._fixed())

    def __index__(self) -> int:
        return self._fixed()

    def __int__(self) -> int:
        return self._fixed()

    def __float__(self) -> float:
        return float(self._fixed())

    # Arithmetic: recorded only where it rounds.

    def _combined(self, other: Any, combine: Callable[[Any, Any], Any]) -> Any:
        number = _number(other)
        if number is None:
            return self._met(other, combine)
        expr, value = number
        return self.record.size(combine(self.expr, expr), combine(self.value, value))

    def __add__(self, other: Any) -> Any:
        return self._combined(other, operator.add)

    __radd__ = __add__

    def __mul__(self, other: Any) -> Any:
        return self._combined(other, _expanded_product)

    __rmul__ = __mul__

    def __sub__(self, other: Any) -> Any:
        return self._combined(other, operator.sub)

    def __rsub__(self, other: Any) -> Any:
        return self._combined(other, lambda a, b: b - a)

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Any:
        return self

    def __invert__(self) -> Any:
        return -self - 1

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    def __pow__(self, exponent: Any, modulus: Any = None) -> Any:
        if modulus is not None or _number(exponent) is None:
            return pow(self._fixed(), exponent, modulus)
        power = operator.index(exponent)
        if power < 0:
            return self._fixed() ** power
        return self.record.size(sp.expand(self.expr**power), self.value**power)

    def __rpow__(self, base: Any) -> Any:
        return base ** self._fixed()

    def __lshift__(self, bits: Any) -> Any:
        return self * (1 << operator.index(bits))

    def __rshift__(self, bits: Any) -> Any:
        return self // (1 << operator.index(bits))

    def __and__(self, other: Any) -> Any:
        return self._fixed() & other

    def __or__(self, other: Any) -> Any:
        return self._fixed() | other

    def __xor__(self, other: Any) -> Any:
        return self._fixed() ^ other

    def _quotient(self, a: tuple[sp.Expr, int], b: tuple[sp.Expr, int]) -> tuple[Any, Any]:
        """Return a // b and a % b; a divisor that may be negative or 0 is recorded."""
        if not b[0].is_Integer:
            self.record.ask(b[0] - 1, b[1] - 1, operator.ge)
        if b[1] < 1:
            self._fixed()
            return divmod(a[1], b[1])
        value, rest = divmod(a[1], b[1])
        whole = self.record.rounded(a[0], b[0])
        return self.record.size(whole, value), self.record.size(sp.expand(a[0] - b[0] * whole), rest)

    def __divmod__(self, other: Any) -> Any:
        number = _number(other)
        return NotImplemented if number is None else self._quotient((self.expr, self.value), number)

    def __rdivmod__(self, other: Any) -> Any:
        number = _number(other)
        return NotImplemented if number is None else self._quotient(number, (self.expr, self.value))

    def __floordiv__(self, other: Any) -> Any:
        return _part(self.__divmod__(other), 0)

    def __rfloordiv__(self, other: Any) -> Any:
        return _part(self.__rdivmod__(other), 0)

    def __mod__(self, other: Any) -> Any:
        return _part(self.__divmod__(other), 1)

    def __rmod__(self, other: Any) -> Any:
        return _part(self.__rdivmod__(other), 1)

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Fraction) else self._fixed() / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self._fixed()

    # What every whole number has.

    def __floor__(self) -> Any:
        return self

    __ceil__ = __trunc__ = conjugate = __floor__

    def __round__(self, digits: int | None = None) -> Any:
        return self if digits is None or digits >= 0 else round(self._fixed(), digits)

    @property
    def numerator(self) -> Any:
        """Itself, as of every whole number."""
        return self

    real = numerator
    denominator, imag = 1, 0

    def is_integer(self) -> bool:
        """Return True, as of every whole number."""
        return True

    def bit_length(self) -> int:
        """Return the sample's, and record that."""
        return self._fixed().bit_length()

    def __deepcopy__(self, _memo: Any) -> Any:
        return self

    def __copy__(self) -> Any:
        return self

    # As text it is the sample: a branch may depend on its digits.

    def __repr__(self) -> str:
        return str(self._fixed())

    def __format__(self, how: str) -> str:
        return format(self._fixed(), how)


def is_recorded(value: Any) -> bool:
    """Return whether a value is a recorded size; `isinstance` would ask what it stands for."""
    return type(value) is Recorded


def expression(value: Any) -> sp.Expr:
    """Return the expression of a size, recorded or plain."""
    return value.expr if is_recorded(value) else sp.Integer(value)


def _number(value: Any) -> tuple[sp.Expr, int] | None:
    if is_recorded(value):
        return value.expr, value.value
    return (sp.Integer(int(value)), int(value)) if type(value) in (int, bool) else None


def _expanded_product(a: Any, b: Any) -> Any:
    # A sum or difference of expanded polynomials is expanded already; a product is not.
    return sp.expand(a * b) if isinstance(a, sp.Expr) else a * b


def _part(quotient: Any, index: int) -> Any:
    return quotient if quotient is NotImplemented else quotient[index]
