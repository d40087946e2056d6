"""The page of commands: it lists every command as the help does, with options that the command has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import cli
from costmodel.commands.shared.request import LAYER_ONLY
from tests.commands.test_vocabulary import commands

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "commands.md").read_text(encoding="utf-8")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def rows(page: str) -> dict[str, tuple[str, list[str]]]:
    """Return the line and the options of each command; "" is the calculator."""
    table = page.partition("\n| --- |")[2].partition("\n\n")[0]
    found = re.findall(r"^\| \[?`([^`]+)`\]?[^|]* \| ([^|]+) \|([^|]*)\|$", table, re.MULTILINE)
    return {name.removeprefix("pwoct-cost"): (line, OPTION.findall(words)) for name, line, words in found}


def options(command: Any) -> set[str]:
    return {spelling for parameter in command.params for spelling in parameter.opts}


def test_the_page_lists_every_command_in_the_order_of_the_help() -> None:
    assert list(rows(PAGE)) == [name for name, _ in commands()]


def test_the_page_says_of_each_command_what_the_help_says() -> None:
    found = rows(PAGE)
    assert {name: found[name][0] for name in cli.COMMANDS} == cli.COMMANDS


@pytest.mark.parametrize(("name", "command"), list(commands()))
def test_the_options_on_the_page_exist(name: str, command: Any) -> None:
    assert set(rows(PAGE)[name][1]) <= options(command)


def test_one_layer_has_all_its_options() -> None:
    section = PAGE.partition("\n## One layer\n")[2]
    assert {f"--{name.replace('_', '-')}" for name in ("op", *LAYER_ONLY)} <= set(OPTION.findall(section))


def test_every_option_is_on_a_page() -> None:
    """What nobody finds in the documentation is not there; the second option of completion is in the help."""
    pages = "".join(
        page.read_text(encoding="utf-8") for page in DOCS.glob("*.md") if page.stem != "changelog"
    )
    found = set(OPTION.findall(pages))
    lost = {
        parameter.opts[0]
        for _, command in commands()
        for parameter in command.params
        if parameter.opts[0].startswith("-") and found.isdisjoint(parameter.opts)
    }
    assert lost == {"--show-completion"}


def test_the_check_of_the_page_can_fail() -> None:
    page = (
        "| command | what |\n| --- | --- |\n| [`a`](a.md#b) | Do a. | `--x`, `--y-z` |\n\n| `b` | c | d |\n"
    )
    assert rows(page) == {"a": ("Do a.", ["--x", "--y-z"])}
