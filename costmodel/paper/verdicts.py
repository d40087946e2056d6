"""The text's claims: whether the printed tables, the formulas and the network as built bear each of them out.

A verdict is "yes" where the number, rounded to the printed digits, is the printed one; "fits" where it is
not, but some numbers that round to the printed cells give it; else "no". A missing source has nothing to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

from costmodel.paper.cells import BOTTLENECK, PLAIN, Cell, Count
from costmodel.paper.equations import layer_saving, octave_equations
from costmodel.paper.printed import Paper, PrintedRow, Statement, last_digit
from costmodel.report import Column, Table

YES, NO, FITS = "yes", "no", "fits"


@dataclass(frozen=True)
class Finding:
    """What one source says of a claim: a value as text, and whether it bears the claim out."""

    value: str
    verdict: str


Findings = Mapping[str, Finding]  # by source: tables, formulas, built


@dataclass(frozen=True)
class PaperCounts:
    """What claims are judged by: the rows, and the counts of parameters and MACs by row and layer."""

    paper: Paper
    cells: Mapping[tuple[str, str], Cell]  # by row and quantity
    layers: Mapping[str, Count] = field(default_factory=dict)  # of section 5.3; empty where none was counted

    def built(self, key: str, quantity: str) -> int:
        """Return a count of the network as built."""
        return self.cells[key, quantity].built

    def reading(self, key: str, quantity: str) -> int:
        """Return a count under the reading of the printed cells."""
        return self.cells[key, quantity].reading


def evidence(paper: Paper, found: list[Cell], layers: Mapping[str, Count] | None = None) -> PaperCounts:
    """Return the evidence that cells and counts of instantiated layers are."""
    return PaperCounts(paper, {(cell.row.key, cell.quantity): cell for cell in found}, layers or {})


def rounded(value: Fraction, printed: str) -> str:
    """Return a number with as many decimals as a printed one, halves rounded up.

    >>> rounded(Fraction(638, 10), "24.4"), rounded(Fraction(-1, 100), "2.8")
    ('63.8', '0.0')
    """
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    text = str(exact.quantize(last_digit(printed), rounding=ROUND_HALF_UP))
    return text.removeprefix("-") if Decimal(text) == 0 else text


def exactly(value: Fraction, printed: str) -> Finding:
    """Return a finding from an exact number."""
    text = rounded(value, printed)
    return Finding(text, YES if text == printed else NO)


def _fewer_params(claim: Statement, of: PrintedRow, against: PrintedRow, known: PaperCounts) -> Findings:
    assert claim.printed is not None
    return {
        "tables": _from_interval(
            _printed_reduction(of, against), _reduction_range(of, against), claim.printed
        ),
        "formulas": exactly(_reduction(of, against, known.reading), claim.printed),
        "built": exactly(_reduction(of, against, known.built), claim.printed),
    }


def _reduction(of: PrintedRow, against: PrintedRow, count: Callable[[str, str], int]) -> Fraction:
    return 100 * (1 - Fraction(count(of.key, "params"), count(against.key, "params")))


def _printed_reduction(of: PrintedRow, against: PrintedRow) -> Fraction:
    return 100 * (1 - Fraction(of.params) / Fraction(against.params))


def _reduction_range(of: PrintedRow, against: PrintedRow) -> tuple[Fraction, Fraction]:
    """The least and the most that numbers which round to the printed cells can give."""
    (low, high), (base_low, base_high) = _rounding_range(of.params), _rounding_range(against.params)
    return 100 * (1 - high / base_low), 100 * (1 - low / base_high)


def _rounding_range(printed: str) -> tuple[Fraction, Fraction]:
    half = Fraction(last_digit(printed)) / 2
    return Fraction(printed) - half, Fraction(printed) + half


def _from_interval(value: Fraction, limits: tuple[Fraction, Fraction], printed: str) -> Finding:
    text = rounded(value, printed)
    if text == printed:
        return Finding(text, YES)
    low, high = _rounding_range(printed)
    return Finding(text, FITS if limits[0] < high and low < limits[1] else NO)


def _accuracy_lost(claim: Statement, of: PrintedRow, against: PrintedRow, _: PaperCounts) -> Findings:
    return _accuracy_change(claim, Fraction(against.accuracy) - Fraction(of.accuracy))


def _accuracy_gained(claim: Statement, of: PrintedRow, against: PrintedRow, _: PaperCounts) -> Findings:
    return _accuracy_change(claim, Fraction(of.accuracy) - Fraction(against.accuracy))


def _accuracy_change(claim: Statement, change: Fraction) -> Findings:
    assert claim.printed is not None
    both = Fraction(1, 100)  # two accuracies, each off by at most half of its last digit
    return {"tables": _from_interval(change, (change - both, change + both), claim.printed)}


PAIRED: Mapping[str, tuple[str, Callable[[Statement, PrintedRow, PrintedRow, PaperCounts], Findings]]] = {
    "fewer_params": ("parameters saved", _fewer_params),
    "accuracy_lost": ("accuracy lost", _accuracy_lost),
    "accuracy_gained": ("accuracy gained", _accuracy_gained),
}


def _lowest_accuracy(claim: Statement, known: PaperCounts) -> Findings:
    rows = known.paper.by_key
    worst = [
        min(
            (rows[key] for key in (*claim.of, *claim.against) if rows[key].alpha == rows[best].alpha),
            key=_accuracy,
        )
        for best in claim.of
    ]
    holds = [row.key for row in worst] == list(claim.of)
    text = "; ".join(f"{row.path_text} at {float(row.alpha):g}" for row in worst)
    return {"tables": Finding(text, YES if holds else NO)}


def _accuracy(row: PrintedRow) -> Decimal:
    return Decimal(row.accuracy)


def _layer(quantity: str) -> Callable[[Statement, PaperCounts], Findings]:
    def judge(claim: Statement, known: PaperCounts) -> Findings:
        assert claim.printed is not None
        found = {"formulas": exactly(100 * layer_saving(quantity), claim.printed)}
        if known.layers:
            plain, compressed = (getattr(known.layers[name], quantity) for name in (PLAIN, BOTTLENECK))
            found["built"] = exactly(100 * (1 - Fraction(compressed, plain)), claim.printed)
        return found

    return judge


def _octave_params(_: Statement, known: PaperCounts) -> Findings:
    plain, octave = "1.1", "1.2"
    rows = known.paper.by_key
    by_formula = next(equation for equation in octave_equations() if equation.number == "8")
    equal = rows[plain].params == rows[octave].params
    return {
        "tables": Finding(f"{rows[plain].params} and {rows[octave].params}", YES if equal else NO),
        "formulas": Finding(f"difference {by_formula.difference}", YES if by_formula.holds else NO),
        "built": _equal(known.built(plain, "params"), known.built(octave, "params")),
    }


def _equal(a: int, b: int) -> Finding:
    return Finding(f"{a:,} and {b:,}", YES if a == b else NO)


def _octave_ratio(_: Statement, known: PaperCounts) -> Findings:
    """Compare alpha 1/4 with 3/4: Oct-56 in Table 1, one layer by formula, and the network as built."""
    rows, low, high = known.paper.by_key, "1.2", "1.4"
    quarter, three_quarters = (1 - Fraction(3, 4) * a * (2 - a) for a in (Fraction(1, 4), Fraction(3, 4)))
    return {
        "tables": _grows(Fraction(rows[low].macs or 0), Fraction(rows[high].macs or 0), "{:.2f}"),
        "formulas": _grows(quarter, three_quarters, "{:.3f}"),
        "built": _grows(Fraction(known.built(low, "macs")), Fraction(known.built(high, "macs")), "{:,.0f}"),
    }


def _grows(first: Fraction, second: Fraction, form: str) -> Finding:
    text = " then ".join(form.format(float(value)) for value in (first, second))
    return Finding(text, YES if second > first else NO)


SINGLE: Mapping[str, Callable[[Statement, PaperCounts], Findings]] = {
    "lowest_accuracy": _lowest_accuracy,
    "layer_macs": _layer("macs"),
    "layer_params": _layer("params"),
    "octave_params": _octave_params,
    "octave_ratio": _octave_ratio,
}


def findings(claim: Statement, known: PaperCounts) -> Iterator[tuple[str, Findings]]:
    """Yield a claim in words and what the sources say; of a claim about pairs of rows, once a pair."""
    if claim.kind in SINGLE:
        yield claim.says, SINGLE[claim.kind](claim, known)
        return
    what, judge = PAIRED[claim.kind]
    rows = known.paper.by_key
    for of, against in zip(claim.of, claim.against, strict=True):
        words = f"{rows[of].label} against {rows[against].label}: {what}"
        yield words, judge(claim, rows[of], rows[against], known)


SOURCES = {"tables": "tables", "formulas": "reading", "built": "as built"}


def claim_table(known: PaperCounts) -> Table:
    """Return one row per claim and pair of rows: the printed number, and what each source says of it."""
    rows = [
        _claim_row(claim, about, found)
        for claim in known.paper.claims
        for about, found in findings(claim, known)
    ]
    columns = [
        Column("where", "where"),
        Column("says", "claim"),
        Column("printed", "printed"),
        *(Column(source, heading) for source, heading in SOURCES.items()),
    ]
    title = "Claims of the text (reductions in %, accuracies in points), and whether they hold"
    return Table("claims", title, columns, rows)


def described(claim_rows: Table) -> list[dict[str, Any]]:
    """Return the rows of `claim_table` with values and verdicts apart, for JSON."""
    return [dict(row) for row in claim_rows.rows]


def _claim_row(claim: Statement, words: str, found: Findings) -> dict[str, Any]:
    row: dict[str, Any] = {
        "claim": claim.id,
        "where": claim.where,
        "says": words,
        "printed": claim.printed,
    }
    for source, finding in found.items():
        row[source] = f"{finding.value}: {finding.verdict}"
        row[f"{source}_value"], row[f"{source}_verdict"] = finding.value, finding.verdict
    return row
