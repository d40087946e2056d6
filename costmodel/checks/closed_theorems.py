"""Closed forms under options of all kinds, at several alphas and betas, and as exported Python.

Each form has several options that are not the defaults, so that one that it drops changes a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from costmodel.checks.calculator_theorems import expression_of
from costmodel.checks.prove import Claim, Compared, Identity
from costmodel.checks.random_cells import identity
from costmodel.convention import Cost
from costmodel.networks.closed_form import alpha, beta, closed_form
from costmodel.networks.closed_form import n as blocks
from costmodel.networks.resnet import resnet
from costmodel.operators.octave import PATHS
from costmodel.operators.recorder import cost_of
from costmodel.tables.expressions import python

QUANTITIES = ("params", "macs", "macs_training", "activations", "element_ops", "elements_read", "calls")
EXPORTED = ("params", "macs", "element_ops")
h, w, images, classes = sp.symbols("h w images classes", integer=True, positive=True)
VALUES = {h: 24, w: 40, images: 3, classes: 7}


@dataclass(frozen=True)
class FormCase:
    """A closed form: its branches, its options, and the alphas and betas at which it is compared."""

    branches: str
    options: Mapping[str, Any]
    ratios: Sequence[tuple[str, str]]
    kinds: Sequence[str] = field(default=("floors",))


_PLAIN = {"shortcut": "A", "in_channels": 1, "classes": classes, "size": (h, w), "batch": images}
_PADDED = {"shortcut": "A", "size": (24, 40), "classes": 3, "paths": ["HL", "LL"], "batch": 2}
_SECOND = {
    "stage": 1,
    "paths": list(PATHS),
    "width": 12,
    "width_rule": "min",
    "between": "bn_relu",
    "batch": 3,
}
_FIRST = {"stage": 0, "paths": ["LL"], "stride_rule": "B", "size": (18, 33)}
FORMS: Sequence[FormCase] = (
    FormCase("H", _PLAIN, [("0", "2")]),
    FormCase("HL", _PADDED, [("1/4", "2"), ("3/8", "5/2"), ("7/8", "16")]),
    FormCase("HL", _SECOND, [("1/3", "3"), ("2/3", "12")]),
    FormCase("H", {"paths": ["HH"], "size": (8, 12)}, [("0", "2"), ("0", "16")]),
    FormCase("L", _FIRST, [("1", "3"), ("1", "16")]),
    FormCase("HL", {"stage": 2, "stride_rule": "A", "classes": 5}, [("1/8", "2")], kinds=("floors", "whole")),
)
# Formulas whose export needs integer quotients, or functions that are called otherwise.
ROUNDED: Sequence[sp.Expr] = (
    9 * sp.ceiling(h / 2) * sp.ceiling(w / 2),
    sp.floor((h + 1) / 3) ** 2 + h * sp.ceiling((w + h) / 4),
    (h * w + h * w**2) / 2 + sp.ceiling(sp.ceiling(h / 2) / 2),
    sp.floor(h / 5) - w,
    sp.floor(h / (2 * w)) + sp.ceiling(w / sp.ceiling(h / 2)),
    3 * sp.Max(5, h / 2) * sp.Min(h, w, 6) - sp.floor(sp.Max(h / 3, sp.Rational(5, 2))),
    (h + sp.Mod(3 * h, 4)) * (w + sp.Mod(-w, 5)) + sp.Abs(h - w),
    sp.Piecewise((h - 2, (h > 6) & sp.Ne(w, 7)), (w / 3, sp.Eq(sp.Mod(h, 3), 0)), (h * w, True)),
)


def closed_claims(*, every: bool = False) -> Iterator[Claim]:  # noqa: ARG001 - there are no others
    """Yield the claims about closed forms of other options, and about their export."""
    text = f"{len(FORMS)} forms of networks and of stages; sizes may be symbols; several alphas and betas"
    yield Claim("closed forms of other options = operators()", _forms, "checked", text)
    text = f"3 quantities of a network, and {len(ROUNDED)} formulas with quotients, maxima and choices"
    yield Claim("exported Python = formulas", _exports, "checked", text)


def _forms() -> Iterator[Identity]:
    for form in FORMS:
        for kind in form.kinds:
            yield identity(f"{kind} of {form.branches}, {dict(form.options)}", _form_pairs, form, kind)


def _form_pairs(title: str, form: FormCase, kind: str) -> Iterator[Compared]:
    cost = closed_form(form=kind, branches=form.branches, **form.options)
    for ratios in form.ratios:
        for count in (2, 4):
            values = {**VALUES, alpha: sp.Rational(ratios[0]), beta: sp.Rational(ratios[1]), blocks: count}
            wanted = _wanted(form, ratios, count)
            for name in QUANTITIES:
                found = expression_of(getattr(cost, name)).subs(values)
                where = f"{title} at alpha {ratios[0]}, beta {ratios[1]}, n {count}"
                yield Compared(where, name, sp.Integer(getattr(wanted, name)), found)


def _wanted(form: FormCase, ratios: tuple[str, str], count: int) -> Cost:
    numbers = {key: _number(value) for key, value in form.options.items()}
    batch, stage = numbers.pop("batch", 1), numbers.pop("stage", None)
    net = resnet(6 * count + 2, alpha=ratios[0], beta=ratios[1], **numbers)
    return cost_of(op for op in net.operators(batch) if stage in (None, op.place.stage))


def _number(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_number, value))
    return VALUES[value] if isinstance(value, sp.Symbol) else value


def _exports() -> Iterator[Identity]:
    yield identity("a network", _exported_form)
    yield identity("rounded sizes", _exported_sizes)


def _exported_form(title: str) -> Iterator[Compared]:
    cost = closed_form(form="whole", branches=FORMS[0].branches, **FORMS[0].options)
    points = [{**VALUES, blocks: count} for count in (2, 5)]
    for name in EXPORTED:
        yield from _exported(f"{title}: {name}", expression_of(getattr(cost, name)), points)


def _exported_sizes(title: str) -> Iterator[Compared]:
    points = [{h: high, w: wide} for high in range(1, 9) for wide in (1, 6, 7)]
    for formula in ROUNDED:
        yield from _exported(f"{title}: {formula}", formula, points)


def _exported(title: str, formula: sp.Expr, points: Sequence[Mapping[sp.Symbol, int]]) -> Iterator[Compared]:
    names = sorted(symbol.name for symbol in formula.free_symbols)
    written: dict[str, Any] = {}
    exec(python("exported", formula, names, "all sizes"), written)
    for point in points:
        values = {symbol.name: value for symbol, value in point.items()}
        wanted = formula.subs(point)
        if wanted.is_Integer:
            found = written["exported"](*(values[name] for name in names))
            yield Compared(title, f"at {values}", wanted, sp.Rational(found))
