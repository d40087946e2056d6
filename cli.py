"""The command line: assembles the commands of `costmodel.commands` into `pwoct-cost`."""

import typer

app = typer.Typer()


def main() -> None:
    """Run `pwoct-cost`."""
    app()
