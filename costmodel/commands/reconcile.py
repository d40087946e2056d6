"""`pwoct-cost reconcile`: why two tools, or a paper and a tool, print different numbers for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.commands.shared.errors import CHECK_FAILED, MISSING_EXTRA, bad_input, fail, say
from costmodel.commands.shared.network import (
    NETWORK_HELP,
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    run_foreign,
    within,
)
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.vocabulary import option

if TYPE_CHECKING:
    from costmodel.reconcile.apart import Said
    from costmodel.reconcile.bridge import Prediction
    from costmodel.reconcile.events import Seen

app = typer.Typer(add_completion=False)


@app.command()
def reconcile(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(help=NETWORK_HELP)],
    input: InputOption = None,
    inputs: InputsOption = None,
    counter: Annotated[list[str] | None, option("counter")] = None,
    per_layer: Annotated[bool, option("every-layer")] = False,
    run: Annotated[bool, option("run-counters")] = False,
    claim: Annotated[list[str] | None, option("claim")] = None,
    claim_params: Annotated[str | None, option("claim-params")] = None,
    timeout: TimeoutOption = None,
    format: FormatOption = Format.table,
) -> None:
    """What each known counter says of a network, and every unit by which it differs from the MACs.

    With --run, installed counters are run too; a difference that their rules do not explain is exit code 1,
    and so is a counter that gives nothing. --per-layer shows the layers that are counted unlike ours.
    """
    question = Question.of(ctx)
    with bad_input():
        if run and (claim or claim_params):
            raise ValueError("--run compares counters, --claim explains a number: give one of them, got both")
        chosen = _chosen(counter)
        with within(timeout, network):
            found = asked(network, input, inputs)
            observed = _observed(found)
        predictions = _predictions(observed, chosen)
        if claim or claim_params:
            _show_claims(found, observed, predictions, claim or (), claim_params, format, question)
            return
    said = _said(found, predictions, timeout) if run else None
    _show(found, observed, predictions, said, format, question, per_layer=per_layer)
    if said is not None and not _agree(predictions, said):
        raise typer.Exit(CHECK_FAILED)


def _chosen(names: Sequence[str] | None) -> list[str]:
    from costmodel.reconcile.rules import ORDER

    asked_for = [name for text in names or () for name in text.lower().split(",")]
    if wrong := [name for name in asked_for if name not in ORDER]:
        raise ValueError(f"counter must be some of {','.join(ORDER)}, got {wrong[0] or 'nothing'}")
    return [name for name in ORDER if name in asked_for] or list(ORDER)


def _observed(found: NetworkOnInputs) -> Seen:
    from costmodel.reconcile.observe import observe

    args, kwargs = found.inputs.values(found.network.device)
    doing = f"{found.network.name.text} does not run on {found.inputs}"
    observed: Seen = run_foreign(doing, observe, found.network.module, args, kwargs)
    return observed


def _predictions(observed: Seen, names: Sequence[str]) -> list[Prediction]:
    """Return what each counter says; one that fails on such a network is named."""
    from costmodel.reconcile.bridge import predict
    from costmodel.reconcile.rules import counters

    predictions = []
    for name in names:
        try:
            predictions.append(predict(observed, counters()[name]))
        except ValueError as error:
            say(f"pwoct-cost: {error}")
    return predictions


def _said(
    found: NetworkOnInputs, predictions: Sequence[Prediction], timeout: float | None
) -> Mapping[str, Said]:
    from costmodel.reconcile.apart import TIMEOUT, Asked, ask
    from costmodel.reconcile.installed import installed_version, is_same_version

    question = Asked(found.network.name.text, tuple(map(str, found.inputs.given)), found.inputs.source)
    said = {}
    for one in predictions:
        version = installed_version(one.counter.name, one.counter.package)
        if version is None:
            continue
        if not is_same_version(version, one.counter.version):
            measured = f"the rules are of {one.counter.version}"
            say(f"pwoct-cost: {one.counter.name} {version} is installed; {measured}")
        (said[one.counter.name],) = ask(one.counter.name, [question], [one.total], timeout or TIMEOUT)
    if predictions and not said:
        names = ", ".join(one.counter.name for one in predictions)
        fail(f"--run needs a counter that is installed, got {names}: pip install 'pwoct-cost[counters]'",
             MISSING_EXTRA)  # fmt: skip
    return said


def _agree(predictions: Sequence[Prediction], said: Mapping[str, Said]) -> bool:
    """Say every difference, and return whether there is none; a counter that gives nothing does not agree."""
    agree = bool(said)
    for one in predictions:
        found = said.get(one.counter.name)
        if found is None:
            continue
        if found.error:
            agree = False
            say(f"pwoct-cost: {one.counter.name} gave nothing: {found.error}")
        elif found.total != one.total:
            agree = False
            say(f"pwoct-cost: {one.counter.name} says {found.total:,}, not {one.total:,}: {_place(found)}")
    return agree


def _place(found: Said) -> str:
    if found.where is None:
        return "no module alone differs"
    where = found.where
    inside = ", ".join(where["operators"]) or "nothing"
    return (
        f"in {where['path'] or '(model)'}, {where['type']}, it says {where['actual']:,},"
        f" the rules {where['predicted']:,} ({inside}); operators: {', '.join(where['ran']) or 'none'}"
    )


def _show_claims(
    found: NetworkOnInputs,
    observed: Seen,
    predictions: Sequence[Prediction],
    claims: Sequence[str],
    params: str | None,
    format: Format,
    question: Question,
) -> None:
    """Show which readings give printed numbers; parameters are those of the network, or not."""
    from costmodel.reconcile import claim_tables
    from costmodel.reconcile.claims import parse_figure, prints, search

    answers = [search(parse_figure(text), observed, predictions) for text in claims]
    fits = None if params is None else prints(observed.parameters, params)
    shape = " and ".join(found.inputs.shapes)
    remarks = [claim_tables.verdict(answer) for answer in answers]
    if fits is not None:
        verb = "are" if fits else "are not"
        remarks.append(f"{params}: the network's {observed.parameters:,} parameters {verb} printed so.")
    payload = {
        "model": found.network.name.text,
        "inputs": found.inputs.shapes,
        **question.said(),
        "params": observed.parameters,
        "params_fit": fits,
        "exact": [len(answer.exact) for answer in answers],
        "searched": [answer.searched for answer in answers],
    }
    table = claim_tables.readings_table([(shape, answer) for answer in answers])
    show("reconcile", [table], format, payload, [found.title], remarks)


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

    shown = [tables.totals_table(predictions, said)]
    shown += [tables.layers_table(predictions, observed)] if per_layer else []
    if format is not Format.table:
        shown += [tables.terms_table(predictions), tables.rules_table(predictions)]
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
