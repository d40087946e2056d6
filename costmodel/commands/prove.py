"""`pwoct-cost prove`: proves that formulas and code agree on every layer, for all sizes of stated domains."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.checks import SUBJECTS
from costmodel.commands.shared.errors import CHECK_FAILED, bad_input, say, writing
from costmodel.commands.shared.network import (
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    is_own,
    refused,
    within,
)
from costmodel.commands.shared.options import needed_model
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.terminal import followed
from costmodel.commands.shared.vocabulary import option
from costmodel.text import parse_json, read_text

if TYPE_CHECKING:
    from costmodel.checks.foreign_proof import NetworkProof
    from costmodel.checks.prove import Claim, Theorem

app = typer.Typer(add_completion=False)


HELP = (
    f"What to prove: {', '.join(SUBJECTS)}; or a network of your own (timm:resnet50). Default: all subjects."
)


@app.command()
def prove(
    ctx: typer.Context,
    subjects: Annotated[list[str] | None, typer.Argument(metavar="[SUBJECT...|MODEL]", help=HELP)] = None,
    named_model: Annotated[str | None, option("any-model")] = None,
    input: InputOption = None,
    inputs: InputsOption = None,
    symbols: Annotated[list[str] | None, option("symbols")] = None,
    timeout: TimeoutOption = None,
    all: Annotated[bool, option("every-theorem")] = False,
    domains: Annotated[bool, option("domains")] = False,
    certificate: Annotated[Path | None, option("certificate")] = None,
    check: Annotated[Path | None, option("check-certificate")] = None,
    format: FormatOption = Format.table,
) -> None:
    """Prove that the formulas equal the traced counts, by running the code on symbolic sizes.

    Formulas, constructors and forward passes are run, and their counts are compared as expressions.

    For a MODEL, the closed form of its MACs is compared with torch's count on symbolic sizes; --format json
    has the formula of each layer. Certificates are for subjects only. Exit code 1 if something is not proved,
    or a step of a certificate does not hold.
    """
    question = Question.of(ctx)
    if check is not None:
        with bad_input():
            _check(check)
        return
    if named_model is not None:
        with bad_input():
            subjects = [needed_model(" ".join(subjects or ()) or None, named_model)]
        question = Question.of(ctx, subjects=subjects, named_model=None)
    known = [subject for subject in SUBJECTS if subject in map(str.lower, subjects or SUBJECTS)]
    if named_model is not None or len(known) < len(set(map(str.lower, subjects or SUBJECTS))):
        with bad_input():
            _prove_network(subjects or [], _Given(input, inputs, symbols, timeout), format, question)
        return
    with bad_input():
        question.without("needs a MODEL", ("input", "inputs", "symbols", "timeout"))
    from costmodel.checks.claims import claims_of

    _prove_subjects(list(claims_of(known, every=all)), certificate, format, question.said(), domains=domains)


@dataclass(frozen=True)
class _Given:
    """The inputs of a network, from its options."""

    input: list[str] | None
    inputs: str | None
    symbols: list[str] | None
    timeout: float | None


def _prove_network(names: list[str], given: _Given, format: Format, question: Question) -> None:
    """Prove the closed form of a network, and show it."""
    if len(names) > 1:
        known = ", ".join(SUBJECTS)
        raise ValueError(f"one network is proved at a time, or some of {known}; got {' '.join(names)}")
    question.without("cannot be used with a network", ("all", "domains", "certificate"))
    import sympy as sp

    from costmodel.checks import foreign_proof as proofs
    from costmodel.models.symbols import default, parse

    with within(given.timeout, names[0]):
        found = _found(names[0], given)
        axes = parse(given.symbols or default(found.inputs), found.inputs)
        proof = _proof(found, axes)
    tables = [proofs.proof_table(proof), proofs.failures_table(proof)]
    tables += [proofs.layers_table(proof)] if format is not Format.table else []
    payload = {
        "proved": proof.holds,
        "model": found.network.name.text,
        "inputs": found.inputs.shapes,
        "domain": proof.domain.text,
        "conditions": [sp.srepr(condition) for condition in proof.domain.conditions],
    }
    shown = [table for table in tables if table.rows or format is Format.json]
    show("prove", shown, format, payload | question.said(), [found.title])
    if not proof.holds:
        say(f"pwoct-cost: not proved: {found.network.name.text}: {proof.failures[0]}")
        raise typer.Exit(CHECK_FAILED)


def _proof(found: NetworkOnInputs, axes: Any) -> NetworkProof:
    """Return the proof of a network; exit with code 1 if no run of it stands for others."""
    from costmodel.checks.foreign_proof import prove_loaded

    with refused(f"not proved: {found.network.name.text}", running=True):
        return prove_loaded(found.network, found.inputs, axes)


def _prove_subjects(
    claims: list[Claim], certificate: Path | None, format: Format, said: dict[str, Any], *, domains: bool
) -> None:
    """Prove claims, write a certificate on request, and show the results."""
    from costmodel.checks.prove import prove as try_to_prove

    theorems = list(followed(try_to_prove(claims), "theorems", len(claims)))
    if certificate is not None:
        with bad_input():
            _write(certificate, theorems)
    _show(theorems, format, said, domains=domains)
    failed = [theorem for theorem in theorems if not theorem.holds]
    for theorem in failed:
        say(f"pwoct-cost: not proved: {theorem.claim.name}: {theorem.failures[0]}")
    if failed:
        raise typer.Exit(CHECK_FAILED)


def _found(name: str, given: _Given) -> NetworkOnInputs:
    try:
        return asked(name, given.input, given.inputs)
    except ValueError as error:
        if is_own(name):
            raise
        raise ValueError(
            f"{name} is not a subject ({', '.join(SUBJECTS)}), and as a network: {error}"
        ) from error


def _show(theorems: list[Theorem], format: Format, said: dict[str, Any], *, domains: bool) -> None:
    from costmodel.checks import proof_report as tables

    shown = [tables.theorem_table(theorems), tables.checked_table(theorems), tables.failure_table(theorems)]
    if domains or format is Format.json:
        shown.insert(1, tables.domain_table(theorems))
    shown = [table for table in shown if table.rows or format is Format.json]
    proved = [theorem for theorem in theorems if theorem.claim.kind == "proved"]
    holding = sum(theorem.holds for theorem in proved)
    runs = sum(len(theorem.runs) for theorem in proved)
    summary = f"{holding} of {len(proved)} theorems proved, {runs} runs."
    payload = {"proved": all(theorem.holds for theorem in theorems)} | said
    show("prove", shown, format, payload, notes=[summary])


def _write(path: Path, theorems: list[Theorem]) -> None:
    from costmodel.checks.proof.certificate import certificate

    with writing(path):
        path.write_text(json.dumps(certificate(theorems), indent=1), encoding="utf-8")


def _check(path: Path) -> None:
    from costmodel.checks.proof.check_certificate import faults

    text = read_text(path)
    try:
        content = parse_json(text)
        found = list(faults(content))
    except RecursionError as error:
        raise ValueError(f"{path} is not a certificate of prove: it is nested too deeply") from error
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
        raise ValueError(f"{path} is not a certificate of prove: {type(error).__name__}: {error}") from error
    for fault in found:
        say(f"pwoct-cost: {fault}")
    if found:
        raise typer.Exit(CHECK_FAILED)
    theorems = content["theorems"]
    runs = sum(len(theorem["runs"]) for theorem in theorems)
    typer.echo(f"every step holds: {len(theorems)} claims, {runs} runs")
