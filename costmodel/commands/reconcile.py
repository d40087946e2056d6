"""`pwoct-cost reconcile`: why two tools, or a paper and a tool, print different numbers for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.claiming import (
    answered,
    answers_anywhere,
    answers_on,
    by_source,
    observed_on,
    predictions_of,
    tried,
)
from costmodel.commands.shared.errors import CHECK_FAILED, MISSING_EXTRA, bad_input, fail, install_hint, say
from costmodel.commands.shared.network import (
    NETWORK_HELP,
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    within,
)
from costmodel.commands.shared.options import given_model
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.vocabulary import argument, option

if TYPE_CHECKING:
    from costmodel.reconcile.asking import Said
    from costmodel.reconcile.bridge import Prediction
    from costmodel.reconcile.events import Seen

app = typer.Typer(add_completion=False)


@app.command()
def reconcile(
    ctx: typer.Context,
    network: Annotated[str | None, argument("model", NETWORK_HELP)] = None,
    named_model: Annotated[str | None, option("any-model")] = None,
    input: InputOption = None,
    inputs: InputsOption = None,
    counter: Annotated[list[str] | None, option("counter")] = None,
    per_layer: Annotated[bool, option("every-layer")] = False,
    run: Annotated[bool, option("run-counters")] = False,
    claim: Annotated[list[str] | None, option("claim")] = None,
    claim_params: Annotated[str | None, option("claim-params")] = None,
    source: Annotated[str | None, option("claim-source")] = None,
    claims: Annotated[Path | None, option("claims-file")] = None,
    timeout: TimeoutOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Explain each known counter's result, and account for its whole difference from our MACs.

    With --run, installed counters are run too; exit code 1 if their rules do not explain a difference, or if
    a counter fails. --per-layer shows the layers that are counted differently.
    """
    with bad_input():
        network = given_model(network, named_model)
        question = Question.of(ctx, network=network, named_model=None)
        _check(network, run, claim, claim_params, source, claims)
        chosen = _chosen(counter, run)
        if claims:
            _show_file(claims, chosen, timeout, format, question)
            return
        assert network is not None
        if claim:
            given = (input, inputs)
            printed = (claim, claim_params, source or "")
            _show_claims(network, given, chosen, printed, timeout, format, question)
            return
        with within(timeout, network):
            found = asked(network, input, inputs)
            observed = observed_on(found)
        if not run:
            predictions = predictions_of(found, observed, chosen)
            _show(found, observed, predictions, None, format, question, per_layer=per_layer)
            return
        predictions, unpredicted = _tried(found, observed, chosen, named=bool(counter))
    asked_for = {one.counter.name: one.total for one in predictions} | dict.fromkeys(unpredicted)
    said = _said(found, asked_for, timeout)
    _show(found, observed, predictions, said, format, question, per_layer=per_layer)
    if not _agree(predictions, unpredicted, said):
        raise typer.Exit(CHECK_FAILED)


def _tried(
    found: NetworkOnInputs, observed: Seen, chosen: Sequence[str], *, named: bool
) -> tuple[list[Prediction], dict[str, ValueError]]:
    """Return the predictions, and the counters to run without one, with the reason.

    A counter that was not named, and whose view of a network is not known, is left out with a message.
    """
    from costmodel.reconcile.bridge import NoPriceError

    predictions, errors = tried(found, observed, chosen)
    kept = {name: error for name, error in errors.items() if named or isinstance(error, NoPriceError)}
    for name, error in errors.items():
        if name not in kept:
            say(f"pwoct-cost: {error}")
    return predictions, kept


def _check(
    network: str | None,
    run: bool,
    claim: object,
    claim_params: str | None,
    source: str | None,
    claims: Path | None,
) -> None:
    """Raise ValueError if options ask several questions, or none."""
    asks = [name for name, value in (("--run", run), ("--claim", claim), ("--claims", claims)) if value]
    if len(asks) > 1:
        raise ValueError(
            "--run compares counters, --claim and --claims explain published numbers: "
            f"give one of them, got {' and '.join(asks)}"
        )
    if claim_params and not claim:
        raise ValueError(
            f"--claim-params needs the count published with it, --claim 4.12G; got only {claim_params}"
        )
    if source is not None and not claim:
        raise ValueError(
            f"--source states where a --claim was published, got {source or 'nothing'} without --claim"
        )
    if (network is None) == (claims is None):
        got = "neither" if network is None else "both"
        raise ValueError(f"give a network, or a file of claims with --claims, got {got}")


def _chosen(names: Sequence[str] | None, run: bool) -> list[str]:
    """Return the named counters; default: all that need no exported file, or that can be run as requested."""
    from costmodel.reconcile.installed import installed_version
    from costmodel.reconcile.rules import ORDER, counters

    asked_for = [name for text in names or () for name in text.lower().split(",")]
    if wrong := [name for name in asked_for if name not in ORDER]:
        raise ValueError(f"counter must be some of {','.join(ORDER)}, got {wrong[0] or 'nothing'}")
    if asked_for:
        return [name for name in ORDER if name in asked_for]
    known = counters()
    return [
        name
        for name in ORDER
        if not known[name].reads_files or (run and installed_version(name, known[name].package) is not None)
    ]


