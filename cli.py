"""The command line: assembles the commands of `costmodel.commands` into `pwoct-cost`.

A command is loaded when it is used, so that the calculator does not wait for what it does not need.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from costmodel.commands import calculator
from costmodel.commands.shared.errors import BAD_INPUT, CLOSED_PIPE, UNSAVED, say
from costmodel.commands.shared.showing import spell_out
from costmodel.commands.shared.vocabulary import fold

# What a command is, in the order in which a user meets them; each is the module of that name in
# `costmodel.commands`.
COMMANDS = {
    "explain": "How an operator's cost is derived, and where from.",
    "equations": "The paper's equations, derived and proved.",
    "paper": "The paper's tables and claims beside what is computed.",
    "train": "Train a network, or go on with its training.",
    "evaluate": "What a trained network makes of the test set.",
    "runs": "All runs in a table, or their curves.",
    "data": "Fetch and check CIFAR-10.",
    "study": "Train the networks of one of the paper's tables.",
    "verify": "Compare formulas with independent counters.",
    "prove": "Prove formulas by running the code on symbols.",
    "search": "The exact Pareto front of a space of networks.",
    "bench": "Time networks beside their MACs.",
    "sweep": "Cost against alpha for every set of paths.",
    "plot": "Draw a result of search, sweep or the calculator.",
    "diff": "Two networks or two runs, layer by layer.",
    "explorer": "Write a page on which networks are costed by sliders.",
}

# The base of all errors in the use of the command line, in Typer with Click and in Typer without it.
UsageError: Any = typer.BadParameter.__base__


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


def _not_written(error: OSError) -> int:
    """Say that a result could not be written; a file's own trouble is the business of its command."""
    if error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EDQUOT) or error.filename is not None:
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tries again when it ends
    if error.errno == errno.EPIPE:
        return CLOSED_PIPE  # as of a program that the signal stops: whoever read has read enough
    say(f"pwoct-cost: error: the result can't be written: {error.strerror}")
    return UNSAVED


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run `pwoct-cost` and leave with its exit code; a wrong use is one line on stderr and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        spell_out(stream)
    try:
        code = app(arguments, prog_name="pwoct-cost", standalone_mode=False)
        sys.stdout.flush()
    except UsageError.__base__ as error:
        say(f"pwoct-cost: error: {error.format_message()}")
        code = BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except SystemExit as end:  # of Typer: where a pipe is closed, and after completion
        code = CLOSED_PIPE if isinstance(end.__context__, BrokenPipeError) else end.code
    except OSError as error:
        code = _not_written(error)
    sys.exit(code)
