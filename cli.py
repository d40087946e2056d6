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
from costmodel.commands.shared.ending import exit_code
from costmodel.commands.shared.errors import show_warning
from costmodel.commands.shared.reports import show_reports
from costmodel.commands.shared.streams import prepare_streams
from costmodel.commands.shared.vocabulary import fold

__all__ = ["app", "main", "show_warning"]

# What a command is, in the order in which a user meets them; each is the module of that name in
# `costmodel.commands`.
COMMANDS = {
    "cost": "The exact cost of any network of your own.",
    "convert": "Any network with octave convolutions, beside the original.",
    "explain": "How an operator's cost is derived, and where from.",
    "equations": "The paper's equations, derived and proved.",
    "paper": "The paper's tables and claims beside what is computed.",
    "train": "Train a network, or go on with its training.",
    "evaluate": "What a trained network makes of the test set.",
    "export": "A trained network for other programs, with a model card.",
    "runs": "All runs in a table, or their curves.",
    "data": "Fetch and check CIFAR-10.",
    "study": "Train the networks of one of the paper's tables.",
    "verify": "Compare formulas with independent counters.",
    "reconcile": "What other counters say of a network, and why.",
    "prove": "Prove formulas by running the code on symbols.",
    "search": "The exact Pareto front of a space of networks.",
    "bench": "Time networks beside their MACs.",
    "sweep": "Cost against alpha for every set of paths.",
    "plot": "Draw a result of search, sweep or the calculator.",
    "diff": "Two networks or two runs, layer by layer.",
    "explorer": "Write a page on which networks are costed by sliders.",
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


app = typer.Typer(
    cls=PwoctGroup,
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # All commands take them over: -h everywhere, and other spellings of the same option.
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
