"""The tables of `pwoct-cost equations`: the equations with their proofs, and when a bottleneck saves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

import sympy as sp

from costmodel.paper.break_even import PathSaving, limits, path_savings, r, saves_above_beta
from costmodel.paper.equations import equations, k, layer_saving
from costmodel.paper.printed import BETA
from costmodel.report import Column, Table
from costmodel.rounding import WIDTH_RULES

RATIO_HEADINGS = (Fraction(1, 3), Fraction(1), Fraction(2), Fraction(3), Fraction(6))
# Layers of the CIFAR ResNets: inside a stage, and at a stage change.
LAYERS = ((16, 16), (16, 32), (32, 32), (32, 64), (64, 64))


def equation_table() -> Table:
    """Return one row per equation: the paper's form, the derived form, and their difference."""
    rows = [
        {
            "equation": f"({equation.number})" if equation.number else equation.section,
            "says": equation.says,
            "paper": str(equation.paper),
            "derived": str(sp.factor(equation.derived)),
            "difference": str(equation.difference),
            "holds": equation.holds,
        }
        for equation in equations()
    ]
    columns = [
        Column("equation", "equation"),
        Column("says", "of"),
        Column("paper", "paper", "formula"),
        Column("derived", "derived", "formula"),
        Column("difference", "difference", "formula"),
        Column("holds", "equal", "verdict"),
    ]
    title = (
        "Equations: derived in c_H = (1 - alpha) c, c_L = alpha c, m = f/beta, m_H = c_H/beta, m_L = c_L/beta"
    )
    return Table("equations", title, columns, rows)


def saving_table() -> Table:
    """Return what equations (9) and (14) save at the sizes of section 5.3."""
    rows = [
        {"equation": number, "saves": quantity, "exact": str(saving), "change": -saving}
        for number, quantity, saving in (
            ("(9)", "MACs", layer_saving("macs")),
            ("(14)", "parameters", layer_saving("params")),
        )
    ]
    columns = [
        Column("equation", "equation"),
        Column("saves", "of"),
        Column("exact", "saving"),
        Column("change", "change", "percent"),
    ]
    return Table("savings", "Section 5.3: c = f = 16, w = 32, k = 3, beta = 2", columns, rows)


def beta_table(kernel: int) -> Table:
    """Return for each width rule the beta above which a bottleneck saves, by r = c_out/c_in."""
    ratios = {f"r_{ratio}": ratio for ratio in RATIO_HEADINGS}
    rows = []
    for rule in WIDTH_RULES:
        least = saves_above_beta(rule)
        values = {key: least.subs({r: sp.Rational(ratio), k: kernel}) for key, ratio in ratios.items()}
        rows.append({"rule": rule, "formula": str(least), **{key: _above(v) for key, v in values.items()}})
    columns = [
        Column("rule", "width rule"),
        Column("formula", "saves for beta above", "formula"),
        *(Column(key, f"r = {ratio}") for key, ratio in ratios.items()),
    ]
    title = f"Break-even in beta: r = c_out/c_in of the path; numbers for k = {kernel}"
    return Table("break_even_beta", title, columns, rows)


def _above(least: sp.Expr) -> str:
    return "any beta" if least < 1 else f"{float(least):.4f}"  # beta is at least 1


def alpha_table(betas: Sequence[Fraction], kernel: int) -> Table:
    """Return for each beta and path the alphas at which a bottleneck saves."""
    rows = [
        {
            "beta": str(beta),
            "layer": "c to 2c" if found.widening == 2 else "c to c",
            "path": found.path,
            "saves": found.text,
        }
        for beta in betas
        for found in limits(beta, kernel)
    ]
    columns = [
        Column("beta", "beta"),
        Column("layer", "layer"),
        Column("path", "path"),
        Column("saves", "a bottleneck saves for"),
    ]
    return Table("break_even_alpha", f"Break-even in alpha, width c_out/beta, k = {kernel}", columns, rows)


def layer_saving_table(alpha: Fraction, beta: Fraction = BETA, rule: str = "out", kernel: int = 3) -> Table:
    """Return what a bottleneck saves on each path of the CIFAR ResNets' layers, in integers."""
    rows = [_saving_row(sizes, found) for sizes, found in _savings(alpha, beta, rule, kernel)]
    columns = [
        Column("layer", "layer"),
        Column("path", "path"),
        Column("form", "bottleneck"),
        Column("plain", "plain", "count"),
        Column("bottleneck", "bottleneck", "count"),
        Column("change", "change", "percent"),
        Column("saves", "saves", "verdict"),
    ]
    title = f"Weights by path: alpha {alpha}, beta {beta}, width rule {rule}, {kernel}x{kernel}"
    return Table("path_savings", title, columns, rows)


def _savings(
    alpha: Fraction, beta: Fraction, rule: str, kernel: int
) -> Iterable[tuple[tuple[int, int], PathSaving]]:
    for sizes in LAYERS:
        for found in path_savings(*sizes, alpha, beta, rule, kernel):
            yield sizes, found


def _saving_row(sizes: tuple[int, int], found: PathSaving) -> dict[str, object]:
    return {
        "layer": f"{sizes[0]} → {sizes[1]}",
        "path": found.path,
        "form": f"{found.c_in} → {found.width} → {found.width} → {found.c_out}",
        "plain": found.plain,
        "bottleneck": found.bottleneck,
        "change": -found.saved,
        "saves": found.saved > 0,
    }
