"""Printed numbers of one network, or of many in a file, and the readings that give them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from costmodel.commands.shared.errors import MISSING_EXTRA, fail, say
from costmodel.commands.shared.network import NetworkOnInputs, asked, run_foreign, within

if TYPE_CHECKING:
    from costmodel.digits import PrintedCount
    from costmodel.reconcile.bridge import Prediction
    from costmodel.reconcile.claim_files import ClaimRow
    from costmodel.reconcile.claims import ClaimAnswer
    from costmodel.reconcile.events import Seen
    from costmodel.reconcile.rules import Rules
    from costmodel.reconcile.variants import OtherRun

USUAL_SIDES = (224, 256, 299, 320, 384, 512, 640, 112, 160, 192, 240, 331)
OTHER_SIZE = 2  # steps that a reading costs more if its input was not given


def observed_on(found: NetworkOnInputs, **form: Any) -> Seen:
    """Return what runs when a network is called on its inputs, perhaps in another form (`observe`).

    Raises ValueError if it does not run.
    """
    from costmodel.reconcile.observe import observe

    args, kwargs = found.inputs.values(found.network.device)
    doing = f"{found.network.name.text} does not run on {found.inputs}"
    form = {**form, "values": partial(found.network.with_data, found.inputs)}
    observed: Seen = run_foreign(doing, observe, found.network.module, args, kwargs, **form)
    return observed


def predictions_of(found: NetworkOnInputs, observed: Seen, names: Sequence[str]) -> list[Prediction]:
    """Return the prediction of each counter; one that can't be predicted is named.

    Raises ValueError if none can.
    """
    predictions, errors = tried(found, observed, names)
    if errors and not predictions:
        raise next(iter(errors.values()))
    for failed in errors.values():
        say(f"pwoct-cost: {failed}")
    return predictions


def tried(
    found: NetworkOnInputs, observed: Seen, names: Sequence[str]
) -> tuple[list[Prediction], dict[str, ValueError]]:
    """Return the prediction of each counter, and by name why there is none."""
    from costmodel.reconcile.rules import counters

    predictions: list[Prediction] = []
    errors: dict[str, ValueError] = {}
    for name in names:
        try:
            predictions.append(_prediction(found, observed, counters()[name]))
        except ValueError as error:
            errors[name] = error
    return predictions, errors


def _prediction(found: NetworkOnInputs, observed: Seen, rules: Rules) -> Prediction:
    """Return a counter's report; for a counter that reads files, on the exported network."""
    from costmodel.models.libraries import MissingLibraryError
    from costmodel.reconcile.bridge import predict

    if not rules.reads_files:
        return predict(observed, rules)
    from costmodel.reconcile.exporting import observe_exported, predict_exported

    try:
        network = found.network.on("cpu")
        args, kwargs = found.inputs.values("cpu")
        doing = f"{rules.name} reads ONNX files"
        exported: Seen = run_foreign(doing, observe_exported, network.module, args, kwargs)
    except MissingLibraryError as error:
        fail(str(error), MISSING_EXTRA)
    return predict_exported(observed, exported, rules)


def answers_anywhere(
    name: str,
    figures: Sequence[PrintedCount],
    params: PrintedCount | None,
    names: Sequence[str],
    source: str = "",
) -> tuple[NetworkOnInputs, Seen, list[tuple[str, ClaimAnswer]]]:
    """Return readings on the network's default input or, if it gives none, on usual inputs.

    Raises ValueError if the network runs on none of them.
    """
    first = None
    found: list[tuple[str, ClaimAnswer]] = []
    for on in _usual(name):
        try:
            observed = observed_on(on)
        except ValueError:
            if on.inputs is on.network.inputs:
                raise
            continue
        answers = answers_on(on, observed, figures, params, names, source)
        if first is None:
            first, found = (on, observed), answers
        found = [_better(*pair) for pair in zip(found, answers, strict=True)]
        if all(answer.exact for _, answer in found):
            break
    if first is None:
        raise ValueError(f"{name} runs on no square image of a usual size: --input 1,3,224,224")
    return *first, found


