"""Where the paper contradicts itself: what it prints, what is known instead, and how that was checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction

from costmodel.paper.counting import PRINTED
from costmodel.paper.printed import Paper
from costmodel.report import Column, Table

MISPRINTED_ALPHA = "3.2"


def _alpha_check(paper: Paper) -> str:
    """Count the row's network at the alpha that is printed and at the one that is meant."""
    row = paper.by_key[MISPRINTED_ALPHA]
    assert row.printed_alpha is not None
    texts = []
    for alpha in (Fraction(row.printed_alpha), row.alpha):
        params, macs = (PRINTED.count(replace(row, alpha=alpha), quantity) for quantity in ("params", "macs"))
        texts.append(f"at {float(alpha):.2f} the reading gives {params:,} parameters and {macs:,} MACs")
    return f"{'; '.join(texts)}; the paper prints {row.params} million and {row.macs} x 10^8"


def _ratio_check(_: Paper) -> str:
    """Compute the ratio over the range of alpha."""
    values = {a: 1 - Fraction(3, 4) * a * (2 - a) for a in (Fraction(i, 4) for i in range(5))}
    return "at " + ", ".join(f"alpha {a} it is {value}" for a, value in values.items())


CHECKS: Mapping[str, Callable[[Paper], str]] = {"alpha": _alpha_check, "ratio": _ratio_check}


def slip_table(paper: Paper) -> Table:
    """Return one row per slip."""
    rows = [
        {
            "where": slip.where,
            "prints": slip.prints,
            "known": slip.known,
            "check": CHECKS[slip.id](paper) if slip.id in CHECKS else None,
        }
        for slip in paper.slips
    ]
    columns = [
        Column("where", "where"),
        Column("prints", "the paper says"),
        Column("known", "known"),
        Column("check", "checked"),
    ]
    return Table("slips", "Errata", columns, rows)
