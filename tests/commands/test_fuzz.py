"""Thousands of argument lists: a command answers or says in one line what is wrong, and does nothing else."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cli
from tests.commands.fuzz_words import COMMANDS, FLAGS, HOSTILE, OBEYED_HERE, OPTIONS

Arguments: TypeAlias = st.SearchStrategy[list[str]]


def arguments(options: Mapping[str, Sequence[str]], flags: Sequence[str], most: int) -> Arguments:
    """Lists of options with a value each, of values alone, and of flags."""
    option = st.sampled_from(sorted(options)).flatmap(
        lambda name: st.sampled_from([*options[name], *HOSTILE]).map(
            lambda value: [name, value] if name else [value]
        )
    )
    flag = st.sampled_from(flags).map(lambda word: [word])
    parts = st.lists(st.one_of(*[option] * 5, flag), max_size=most)
    return parts.map(lambda chosen: [word for part in chosen for word in part])


def leave_code(words: Sequence[str]) -> int:
    """Run `pwoct-cost`: where its exit code is not 0, it prints nothing but one line that says why."""
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
        pytest.raises(SystemExit) as left,
    ):
        cli.main(words)
    code = int(left.value.code or 0)
    errors = [line for line in err.getvalue().splitlines() if line.startswith("pwoct-cost: error: ")]
    assert "Traceback" not in err.getvalue()
    assert not set(err.getvalue() + out.getvalue()) & OBEYED_HERE
    assert len(errors) == bool(code)
    assert not (code and out.getvalue())
    return code


@settings(max_examples=600)
@given(arguments(OPTIONS, FLAGS, 7))
def test_the_calculator_leaves_with_0_or_2(words: list[str]) -> None:
    assert leave_code(words) in (0, 2)


@pytest.mark.parametrize("name", COMMANDS)
@settings(max_examples=50)
@given(data=st.data())
def test_a_subcommand_leaves_with_a_documented_code(name: str, data: st.DataObject) -> None:
    command = COMMANDS[name]
    words = data.draw(arguments(command.options, ["--help", "--no-such-option", "surplus"], 4))
    codes = {0} if "--help" in words else command.codes
    assert leave_code([*name.split(), *command.words, *words]) in codes | {2}
