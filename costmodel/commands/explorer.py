"""`pwoct-cost explorer`: write the explorer, a web page that works from a single file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costmodel.commands.shared.errors import say, writing
from costmodel.commands.shared.vocabulary import option

app = typer.Typer(add_completion=False)


@app.command()
def explorer(
    output: Annotated[Path, option("page")] = Path("explorer.html"),
) -> None:
    """Write one HTML file in which networks are chosen by sliders and costed layer by layer.

    The file is self-contained and sends no requests. An existing file is replaced; - is stdout.
    """
    from costmodel.explorer.page import page

    text = page()
    if str(output) == "-":
        print(text)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(f"{output}: {len(text.encode()) / 1024:.0f} KiB; open it in any browser")