def answers_on(
    on: NetworkOnInputs,
    observed: Seen,
    figures: Sequence[PrintedCount],
    params: PrintedCount | None,
    names: Sequence[str],
    source: str = "",
) -> list[tuple[str, ClaimAnswer]]:
    """Return the readings of each figure on one input, with its shapes."""
    from costmodel.reconcile.claims import search
    from costmodel.reconcile.usage import Provenance

    predictions = predictions_of(on, observed, names)
    others = _others(on, observed, names)
    shape = " and ".join(on.inputs.shapes)
    printed = Provenance(source, on.network.name.source)
    return [(shape, search(figure, observed, predictions, params, others, printed)) for figure in figures]


def _others(on: NetworkOnInputs, observed: Seen, names: Sequence[str]) -> tuple[OtherRun, ...]:
    """Return other runs of a network; one in which it does not run was never counted."""
    from costmodel.reconcile.rules import counters
    from costmodel.reconcile.variants import other_runs

    def observe(**form: bool) -> Seen | None:
        try:
            return observed_on(on, **form)
        except ValueError:
            return None

    return other_runs(
        observed, observe, [counters()[name] for name in names if not counters()[name].reads_files]
    )


def _better(old: tuple[str, ClaimAnswer], new: tuple[str, ClaimAnswer]) -> tuple[str, ClaimAnswer]:
    if old[1].exact or new is old:
        return old
    searched = old[1].searched + new[1].searched
    if new[1].exact:
        exact = tuple(replace(one, complexity=one.complexity + OTHER_SIZE) for one in new[1].exact)
        return new[0], replace(new[1], exact=exact, searched=searched)
    pair = [one for one in (old, new) if one[1].nearest is not None]
    where, nearest = min(pair, key=lambda one: one[1].nearest.distance if one[1].nearest else 0.0)
    return where, replace(nearest, searched=searched)


def _usual(name: str) -> Iterator[NetworkOnInputs]:
    """Yield a network on its default input, then on square images of usual sizes."""
    from costmodel.models.inputs import parse

    found = asked(name, ["1,3,224,224"], None)
    meant = found.network.inputs
    if meant is not None:
        yield NetworkOnInputs(found.network, meant)
    for side in USUAL_SIDES:
        yield NetworkOnInputs(found.network, parse([f"1,3,{side},{side}"]))


def by_source(
    rows: Sequence[tuple[ClaimRow, str, ClaimAnswer | None]],
) -> list[tuple[ClaimRow, str, ClaimAnswer | None]]:
    """Return the answers to the claims of a file; claims of one source inform each other."""
    from costmodel.reconcile.claims import agreed

    found = list(rows)
    for source in {row.source for row, _, _ in rows if row.source}:
        at = [i for i, (row, _, answer) in enumerate(rows) if row.source == source and answer is not None]
        answers = agreed([answer for i in at if (answer := rows[i][2]) is not None])
        for i, answer in zip(at, answers, strict=True):
            found[i] = (*rows[i][:2], answer)
    return found


def answered(
    rows: Sequence[ClaimRow], names: Sequence[str], timeout: float | None
) -> Iterator[tuple[ClaimRow, str, ClaimAnswer | None]]:
    """Yield the answer to each claim of a file, with its input; None if the network can't be counted."""
    for row in rows:
        try:
            with within(timeout, row.model):
                if row.input:
                    on = asked(row.model, row.input.split(" and "), None)
                    given = ([row.claim], row.params, names, row.source)
                    ((where, answer),) = answers_on(on, observed_on(on), *given)
                else:
                    _, _, ((where, answer),) = answers_anywhere(
                        row.model, [row.claim], row.params, names, row.source
                    )
            yield row, where, answer
        except ValueError as error:
            say(f"pwoct-cost: {row.model}: {error}")
            yield row, row.input, None
