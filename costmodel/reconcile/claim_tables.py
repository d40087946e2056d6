"""What a printed number can mean, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.reconcile.claim_files import ClaimRow
from costmodel.reconcile.claims import ClaimAnswer
from costmodel.reconcile.rules import counters
from costmodel.reconcile.usage import OURS
from costmodel.report import Column, Table


def readings_table(answers: Sequence[tuple[str, ClaimAnswer]], most: int = 8) -> Table:
    """Return the simplest readings of each claim; the nearest one if none reproduces the published digits."""
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
                "params": reading.params,
                "off": reading.distance,
                "reading": reading.words,
            }
            for reading in shown
        ]
    fit = all(row["fits"] for row in rows)
    columns = [
        Column("claim", "claim", on_terminal=len(answers) > 1),
        Column("input", "input", on_terminal=len({where for where, _ in answers}) > 1),
        Column("fits", "same digits", "verdict", on_terminal=not fit),
        Column("value", "count", "count"),
        Column("off", "off by", "share", on_terminal=not fit),
        Column("params", "parameters", "count", on_terminal=False),
        Column("complexity", "steps", "count"),
        Column("reading", "reading"),
    ]
    return Table("readings", "Readings that reproduce the published digits, simplest first", columns, rows)


def verdict(answer: ClaimAnswer) -> str:
    """Return in a few sentences how much a number decides.

    It names no cause: what is known is which readings reproduce the digits.
    """
    count = len(answer.exact)
    text = answer.figure.text + (f" with {answer.params.text} parameters" if answer.params else "")
    if not count:
        return (
            f"{text}: none of {answer.searched:,} readings reproduces {_digits(answer)}; {_closest(answer)}"
        )
    others = {1: "no other reproduces", 2: "one other reproduces"}
    found = others.get(count, f"{count - 1:,} others reproduce")
    said = f"{text}: the simplest reading is {answer.exact[0].words}. Of {answer.searched:,} readings, "
    return f"{said}{found} {_digits(answer)}.{_undecided(answer)}"


def _digits(answer: ClaimAnswer) -> str:
    return "both numbers" if answer.params else "these digits"


def _closest(answer: ClaimAnswer) -> str:
    if answer.alone is None or answer.params is None:
        return "the nearest is shown."
    alone = answer.alone
    return (
        f"{alone.words} reproduces only {answer.figure.text}: the network has {alone.params:,} parameters, "
        f"not {answer.params.text}."
    )


def _undecided(answer: ClaimAnswer) -> str:
    """Return between which readings that are equally simple the number does not decide, and why."""
    first = answer.exact[0]
    tied = [one for one in answer.exact if one.complexity == first.complexity]
    if len(tied) == 1:
        same = len(first.names) > 1 and first.counted != first.names[0]
        return f" These {len(first.names)} count the same here." if same else ""
    values = [one.value for one in tied]
    families = tuple(dict.fromkeys(family for one in tied for family in one.families))
    shown = f" ({', '.join(map(_family, families))})" if families else ""
    within = max(values) - min(values)
    return (
        f" {len(tied)} counts are equally simple{shown}, and lie within {within:,} of each other, which "
        "these digits do not resolve: the number does not decide between them. First comes what the source "
        "is known to use, else what most public sources use."
    )


def _family(name: str) -> str:
    """Return how a family is named; that of a counter with relatives by all of them."""
    if name == OURS:
        return "our MACs"
    others = [one.name for one in counters().values() if one.family == name != one.name]
    return f"{name} or its relatives" if others else name


def file_table(rows: Sequence[tuple[ClaimRow, str, ClaimAnswer | None]]) -> Table:
    """Return a row for each claim of a file: its simplest reading, and how many others there are."""
    shown = []
    for claim, where, answer in rows:
        first = None if answer is None else answer.exact[0] if answer.exact else answer.nearest
        shown.append(
            {
                "model": claim.model,
                "input": where,
                "claim": claim.claim.text,
                "claim_params": claim.params.text if claim.params else None,
                "fits": bool(answer and answer.exact),
                "value": first.value if first else None,
                "off": first.distance if first else None,
                "others": max(len(answer.exact) - 1, 0) if answer else None,
                "agreeing": first.agreeing or None if first else None,
                "reading": first.words if first else "not counted",
                "source": claim.source or None,
            }
        )
    columns = [
        Column("model", "model"),
        Column("input", "input", on_terminal=False),
        Column("claim", "claim"),
        Column("claim_params", "params"),
        Column("fits", "same digits", "verdict"),
        Column("value", "count", "count"),
        Column("off", "off by", "share", on_terminal=False),
        Column("others", "others", "count"),
        Column("agreeing", "of its source", "count"),
        Column("reading", "simplest reading"),
        Column("source", "source", on_terminal=False),
    ]
    return Table("claims", "Claims, and the simplest reading of each", columns, shown)
