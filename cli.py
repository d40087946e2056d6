"""The command line: assembles the commands of `costmodel.commands` into `pwoct-cost`.

A command is loaded when it is used, so that the calculator does not wait for what it does not need.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from costmodel.commands import calculator
from costmodel.commands.shared.ending import ShownError, exit_code
from costmodel.commands.shared.errors import show_warning
from costmodel.commands.shared.network import given_as
from costmodel.commands.shared.reports import show_reports
from costmodel.commands.shared.streams import prepare_streams
from costmodel.commands.shared.vocabulary import fold

__all__ = ["app", "main", "show_warning"]

# What a command is, in the order in which a user meets them; each is the module of that name in
# `costmodel.commands`.
COMMANDS = {
    "cost": "Count the exact cost of any PyTorch network.",
    "convert": "Convert a network to octave convolutions.",
    "explain": "Derive an operator's cost formula, with its source.",
    "equations": "Derive and prove the equations of the PwiseOct paper.",
    "paper": "Compare the PwiseOct paper's counts with computed ones.",
    "train": "Train a network, or resume a run.",
    "evaluate": "Evaluate a trained network on the test set.",
    "export": "Export a trained network, with a model card.",
    "runs": "List all runs, or plot their curves.",
    "data": "Download and check CIFAR-10.",
    "study": "Train the networks of a table of the PwiseOct paper.",
    "verify": "Compare formulas with independent counters.",
    "reconcile": "Explain why other counters report different numbers.",
    "prove": "Prove formulas by running the code on symbolic sizes.",
    "search": "Find the exact Pareto front of a search space.",
    "bench": "Measure run times and compare them with MACs.",
    "sweep": "Tabulate cost against alpha for all sets of paths.",
    "plot": "Draw a result of search, sweep or the calculator.",
    "diff": "Compare two networks or two runs, layer by layer.",
    "explorer": "Write an interactive HTML page of costs.",
}


class LazyCommands(MutableMapping[str, Any]):
    """The commands by name; a module is imported when its command is asked for."""

    def __init__(self, names: Iterable[str]) -> None:
        self._loaded: dict[str, Any] = dict.fromkeys(names)

    def __getitem__(self, name: str) -> Any:
        if self._loaded[name] is None:
            command_app = import_module(f"costmodel.commands.{name}").app
            command_app.rich_markup_mode = None  # plain help, like that of the group
            self._loaded[name] = get_command(command_app)
            self._loaded[name].name, self._loaded[name].short_help = name, COMMANDS[name]
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded)

    def __len__(self) -> int:
        return len(self._loaded)


class PwoctGroup(TyperGroup):
    """`pwoct-cost`: the calculator, and its subcommands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands(COMMANDS)

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class gives it
        """Return the names of the commands, in their own order."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; if the word is a network's name instead, say how a network is given."""
        try:
            return super().resolve_command(ctx, args)
        except ShownError as error:
            if args:  # none are left after a bare --
                error.message += given_as(args[0])
            raise


app = typer.Typer(
    cls=PwoctGroup,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # All commands inherit these: -h, and other spellings of the same option.
    context_settings={"help_option_names": ["-h", "--help"], "token_normalize_func": fold},
)
app.callback()(calculator.calculate)


@cache
def command() -> Any:
    """Return `pwoct-cost` as a command; built once, since Typer reads every signature anew each time."""
    return get_command(app)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `pwoct-cost` and leave with its exit code; whatever goes wrong is one line on stderr."""
    prepare_streams()
    show_reports()
    sys.exit(exit_code(lambda: command()(arguments, prog_name="pwoct-cost", standalone_mode=False)))
