"""A command's question: every option that has an effect, and which of them were typed."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import typer

# Options about display and procedure, which do not change the result.
PRESENTATION = frozenset(
    {"format", "plot", "figure", "output", "rows", "jobs", "quiet", "version"}
    | {"install_completion", "show_completion"}
)


_OF_SEVERAL = {"does": "do", "needs": "need", "applies": "apply"}  # verbs, as several options have them


@dataclass(frozen=True)
class GivenOption:
    """An option or an argument of a command: its name, its spelling, its value."""

    name: str
    flag: str  # its spelling, --alpha; for an argument, its name
    value: Any
    typed: bool  # whether it was given on the command line; otherwise it has its default

    @property
    def is_argument(self) -> bool:
        """Whether it is positional."""
        return not self.flag.startswith("-")

    def words(self) -> list[str]:
        """Return the text to type for it."""
        if isinstance(self.value, bool):
            return [self.flag] if self.value else []
        values = [str(value) for value in (self.value if isinstance(self.value, list) else [self.value])]
        if self.is_argument:
            return values
        # A value that begins with a dash is joined to the name, so that it is not taken for an option.
        return [word for text in values for word in _joined(self.flag, text)]


@dataclass(frozen=True)
class Question:
    """All options that affect a result, and any others that were typed."""

    command: str
    parts: tuple[GivenOption, ...]

    @classmethod
    def of(cls, ctx: typer.Context, **settled: Any) -> Question:
        """Return the question of a command; `settled` are values that replace the typed ones.

        A settled value of None leaves an option out: it has no effect.
        """
        parts = []
        for parameter in ctx.command.params:
            name = parameter.name or ""
            if name not in ctx.params:
                continue
            value = settled[name] if name in settled else ctx.params[name]
            parts.append(GivenOption(name, _flag(parameter), _plain(value), _is_typed(ctx, name)))
        return cls(ctx.command_path, tuple(parts))

    @property
    def typed(self) -> list[str]:
        """The names of the options and arguments that were typed."""
        return [part.name for part in self.parts if part.typed]

    def without(self, why: str, names: Collection[str]) -> Question:
        """Return the question without options that have no effect; `why` is what one of them does instead.

        Raises ValueError if one of them was typed.
        """
        wrong = [part.flag for part in self.parts if part.typed and part.name in names]
        if wrong:
            verb, _, rest = why.partition(" ")
            raise ValueError(
                f"{', '.join(wrong)} {_OF_SEVERAL.get(verb, verb) if wrong[1:] else verb} {rest}"
            )
        return self.idle(names)

    def idle(self, names: Collection[str]) -> Question:
        """Return the question without options that have no effect, whether typed or not."""
        return replace(self, parts=tuple(part for part in self.parts if part.name not in names))

    def values(self) -> dict[str, Any]:
        """Return the values of all options that have an effect, by name."""
        return {part.name: part.value for part in self._effective()}

    def command_line(self) -> str:
        """Return the command that asks this again, with every option that has an effect spelled out."""
        parts = sorted(self._effective(), key=lambda part: not part.is_argument)
        parts += [part for part in self.parts if part.name == "format" and part.typed]
        return shlex.join([*self.command.split(), *(word for part in parts for word in part.words())])

    def said(self) -> dict[str, Any]:
        """Return the entries that every machine-readable result contains."""
        return {"question": self.values(), "command_line": self.command_line()}

    def _effective(self) -> Iterator[GivenOption]:
        for part in self.parts:
            has_effect = part.value is not None and part.value is not False and part.value != []
            if part.name not in PRESENTATION and has_effect:
                yield part


def flags(question: Question) -> str:
    """Return the spellings of the typed options, joined by commas."""
    return ", ".join(part.flag for part in question.parts if part.typed)


def _joined(flag: str, text: str) -> list[str]:
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _flag(parameter: Any) -> str:
    long = [spelling for spelling in parameter.opts if spelling.startswith("--")]
    return long[0] if long else (parameter.name or "")


def _is_typed(ctx: typer.Context, name: str) -> bool:
    return getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"


def _plain(value: Any) -> Any:
    """Return a value in JSON types."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float | str | Mapping) else str(value)
