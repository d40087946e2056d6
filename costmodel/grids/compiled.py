"""Closed forms compiled to NumPy. Each serves all configurations in which the same branches have channels.

Which paths are bottlenecks enters a form through symbols that are 0 or 1; depth and base width are symbols
too. The rounding rule is repeated here in integer arithmetic, for columns of configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import sympy as sp

from costmodel.grids.factored import factored
from costmodel.grids.grid import BoolArray, IntArray, Ratios
from costmodel.networks.closed_form import (
    BOTTLENECKS,
    CHANNELS,
    BottleneckPlace,
    SymbolicDesign,
    choice_symbols,
    costs_of,
    network_operators,
    sum_of,
)
from costmodel.networks.network import Backbone
from costmodel.networks.stages import STAGES
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import Operator
from costmodel.sizes import Pair

# Blocks of a stage beyond the first and the last, and the base width.
inner, width = (sp.Symbol(name, integer=True, positive=True) for name in ("inner", "width"))


class Kind(NamedTuple):
    """The key of a form: the branches of each stage, and two special cases."""

    branches: tuple[str, str, str]
    single_block: bool = False  # n = 1
    is_plain: bool = False  # standard convolutions, which differ from octave ones with only high channels


class Setting(NamedTuple):
    """The settings that all configurations of a grid share."""

    quantities: tuple[str, ...]
    width_rule: str
    stride_rule: str
    between: str
    classes: int
    in_channels: int
    size: Pair
    batch: int
    stage: int | None
    shortcut: str = "B"


class Columns(NamedTuple):
    """Configurations as columns: n, base width, plain or not; each stage's betas, path masks, channels."""

    n: IntArray
    width: IntArray
    is_plain: BoolArray
    beta: tuple[Ratios, ...]
    paths: tuple[IntArray, ...]
    high: tuple[IntArray, ...]
    low: tuple[IntArray, ...]

    def take(self, index: Any) -> Columns:
        """Return some of the configurations."""
        return Columns(
            self.n[index],
            self.width[index],
            self.is_plain[index],
            tuple(ratio.take(index) for ratio in self.beta),
            *(tuple(column[index] for column in part) for part in (self.paths, self.high, self.low)),
        )


Reader: TypeAlias = Callable[[Columns], IntArray]


@dataclass(frozen=True)
class CompiledForm:
    """A compiled function of columns, with its symbols."""

    symbols: tuple[sp.Symbol, ...]
    readers: tuple[Reader, ...]
    function: Callable[..., list[Any]]

    def __call__(self, columns: Columns) -> list[Any]:
        """Return each quantity: an array, or one number if it is the same for all configurations."""
        return self.function(*(read(columns) for read in self.readers))

    def bound(self, n: int, width: int) -> int:
        """Return a number that no quantity exceeds for networks up to that n and base width.

        All coefficients of the forms are positive: with all symbols at their largest, so is the form.
        """
        most = (_largest_value(symbol, n, width) for symbol in self.symbols)
        return max(map(int, self.function(*most)))


def _largest_value(symbol: sp.Symbol, n: int, width: int) -> int:
    kind = symbol.name.split("_")[0]
    if kind in ("plain", "pwise"):
        return 1
    return max(1, n - 2) if kind == "inner" else width * 2 ** STAGES[-1]


@lru_cache(maxsize=512)
def compiled(setting: Setting, kind: Kind) -> CompiledForm:
    """Return the quantities of a setting as one function; symbols and common terms are evaluated once."""
    formulas = [factored(formula) for formula in symbolic_quantities(setting, kind)]
    symbols = sorted(set().union(*(formula.free_symbols for formula in formulas)), key=str)
    readers = _readers(setting.width_rule)
    return CompiledForm(
        tuple(symbols),
        tuple(readers[symbol] for symbol in symbols),
        sp.lambdify(symbols, formulas, modules="numpy", cse=True),
    )


def symbolic_quantities(setting: Setting, kind: Kind) -> list[sp.Expr]:
    """Return the quantities of a setting as polynomials in which all coefficients are positive."""
    costs = costs_of(_operators(setting._replace(quantities=(), stage=None), kind), setting.stage)
    return [sp.sympify(sum_of(costs, quantity)) for quantity in setting.quantities]


@lru_cache(maxsize=64)
def _operators(setting: Setting, kind: Kind) -> tuple[Operator, ...]:
    """Return the operators of any network of a kind; a setting's quantities and stage only select of them."""
    blocks = 1 if kind.single_block else inner + 2
    design = SymbolicDesign(width, kind.branches, None, setting.width_rule, setting.between, kind.is_plain)
    backbone = Backbone(
        1,
        width,
        setting.classes,
        setting.in_channels,
        setting.size,
        setting.stride_rule,
        setting.shortcut,
    )
    return tuple(network_operators(backbone, design, blocks, batch=setting.batch))


@cache
def _readers(width_rule: str) -> Mapping[sp.Symbol, Reader]:
    """Return, for each symbol of a form, a function that computes its values."""
    readers: dict[sp.Symbol, Reader] = {
        inner: lambda columns: columns.n - 2,
        width: lambda columns: columns.width,
    }
    for stage, (high, low) in enumerate(CHANNELS):
        readers[high] = partial(_high, stage)
        readers[low] = partial(_low, stage)
        for bit, path in enumerate(PATHS):
            plain, bottleneck = choice_symbols(path, stage)
            readers[plain] = partial(_is_plain, stage, bit)
            readers[bottleneck] = partial(_is_bottleneck, stage, bit)
    readers.update({place.width(width_rule): partial(_hidden, width_rule, place) for place in BOTTLENECKS})
    return readers


def _high(stage: int, columns: Columns) -> IntArray:
    return columns.high[stage]


def _low(stage: int, columns: Columns) -> IntArray:
    return columns.low[stage]


def _is_bottleneck(stage: int, bit: int, columns: Columns) -> IntArray:
    return columns.paths[stage] >> bit & 1


def _is_plain(stage: int, bit: int, columns: Columns) -> IntArray:
    return ~columns.paths[stage] >> bit & 1


def _hidden(rule: str, place: BottleneckPlace, columns: Columns) -> IntArray:
    """The rounding rule for widths: twice the channels, divided by 2 beta, rounded down, at least 1."""
    branches = {"H": columns.high, "L": columns.low}
    c_in, c_out = branches[place.path[0]][place.source], branches[place.path[1]][place.stage]
    beta = columns.beta[place.stage]
    rounded: IntArray = _TWICE[rule](c_in, c_out) * beta.denominator // (2 * beta.numerator)
    return np.maximum(rounded, 1)


_TWICE: Mapping[str, Callable[[IntArray, IntArray], IntArray]] = {
    "out": lambda _, c_out: 2 * c_out,
    "in": lambda c_in, _: 2 * c_in,
    "min": lambda c_in, c_out: 2 * np.minimum(c_in, c_out),
    "mean": lambda c_in, c_out: c_in + c_out,
}
