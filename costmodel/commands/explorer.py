"""`pwoct-cost explorer`: write the explorer, a web page that works from a single file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from costmodel.commands.shared.errors import bad_input, check_folder, say, writing
from costmodel.commands.shared.network import (
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    closed_form_of,
    say_uncovered,
    within,
)
from costmodel.commands.shared.options import given_model
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.vocabulary import argument, option

app = typer.Typer(add_completion=False)

OF_MODEL = ("input", "inputs", "symbols", "timeout", "per_stage", "alpha", "beta")
HELP = "A network of your own (timm:resnet50). Default: the CIFAR ResNets, with every option."


@app.command()
def explorer(
    ctx: typer.Context,
    model: Annotated[str | None, argument("model", HELP)] = None,
    named_model: Annotated[str | None, option("any-model")] = None,
    output: Annotated[Path, option("page")] = Path("explorer.html"),
    input: InputOption = None,
    inputs: InputsOption = None,
    symbols: Annotated[list[str] | None, option("symbols")] = None,
    timeout: TimeoutOption = None,
    per_stage: Annotated[bool, option("per-stage")] = False,
    alpha: Annotated[str, option("alpha-list")] = "0:0.75:0.125",
    beta: Annotated[str, option("beta-list")] = "2,4",
    records: Annotated[Path | None, option("records")] = None,
) -> None:
    """Write one HTML file in which sliders choose a network, and its cost is shown layer by layer.

    For a MODEL, its input sizes are sliders (--symbols; default for images: n,h,w), and its closed form is
    evaluated exactly. The file is self-contained and sends no requests. An existing file is replaced; - is
    stdout. With --per-stage, it also has the exact Pareto front of the MODEL's conversions to octave
    convolutions. With --records, it shows the measured accuracies of the CIFAR ResNets that were trained.
    """
    with bad_input():
        model = given_model(model, named_model)
        if model is None:
            Question.of(ctx).without("needs a MODEL", OF_MODEL)
            if records:
                check_folder(records, "--records")
            from costmodel.explorer.page import page
            from costmodel.paper.records import read_records

            text = page(records=read_records([records] if records else []))
        else:
            Question.of(ctx).without("applies to the CIFAR ResNets", ("records",))
            if not per_stage:
                Question.of(ctx).without("needs --per-stage", ("alpha", "beta"))
            with within(timeout, model):
                found = asked(model, input, inputs)
                searched = _searched(found, alpha, beta, given=bool(input or inputs)) if per_stage else None
                text = _own(found, symbols, searched)
    if str(output) == "-":
        print(text)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(f"{output}: {len(text.encode()) / 1024:.0f} KiB; open it in any browser")


def _searched(found: NetworkOnInputs, alpha: str, beta: str, *, given: bool) -> dict[str, Any]:
    """Return what the search of a network's conversions needs; stages are those of `search` by default."""
    from costmodel.commands.shared.searching import StagedQuestion, said_inputs, staged
    from costmodel.explorer.own_search import own_search

    asked_for = StagedQuestion(alpha, beta, None, ["out"], "resolution", "C", "none", True, ())
    with at_work(f"searching {found.title}"):
        network, space = staged(found, asked_for)
    inputs = said_inputs(found)
    option = f" --input {','.join(map(str, inputs))}" if given and isinstance(inputs[0], int) else ""
    command = f'pwoct-cost search "{network.name}"{option} --per-stage --alpha {alpha} --beta {beta}'
    shown = {
        "command": command,
        "input": str(found.inputs),
    }
    return own_search(network, space, shown, [f"inputs={inputs!r}"] if given else [])


def _own(found: NetworkOnInputs, symbols: list[str] | None, searched: dict[str, Any] | None) -> str:
    from costmodel.explorer.own import own_page
    from costmodel.explorer.own_network import own_network
    from costmodel.models.symbols import default

    form = closed_form_of(found, symbols or default(found.inputs))
    say_uncovered(form)
    return own_page(own_network(form, found.title), searched)