def _said(
    found: NetworkOnInputs, expected: Mapping[str, int | None], timeout: float | None
) -> Mapping[str, Said]:
    """Run the counters that are installed; expected: what each should report, if that is known."""
    from costmodel.reconcile.asking import TIMEOUT, Asked, ask
    from costmodel.reconcile.installed import installed_version, is_same_version
    from costmodel.reconcile.rules import counters

    question = Asked(found.network.name.text, tuple(map(str, found.inputs.given)), found.inputs.source)
    said = {}
    for name, total in expected.items():
        rules = counters()[name]
        version = installed_version(name, rules.package)
        if version is None:
            continue
        if not is_same_version(version, rules.version):
            say(f"pwoct-cost: {name} {version} is installed; the rules are for version {rules.version}")
        (said[name],) = ask(name, [question], [total], timeout or TIMEOUT)
    if expected and not said:
        names = ", ".join(expected)
        fail(f"--run needs a counter that is installed, got {names}: {install_hint('counters')}",
             MISSING_EXTRA)  # fmt: skip
    return said


def _agree(
    predictions: Sequence[Prediction], unpredicted: Mapping[str, ValueError], said: Mapping[str, Said]
) -> bool:
    """Report every difference, and return whether there is none.

    A counter that fails, or whose report was not predicted, does not agree.
    """
    blind = [name for name in unpredicted if name in said]
    for name in blind:
        reports = said[name].error or f"it reports {said[name].total:,}"
        say(f"pwoct-cost: {unpredicted[name]}; {reports}")
    agree = bool(said) and not blind
    for one in predictions:
        found = said.get(one.counter.name)
        if found is None:
            continue
        if found.error:
            agree = False
            say(f"pwoct-cost: {one.counter.name} failed: {found.error}")
        elif found.total != one.total:
            agree = False
            say(f"pwoct-cost: {one.counter.name} reports {found.total:,}, not {one.total:,}: {_place(found)}")
    return agree


def _place(found: Said) -> str:
    if found.where is None:
        return "no single module differs"
    where = found.where
    inside = ", ".join(where["operators"]) or "nothing"
    return (
        f"in {where['path'] or '(model)'}, {where['type']}, it reports {where['actual']:,},"
        f" the rules {where['predicted']:,} ({inside}); operators: {', '.join(where['ran']) or 'none'}"
    )


def _show_claims(
    network: str,
    given: tuple[list[str] | None, str | None],
    names: Sequence[str],
    printed: tuple[Sequence[str], str | None, str],
    timeout: float | None,
    format: Format,
    question: Question,
) -> None:
    """Show which readings give printed numbers, each with the parameters beside it, and their source."""
    from costmodel.digits import parse_count, parse_parameters
    from costmodel.reconcile import claim_tables

    claims, params, source = printed
    figures = [parse_count(text) for text in claims]
    beside = None if params is None else parse_parameters(params)
    with within(timeout, network):
        if any(given):
            found = asked(network, *given)
            observed = observed_on(found)
            answers = answers_on(found, observed, figures, beside, names, source)
        else:
            found, observed, answers = answers_anywhere(network, figures, beside, names, source)
    payload = {
        "model": found.network.name.text,
        "inputs": found.inputs.shapes,
        **question.said(),
        "params": observed.parameters,
        "exact": [len(answer.exact) for _, answer in answers],
        "searched": [answer.searched for _, answer in answers],
    }
    remarks = [claim_tables.verdict(answer) for _, answer in answers]
    show("reconcile", [claim_tables.readings_table(answers)], format, payload, [found.title], remarks)


def _show_file(
    path: Path, names: Sequence[str], timeout: float | None, format: Format, question: Question
) -> None:
    """Show the simplest reading of each claim of a file."""
    from costmodel.reconcile.claim_files import read_claims
    from costmodel.reconcile.claim_tables import file_table

    rows = by_source(list(answered(read_claims(path), names, timeout)))
    explained = sum(bool(answer and answer.exact) for _, _, answer in rows)
    payload = {"file": str(path), **question.said(), "rows": len(rows), "explained": explained}
    remark = f"{explained} of {len(rows)} claims are reproduced by a reading."
    show("reconcile", [file_table(rows)], format, payload, [], [remark])


def _show(
    found: NetworkOnInputs,
    observed: Seen,
    predictions: Sequence[Prediction],
    said: Mapping[str, Said] | None,
    format: Format,
    question: Question,
    *,
    per_layer: bool,
) -> None:
    from costmodel.reconcile import tables

    terms = tables.terms_table(predictions)
    shown = [tables.totals_table(predictions, said)]
    shown += [terms] if terms.rows or format is not Format.table else []
    shown += [tables.layers_table(predictions, observed)] if per_layer else []
    shown += [tables.rules_table(predictions)] if format is not Format.table else []
    payload: dict[str, Any] = {
        "model": found.network.name.text,
        "inputs": found.inputs.shapes,
        **question.said(),
        "macs": observed.macs,
        "params": observed.parameters,
        "uncovered": list(observed.uncovered),
    }
    intro = [found.title, f"Ours: {observed.macs:,} MACs, {observed.parameters:,} parameters."]
    remarks = [f"No formula of ours covers {', '.join(observed.uncovered)}."] if observed.uncovered else []
    show("reconcile", shown, format, payload, intro, remarks)
