"""`pwoct-cost explorer`: write the explorer, a web page that works from a single file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.commands.shared.errors import bad_input, say, writing
from costmodel.commands.shared.network import (
    InputOption,
    InputsOption,
    NetworkOnInputs,
    TimeoutOption,
    asked,
    closed_form_of,
    within,
)
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.vocabulary import option

if TYPE_CHECKING:
    from costmodel.paper.records import Record

app = typer.Typer(add_completion=False)

HELP = "A network of your own (timm:resnet50). Default: the CIFAR ResNets, with every option."


@app.command()
def explorer(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(help=HELP)] = None,
    output: Annotated[Path, option("page")] = Path("explorer.html"),
    input: InputOption = None,
    inputs: InputsOption = None,
    symbols: Annotated[list[str] | None, option("symbols")] = None,
    timeout: TimeoutOption = None,
    records: Annotated[Path | None, option("records")] = None,
) -> None:
    """Write one HTML file in which networks are chosen by sliders and costed layer by layer.

    Of a MODEL, sizes of its inputs are sliders (--symbols; default for images: n,h,w), and its closed form is
    evaluated exactly. The file is self-contained and sends no requests. An existing file is replaced; - is
    stdout. With --records, measured accuracies stand beside the CIFAR ResNets that were trained.
    """
    with bad_input():
        if model is None:
            Question.of(ctx).without("goes with a MODEL", ("input", "inputs", "symbols", "timeout"))
            from costmodel.explorer.page import page

            text = page(records=read(records) if records else ())
        else:
            Question.of(ctx).without("goes with the CIFAR ResNets", ("records",))
            with within(timeout, model):
                text = _own(asked(model, input, inputs), symbols)
    if str(output) == "-":
        print(text)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(f"{output}: {len(text.encode()) / 1024:.0f} KiB; open it in any browser")


def read(folder: Path) -> list[Record]:
    """Return the records in a folder; ValueError where there is none, or a file is not a record."""
    from costmodel.paper.records import read_records

    if not folder.is_dir():
        raise ValueError(f"--records must be a folder with records, got {folder}")
    return read_records([folder])


def _own(found: NetworkOnInputs, symbols: list[str] | None) -> str:
    from costmodel.explorer.own import own_page
    from costmodel.explorer.own_network import own_network
    from costmodel.models.symbols import default

    form = closed_form_of(found, symbols or default(found.inputs))
    return own_page(own_network(form, found.title))
