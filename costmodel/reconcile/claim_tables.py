"""What a printed number can mean, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.reconcile.claims import ClaimAnswer
from costmodel.report import Column, Table


def readings_table(answers: Sequence[tuple[str, ClaimAnswer]], most: int = 8) -> Table:
    """Return the simplest readings of each claim; the nearest one where none gives the printed digits."""
    rows = []
    for where, answer in answers:
        shown = answer.exact[:most] or ((answer.nearest,) if answer.nearest else ())
        rows += [
            {
                "claim": answer.figure.text,
                "input": where,
                "fits": bool(answer.exact),
                "value": reading.value,
                "complexity": reading.complexity,
                "off": reading.distance,
                "reading": reading.words,
            }
            for reading in shown
        ]
    columns = [
        Column("claim", "claim"),
        Column("input", "input"),
        Column("fits", "same digits", "verdict"),
        Column("value", "count", "count"),
        Column("off", "off by", "share"),
        Column("complexity", "steps from our MACs", "count"),
        Column("reading", "reading"),
    ]
    return Table("readings", "Readings that give the printed digits, simplest first", columns, rows)


def verdict(answer: ClaimAnswer) -> str:
    """Return in one sentence how much a number decides.

    It names no cause: what is known is which readings give the digits.
    """
    count = len(answer.exact)
    text = answer.figure.text
    if not count:
        return f"{text}: none of {answer.searched:,} readings gives these digits; the nearest is shown."
    others = "no other does" if count == 1 else f"{count - 1:,} others do too"
    return f"{text}: {answer.exact[0].words} gives these digits; of {answer.searched:,} readings {others}."
