"""`pwoct-cost export`: a trained network for other programs, with a model card."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from costmodel.commands.shared.card import card
from costmodel.commands.shared.datasets import open_dataset
from costmodel.commands.shared.errors import CHECK_FAILED, fail, require, writing
from costmodel.commands.shared.question import Question
from costmodel.commands.shared.showing import Format, FormatOption, show
from costmodel.commands.shared.terminal import at_work
from costmodel.commands.shared.training import DataOption, RunsOption, find_run, reported
from costmodel.commands.shared.vocabulary import option
from costmodel.report import Column, Table

app = typer.Typer(add_completion=False)


@app.command()
def export(
    ctx: typer.Context,
    run: Annotated[str, typer.Argument(help="A run's name in --runs or its beginning, or its folder.")],
    onnx: Annotated[Path | None, option("onnx")] = None,
    torch_export: Annotated[Path | None, option("torch-export")] = None,
    safetensors: Annotated[Path | None, option("safetensors")] = None,
    runs: RunsOption = Path("runs"),
    data: DataOption = None,
    format: FormatOption = Format.table,
) -> None:
    """Write the network of a run, with its normalisation, and a model card (.md) beside the first file.

    The exported network takes images as they are stored, from 0 to 255. Each file is loaded again and must
    compute the network's outputs. A run without input.json (written by early versions) needs --data.
    """
    chosen = {"ONNX": onnx, "torch.export": torch_export, "safetensors": safetensors}
    paths = {what: path for what, path in chosen.items() if path is not None}
    if not paths:
        fail("nothing to write: give --onnx FILE, --torch-export FILE or --safetensors FILE")
    if onnx is not None:
        for module in ("onnx", "onnxscript", "onnxruntime"):
            require(module, "export")
    with reported():
        from pwoct.training.export import ExportError, export_onnx, export_program, export_weights
        from pwoct.training.loading import load_run

        folder = find_run(runs, run)
        images = open_dataset(folder.config().data, data) if folder.inputs() is None else None
        trained = load_run(folder.path, images)
        writers = {"ONNX": export_onnx, "torch.export": export_program, "safetensors": export_weights}
        with at_work(f"exporting {folder.name}"):
            try:
                for what, path in paths.items():
                    with writing(path):
                        writers[what](trained, path)
            except ExportError as error:
                fail(str(error), CHECK_FAILED)
        digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}
        beside = next(iter(paths.values()))
        written = beside.with_name(f"{beside.name}.md")
        with writing(written):
            written.write_text(card(trained, folder.sessions(), digests), encoding="utf-8")
    rows = [
        {"what": what, "file": str(path), "bytes": path.stat().st_size, "sha256": digests[path.name]}
        for what, path in paths.items()
    ]
    show(
        "export",
        [_table(rows)],
        format,
        {"run": folder.name, "card": str(written)} | Question.of(ctx).said(),
        notes=[f"Card: {written}"],
    )


def _table(rows: list[dict[str, object]]) -> Table:
    columns = [
        Column("what", "form"),
        Column("file", "file"),
        Column("bytes", "bytes", "count"),
        Column("sha256", "SHA-256", on_terminal=False),
    ]
    return Table("files", "Exported", columns, rows)
