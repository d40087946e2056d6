"""`pwoct-cost prove`: formulas and code agree on MACs, activations and parameters, for all sizes it names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.errors import CHECK_FAILED, say
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.terminal import followed
from costmodel.commands.shared.vocabulary import option

if TYPE_CHECKING:
    from costmodel.checks.prove import Claim

app = typer.Typer(add_completion=False)


class Subject(StrEnum):
    """What theorems are about."""

    operators = "operators"
    octave = "octave"
    networks = "networks"


@app.command()
def prove(
    ctx: typer.Context,
    subjects: Annotated[
        list[Subject] | None, typer.Argument(case_sensitive=False, help="What to prove. Default: all three.")
    ] = None,
    all: Annotated[bool, option("every-theorem")] = False,
    format: FormatOption = Format.table,
) -> None:
    """Run the layers' and networks' code on symbols, and show that traced minus formula is zero.

    It counts MACs, activations and parameters: of layers for all sizes, of networks for images 8h x 8w.
    Exit code 1 where a theorem is not proved.
    """
    from costmodel.checks import proof_report as tables
    from costmodel.checks.prove import prove as try_to_prove

    claims = list(_claims(subjects or list(Subject), every=all))
    theorems = list(followed(try_to_prove(claims), "theorems", len(claims)))
    shown = [tables.theorem_table(theorems), tables.grid_table(theorems), tables.failure_table(theorems)]
    shown = [table for table in shown if table.rows or format is Format.json]
    failed = [theorem for theorem in theorems if not theorem.holds]
    runs = sum(theorem.runs for theorem in theorems)
    summary = f"{len(theorems) - len(failed)} of {len(theorems)} theorems proved, {runs} symbolic runs."
    show("prove", shown, format, {"proved": not failed} | Question.of(ctx).said(), notes=[summary])
    for theorem in failed:
        why = theorem.failures[0] if theorem.failures else "nothing was run"
        say(f"pwoct-cost: not proved: {theorem.claim.name}: {why}")
    if failed:
        raise typer.Exit(CHECK_FAILED)


def _claims(subjects: Iterable[Subject], *, every: bool) -> Iterator[Claim]:
    from costmodel.checks.network_theorems import network_claims
    from costmodel.checks.octave_theorems import octave_claims
    from costmodel.checks.theorems import operator_claims

    if Subject.operators in subjects:
        yield from operator_claims(pairs=every)
    if Subject.octave in subjects:
        yield from octave_claims(every=every)
    if Subject.networks in subjects:
        yield from network_claims(every=every)
